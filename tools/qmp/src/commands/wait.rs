//! `qmp wait`: the next event of a kind.

use clap::Args;
use tinamou_client::Address;

use crate::pattern::EventPattern;
use crate::{Error, Exit, Global, Output, connect, watch};

const EXAMPLES: &str = "\
The event must happen after the connection is made: to run a command and wait
for what it leads to, use `qmp run … --until EVENT`, which cannot miss it.

Examples:
  qmp wait vm.sock SHUTDOWN
  qmp wait vm.sock DEVICE_DELETED device=nic0 --timeout 30";

/// What `qmp wait` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where the server listens
    #[arg(value_name = "ADDR")]
    address: Address,
    /// The event; `*` stands for anything
    #[arg(value_name = "EVENT")]
    event: String,
    /// What its details must be: dots lead into objects and lists
    #[arg(value_name = "MEMBER=VALUE")]
    members: Vec<String>,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let members = options.members.iter().map(String::as_str);
    let pattern = EventPattern::new(&options.event, members).map_err(Error::Usage)?;
    let client = connect::connect(&options.address, global).await?;
    let events = client.events_after(0);
    watch::wait(&client, events, &pattern, global, output).await
}
