//! `qmp top`: machines on a terminal screen, or in lines where there is none.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use tinamou_client::Address;

use crate::cli::seconds;
use crate::{Error, Exit, Global, Output, top};

const EXAMPLES: &str = "\
Examples:
  qmp top vm.sock
  qmp top web.sock db.sock --interval 5
  qmp top vm.sock --count 1 --json

Keys: ? shows them all, q quits, : takes a command.";

/// What `qmp top` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where the servers listen
    #[arg(value_name = "ADDR", required = true)]
    addresses: Vec<Address>,
    /// How often to look
    #[arg(long, value_name = "SECONDS", value_parser = interval, default_value = "1")]
    interval: Duration,
    /// Print lines instead of a screen: as without a terminal or with --json
    #[arg(long)]
    lines: bool,
    /// Print lines, and end after so many for each machine
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let lines = options.lines || options.count.is_some() || output.is_json() || !terminal;
    let watched = top::Watched::start(options.addresses, options.interval, global);
    match lines {
        true => top::print(watched, options.interval, options.count, output).await,
        false => top::show(watched, output).await,
    }
}

/// An interval that leaves a server time for other things.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    match interval < Duration::from_millis(100) {
        true => Err("0.1 is the shortest interval".to_owned()),
        false => Ok(interval),
    }
}
