//! Printing events, and waiting for one.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use tinamou_client::{Client, Closed, EventMessage, Events};
use tokio::time::timeout;

use crate::pattern::EventPattern;
use crate::{Error, Exit, Global, Output};

/// Waits for the event that `pattern` means, prints it, and ends with 0; with
/// 4 when the time of `--timeout` is over, with 6 when the server was shut
/// down before, with 5 when the connection was lost.
pub(crate) async fn wait(
    client: &Client,
    events: Events,
    pattern: &EventPattern,
    global: &Global,
    output: &Output,
) -> Result<Exit, Error> {
    let search = search(events, pattern);
    let found = match global.timeout {
        Some(time) => timeout(time, search).await.map_err(|_| Error::Late {
            event: pattern.to_string(),
            time,
        })?,
        None => search.await,
    };
    match found {
        Some(event) => print(&event, output).map(|()| Exit::Done),
        None => Err(Error::Impossible {
            event: pattern.to_string(),
            closed: client.closed().await,
        }),
    }
}

async fn search(mut events: Events, pattern: &EventPattern) -> Option<EventMessage> {
    loop {
        let event = events.next().await?;
        if pattern.matches(&event) {
            return Some(event);
        }
    }
}

/// Prints an event: a line of time, name and details; or JSON as it came.
///
/// # Errors
///
/// Standard output is closed or full.
pub(crate) fn print(event: &EventMessage, output: &Output) -> Result<(), Error> {
    output.line(&text(event, output))
}

/// What [`print`] prints.
pub(crate) fn text(event: &EventMessage, output: &Output) -> String {
    match output.is_json() {
        true => json(event),
        false => line(event, output),
    }
}

fn json(event: &EventMessage) -> String {
    let mut message = json!({
        "timestamp": {
            "seconds": event.timestamp.seconds,
            "microseconds": event.timestamp.microseconds,
        },
        "event": *event.name,
    });
    if event.data() != "{}" {
        message["data"] = event.value();
    }
    message.to_string()
}

fn line(event: &EventMessage, output: &Output) -> String {
    let time = clock(event, &TimeZone::system(), "%Y-%m-%d %H:%M:%S%.6f");
    let name = output.event_name(&event.name);
    match event.data() {
        "{}" => format!("{time}  {name}"),
        data => format!("{time}  {name}  {data}"),
    }
}

/// When the event happened, by the clock on the wall, in a format of
/// `strftime`.
pub(crate) fn clock(event: &EventMessage, zone: &TimeZone, format: &str) -> String {
    let since = event.timestamp.seconds.saturating_mul(1_000_000);
    let time = Timestamp::from_microsecond(since.saturating_add(event.timestamp.microseconds));
    match time {
        Ok(time) if event.timestamp.seconds >= 0 => {
            let time = time.to_zoned(zone.clone());
            time.strftime(format).to_string()
        }
        _ => "-".to_owned(),
    }
}

/// How a connection ended, as an exit code.
pub(crate) fn exit_of(closed: &Closed) -> Exit {
    match closed.is_orderly() {
        true => Exit::Done,
        false => Exit::Lost,
    }
}

/// Bounds `work` by the time given for all of it, if one is.
pub(crate) async fn at_most<T>(time: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match time {
        Some(time) => timeout(time, work).await.ok(),
        None => Some(work.await),
    }
}
