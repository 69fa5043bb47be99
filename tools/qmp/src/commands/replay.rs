//! `qmp replay`: a recording served again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use serde_json::json;
use tinamou_client::Address;
use tinamou_mock::Mock;

use crate::commands::mock;
use crate::listen::Listener;
use crate::recording::{Recording, Replay, Report};
use crate::{Error, Exit, Global, Output};

const HELP: &str = "\
A command is answered as it was when it was recorded, whatever its id. What the recording does not
answer gets an error, is told on standard error, and makes the exit code 7.

Examples:
  qmp replay session.jsonl ./vm.sock
  qmp replay session.jsonl ./vm.sock --once --timing";

/// What `qmp replay` takes.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Options {
    /// The recording
    file: PathBuf,
    /// Where to listen
    #[arg(value_name = "LISTEN")]
    listen: Address,
    /// Take as long as the recorded server took
    #[arg(long)]
    timing: bool,
    /// End with the first client
    #[arg(long)]
    once: bool,
}

pub(crate) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let recording = Recording::read(&options.file)?;
    let replay = Replay::new(&recording, options.timing);
    let report = replay.report();
    let mut builder = Mock::builder()
        .schema(recording.schema())
        .unchecked()
        .strict()
        .script(replay);
    if let Some(greeting) = recording.greeting() {
        builder = builder.greeting(greeting);
    }
    let mock = builder.build();
    let listener =
        Listener::bind(&options.listen, global.credentials.server(true).as_ref()).await?;
    output.note(&format!("listening at {}", listener.name()));
    let serving = async {
        if options.once {
            return serve_one(&mock, &listener).await;
        }
        mock::serve(&mock, &listener).await
    };
    tokio::select! {
        served = serving => served?,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Error::io("signals"))?,
    }
    tell(&report, output)
}

async fn serve_one(mock: &Mock, listener: &Listener) -> Result<(), Error> {
    let failed = || Error::io(listener.name());
    let arrival = listener.accept().await.map_err(failed())?;
    let connected = arrival.identify().await.map_err(failed())?;
    // How the client leaves is its own affair.
    drop(mock.serve(connected.stream).await);
    Ok(())
}

fn tell(report: &Arc<Mutex<Report>>, output: &Output) -> Result<Exit, Error> {
    let report = report
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    if output.is_json() {
        output.value(&json!({
            "matched": report.matched,
            "repeated": report.repeated,
            "unmatched": report.unmatched,
        }))?;
    } else {
        for unmatched in &report.unmatched {
            output.note(unmatched);
        }
        let Report {
            matched,
            repeated,
            unmatched,
        } = &report;
        output.note(&format!(
            "{matched} matched, {repeated} repeated, {} not in the recording",
            unmatched.len()
        ));
    }
    Ok(match report.unmatched.is_empty() {
        true => Exit::Done,
        false => Exit::Differences,
    })
}
