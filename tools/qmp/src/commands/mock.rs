//! `qmp mock`: a server that is made up.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tinamou_client::{Address, Client};
use tinamou_mock::{Fault, Mock, Origin, Planted, Received, Rules, Schema};

use crate::listen::Listener;
use crate::{Error, Exit, Global, Output};

const HELP: &str = "\
A file of rules is a row of JSON objects; lines that begin with # are comments:
  {\"command\": \"query-block\", \"return\": []}
  {\"command\": \"device_del\", \"arguments\": {\"id\": \"nic0\"}, \"return\": {},
   \"events\": [{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"nic0\", \"path\": \"/x\"}, \"after\": 50}]}
  {\"command\": \"query-jobs\", \"sequence\": [{\"return\": []}, {\"error\": {\"desc\": \"gone\"}}], \"delay\": 20}
  {\"event\": \"RTC_CHANGE\", \"data\": {\"offset\": 1, \"qom-path\": \"/rtc\"}, \"after\": 100, \"every\": 1000}
  {\"fault\": \"stall\", \"command\": \"query-status\", \"from\": 3}

Examples:
  qmp mock ./mock.sock
  qmp mock ./mock.sock --schema vm.sock --rules rules.jsonl
  qmp mock tcp:127.0.0.1:4444 --fault delay:ms=500,command=query-block --fault cut:from=10";

/// What `qmp mock` takes.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Options {
    /// Where to listen
    #[arg(value_name = "LISTEN", required_unless_present = "list_faults")]
    listen: Option<Address>,
    /// Check commands against this: a file of introspection, a recording, or a server's address
    /// (default: everything that QEMU 10 has)
    #[arg(long, value_name = "FILE|ADDR")]
    schema: Option<String>,
    /// Answer by the rules in this file; may be repeated
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Plant a fault: NAME[:KEY=VALUE,…], keys command, from, times, ms, bytes; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Planted>,
    /// Make no answers up: refuse commands that no rule answers
    #[arg(long)]
    strict: bool,
    /// List the faults that can be planted, and end
    #[arg(long)]
    list_faults: bool,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let Some(address) = &options.listen else {
        return list_faults(output);
    };
    let schema = match &options.schema {
        Some(source) => schema(source, global).await?,
        None => Schema::whole(),
    };
    let rules = rules(&options.rules, &schema)?;
    let tls = global.credentials.server(false);
    let listener = Listener::bind(address, tls.as_ref()).await?;
    let shown = output.clone();
    let mut builder = Mock::builder().schema(schema).rules(rules);
    builder = builder.observer(move |received, origin| show(received, origin, &shown));
    for fault in options.faults {
        builder = builder.fault(fault);
    }
    if options.strict {
        builder = builder.strict();
    }
    output.note(&format!("listening at {}", listener.name()));
    serve(&builder.build(), &listener).await?;
    Ok(Exit::Done)
}

/// Serves everyone who comes, until a client has sent `quit`.
pub(super) async fn serve(mock: &Mock, listener: &Listener) -> Result<(), Error> {
    let clients = Arc::new(());
    loop {
        let arrival = tokio::select! {
            arrival = listener.accept() => arrival,
            () = mock.quit() => break,
        };
        // Whoever breaks off while it comes is nobody.
        let Ok(arrival) = arrival else { continue };
        let (mock, client) = (mock.clone(), Arc::clone(&clients));
        tokio::spawn(async move {
            if let Ok(connected) = arrival.identify().await {
                drop(mock.serve(connected.stream).await);
            }
            drop(client);
        });
    }
    // The reply to `quit` is still on its way.
    let last = std::time::Instant::now();
    while Arc::strong_count(&clients) > 1 && last.elapsed().as_secs() < 1 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    Ok(())
}

/// The interface in a file, or of a server.
pub(super) async fn schema(source: &str, global: &Global) -> Result<Schema, Error> {
    let wrong = |error: tinamou_mock::Error| Error::usage(format!("{source}: {error}"));
    let is_file = std::fs::metadata(source).is_ok_and(|file| file.is_file());
    if is_file {
        let text = std::fs::read_to_string(source).map_err(Error::io(source))?;
        return Schema::from_text(&text).map_err(wrong);
    }
    let address: Address = source.parse()?;
    let client: Client = crate::connect::connect(&address, global).await?;
    let reply = client.request("query-qmp-schema", ()).raw().await?;
    client.close().await;
    Schema::from_text(reply.get()).map_err(wrong)
}

fn rules(files: &[PathBuf], schema: &Schema) -> Result<Rules, Error> {
    let mut text = String::new();
    for file in files {
        let shown = file.display().to_string();
        text += &std::fs::read_to_string(file).map_err(Error::io(&*shown))?;
        text.push('\n');
    }
    let rules = Rules::parse(&text).and_then(|rules| rules.check(schema).map(|()| rules));
    rules.map_err(|error| Error::usage(error.to_string()))
}

/// Prints a command that came, and where its answer came from.
fn show(received: &Received, origin: Origin, output: &Output) {
    let origin = match origin {
        Origin::Script => "rule",
        Origin::Base => "base",
        Origin::MadeUp => "made up",
        _ => "none",
    };
    let line = json!({
        "connection": received.connection,
        "command": received.command,
        "arguments": received.arguments,
        "answer": origin,
    });
    // Nobody may be reading.
    let _ = output.line(&line.to_string());
}

fn list_faults(output: &Output) -> Result<Exit, Error> {
    for fault in Fault::ALL {
        match output.is_json() {
            true => output.value(&json!({"fault": fault.name(), "about": fault.about()}))?,
            false => output.line(&format!("{:<28} {}", fault.name(), fault.about()))?,
        }
    }
    Ok(Exit::Done)
}
