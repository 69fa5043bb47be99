//! The command line: the list of subcommands and what they have in common.

use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, ColorChoice, Parser, Subcommand};

use crate::commands::{
    completions, events, ga, man, mock, proxy, qom, record, replay, run, schema, shell, status,
    test, top, wait,
};
use crate::{Credentials, Error, Exit, Output, exit};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The heading of options that every subcommand takes.
const COMMON: &str = "Options of every subcommand";

/// Drives, watches, records and tests QMP servers: QEMU, its storage daemon,
/// guest agents, tinamou.
///
/// ADDR is where a server listens: a path (`/run/vm.sock`), `unix:PATH`,
/// `unix:@NAME` (abstract), `HOST:PORT`, `tcp:HOST:PORT`, `tls:HOST:PORT`,
/// `vsock:CID:PORT`, `fd:N`, or `exec:COMMAND` for a child that speaks QMP on
/// its standard input and output.
#[derive(Debug, Parser)]
#[command(name = "qmp", version, styles = STYLES, after_help = exit::HELP, max_term_width = 100)]
pub struct Cli {
    /// What all subcommands take.
    #[command(flatten)]
    pub global: Global,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every subcommand takes.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Print JSON for programs: one value a line
    #[arg(long, global = true, help_heading = COMMON)]
    pub json: bool,
    /// When to use colours; `auto` obeys NO_COLOR and asks whether a terminal reads
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto, help_heading = COMMON)]
    pub color: ColorChoice,
    /// Give up on an answer after this many seconds (default: by command)
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds, help_heading = COMMON)]
    pub timeout: Option<Duration>,
    /// What `tls:` addresses need.
    #[command(flatten)]
    pub credentials: Credentials,
}

/// The subcommands, in the order of `--help`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one command
    Run(run::Options),
    /// Converse with a server
    Shell(shell::Options),
    /// Print events as they come
    Events(events::Options),
    /// Wait for an event
    Wait(wait::Options),
    /// Tell the state of one machine or of many
    Status(status::Options),
    /// Show, compare and use what a server says it offers
    Schema(schema::Options),
    /// List, read, write, walk or mount the object tree
    Qom(qom::Options),
    /// Talk to the agent inside a guest
    Ga(ga::Options),
    /// Watch machines on a terminal screen
    Top(top::Options),
    /// Hold a server to the protocol
    Test(test::Options),
    /// Record what clients and a server say to each other
    Record(record::Options),
    /// Serve a recording
    Replay(replay::Options),
    /// Serve made-up answers, checked against a schema, with faults if wanted
    Mock(mock::Options),
    /// Share one monitor among many clients
    Proxy(proxy::Options),
    /// Write completions for a shell
    Completions(completions::Options),
    /// Write the manual pages
    Man(man::Options),
}

/// Runs the subcommand on a runtime of its own.
///
/// # Errors
///
/// What the subcommand could not do.
pub fn main(cli: Cli, output: &Output) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Error::io("the runtime"))?;
    runtime.block_on(dispatch(cli, output))
}

async fn dispatch(cli: Cli, output: &Output) -> Result<Exit, Error> {
    let global = &cli.global;
    match cli.command {
        Command::Run(options) => run::run(options, global, output).await,
        Command::Shell(options) => crate::shell::run(options, global, output).await,
        Command::Events(options) => events::run(options, global, output).await,
        Command::Wait(options) => wait::run(options, global, output).await,
        Command::Status(options) => status::run(options, global, output).await,
        Command::Schema(options) => schema::run(options, global, output).await,
        Command::Qom(options) => qom::run(options, global, output).await,
        Command::Ga(options) => ga::run(options, global, output).await,
        Command::Top(options) => top::run(options, global, output).await,
        Command::Test(options) => test::run(options, global.timeout, output),
        Command::Record(options) => record::run(options, global, output).await,
        Command::Replay(options) => replay::run(options, global, output).await,
        Command::Mock(options) => mock::run(options, global, output).await,
        Command::Proxy(options) => proxy::run(options, global, output).await,
        Command::Completions(options) => completions::run(&options),
        Command::Man(options) => man::run(&options),
    }
}

/// Reads a time in seconds, with a fraction if need be.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert!(seconds("-1").is_err());
        assert!(seconds("soon").is_err());
    }
}
