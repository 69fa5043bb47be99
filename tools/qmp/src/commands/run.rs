//! `qmp run`: one command, its arguments typed by the server's introspection.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use clap::Args;
use tinamou_client::Address;

use crate::follow::Work;
use crate::pattern::EventPattern;
use crate::{Error, Exit, Global, Output, arguments, connect, follow, watch};

const EXAMPLES: &str = "\
Examples:
  qmp run vm.sock query-status
  qmp run vm.sock balloon value=512M
  qmp run vm.sock netdev_add type=user id=net0 hostfwd.0.str=tcp::2222-:22
  qmp run vm.sock blockdev-add '{\"driver\": \"file\", \"node-name\": \"f\", \"filename\": \"a.img\"}'
  qmp run vm.sock device_del id=nic0 --until DEVICE_DELETED,device=nic0
  qmp run vm.sock migrate uri=unix:/tmp/m.sock --follow
  qmp run vm.sock human-monitor-command command-line='info status'";

/// What `qmp run` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Where the server listens
    #[arg(value_name = "ADDR")]
    address: Address,
    /// The command, such as `query-status`
    #[arg(value_name = "COMMAND")]
    command: String,
    /// Arguments: KEY=VALUE, with dots into objects and lists, or JSON, or `-` to read JSON from
    /// standard input
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<String>,
    /// Run it out of band: at once, whatever else is running
    #[arg(long)]
    oob: bool,
    /// Open a file for reading and writing and pass it along (for getfd and add-fd)
    #[arg(long = "pass", value_name = "FILE")]
    passed: Vec<PathBuf>,
    /// Then wait for an event and print it too: NAME[,MEMBER=VALUE…]
    #[arg(long, value_name = "EVENT", conflicts_with = "follow")]
    until: Option<EventPattern>,
    /// Then follow the job, migration or dump that it began, to its end
    #[arg(long)]
    follow: bool,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let client = connect::connect(&options.address, global).await?;
    let words = words(&options)?;
    let schema = match words.iter().any(|word| !word.starts_with('{')) {
        true => client.schema().await.ok(),
        false => None,
    };
    let command = &options.command;
    let words = words.iter().map(String::as_str);
    let arguments = arguments::read(command, words, schema.as_deref())?;

    let events = client.events();
    let request = client
        .request(command, &arguments)
        .oob(options.oob)
        .fds(descriptors(&options.passed)?);
    let reply = connect::within(request, global).await?;
    output.value(&reply)?;
    if options.follow {
        let Some(work) = Work::begun_by(command, &arguments) else {
            return Err(Error::usage(format!(
                "{command} begins nothing that could be followed"
            )));
        };
        return follow::follow(&client, &work, events, output).await;
    }
    match &options.until {
        Some(pattern) => watch::wait(&client, events, pattern, global, output).await,
        None => Ok(Exit::Done),
    }
}

fn descriptors(paths: &[PathBuf]) -> Result<Vec<OwnedFd>, Error> {
    let files = paths.iter().map(|path| {
        let file = File::options().read(true).write(true).open(path);
        file.map(OwnedFd::from)
            .map_err(Error::io(path.display().to_string()))
    });
    files.collect()
}

/// The arguments, standard input in the place of `-`.
fn words(options: &Options) -> Result<Vec<String>, Error> {
    let words = options.arguments.iter().map(|word| match word.as_str() {
        "-" => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(Error::io("standard input"))?;
            Ok(text.trim().to_owned())
        }
        _ => Ok(word.clone()),
    });
    words.collect()
}
