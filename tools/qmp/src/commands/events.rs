//! `qmp events`: events as they come.

use std::time::Duration;

use clap::Args;
use tinamou_client::{Address, Events};

use crate::cli::seconds;
use crate::pattern::EventPattern;
use crate::{Error, Exit, Global, Output, connect, watch};

const EXAMPLES: &str = "\
Examples:
  qmp events vm.sock
  qmp events vm.sock --filter 'BLOCK_*' --filter JOB_STATUS_CHANGE,id=backup0
  qmp events vm.sock --until SHUTDOWN --json >events.jsonl";

/// What `qmp events` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where the server listens
    #[arg(value_name = "ADDR")]
    address: Address,
    /// Print only these: NAME[,MEMBER=VALUE…], `*` in NAME stands for anything; may be repeated
    #[arg(long = "filter", value_name = "EVENT")]
    filters: Vec<EventPattern>,
    /// End after this event, given in the same way; it is printed in any case
    #[arg(long, value_name = "EVENT")]
    until: Option<EventPattern>,
    /// End after this many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    time: Option<Duration>,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let client = connect::connect(&options.address, global).await?;
    let mut events = client.events_after(0);
    let printed = print(&mut events, &options, output);
    let ended = watch::at_most(options.time, printed).await;
    if events.dropped() > 0 {
        output.note(&format!("{} events were dropped", events.dropped()));
    }
    match ended {
        None => Ok(Exit::Done),
        Some(Ok(Ended::Found)) => Ok(Exit::Done),
        Some(Err(error)) => Err(error),
        Some(Ok(Ended::Server)) => {
            let closed = client.closed().await;
            match options.until {
                Some(pattern) => Err(Error::Impossible {
                    event: pattern.to_string(),
                    closed,
                }),
                None => {
                    output.note(&closed.to_string());
                    Ok(watch::exit_of(&closed))
                }
            }
        }
    }
}

/// Why printing ended.
enum Ended {
    /// The last event that was wanted has come.
    Found,
    /// No more can come.
    Server,
}

async fn print(events: &mut Events, options: &Options, output: &Output) -> Result<Ended, Error> {
    let mut left = options.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(event) = events.next().await else {
            return Ok(Ended::Server);
        };
        let last = options
            .until
            .as_ref()
            .is_some_and(|until| until.matches(&event));
        let filters = &options.filters;
        let wanted = filters.is_empty() || filters.iter().any(|filter| filter.matches(&event));
        if wanted || last {
            watch::print(&event, output)?;
            left -= 1;
        }
        if last {
            break;
        }
    }
    Ok(Ended::Found)
}
