//! Ends of a machine.

use crate::{Client, Closed, Error, Events, Result, Stage};
use serde::Deserialize;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// That a machine was shut down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Shutdown {
    /// Whether the guest asked for it.
    pub guest: bool,
    /// Why, such as `guest-shutdown`; unknown if it was before we looked.
    pub reason: Option<String>,
}

/// What to do with a guest that does not shut down.
#[non_exhaustive]
pub enum LastResort {
    /// Leave it as it is.
    Nothing,
    /// Tell the server to `quit`.
    Quit,
    /// Call this, which kills the server's process. For a server that may not
    /// even answer.
    Kill(Box<dyn FnOnce() -> io::Result<()> + Send>),
}

impl fmt::Debug for LastResort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Quit => "Quit",
            Self::Kill(_) => "Kill",
        })
    }
}

/// How a machine came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// It was shut down.
    Shutdown(Shutdown),
    /// It was made to, by the last resort.
    Forced,
}

/// Waits until the machine is shut down. One that was shut down already, and
/// stays (`-no-shutdown`), counts.
///
/// # Errors
/// It was not within the deadline, or the connection ended otherwise.
pub async fn wait_for_shutdown(client: &Client, deadline: Duration) -> Result<Shutdown> {
    let events = client.events();
    if is_shut_down(client).await? {
        return Ok(Shutdown::default());
    }
    shutdown_event(client, events, deadline).await
}

/// Presses the power button and waits for the guest to shut down; if it does
/// not in time, takes to the last resort.
///
/// # Errors
/// The guest did not shut down and there is no last resort, or that failed.
pub async fn powerdown(client: &Client, grace: Duration, resort: LastResort) -> Result<Ending> {
    let events = client.events();
    let began = Instant::now();
    let asked = match client.execute("system_powerdown", ()).await {
        Ok(_) => {
            let left = grace.saturating_sub(began.elapsed());
            shutdown_event(client, events, left).await
        }
        // It may have been shut down before we could ask.
        Err(error) => ended_by_shutdown(error),
    };
    let late = match asked {
        Ok(shutdown) => return Ok(Ending::Shutdown(shutdown)),
        Err(error) => error,
    };
    match resort {
        LastResort::Nothing => return Err(late),
        LastResort::Quit => quit(client, grace).await?,
        LastResort::Kill(kill) => {
            kill()?;
            let closed = timeout(grace, client.closed()).await;
            closed.map_err(|_| unresponsive(grace, ""))?;
        }
    }
    Ok(Ending::Forced)
}

/// Tells the server to quit, and waits until it has gone.
///
/// # Errors
/// It is still there at the deadline.
pub async fn quit(client: &Client, deadline: Duration) -> Result<()> {
    let gone = async {
        match client.request("quit", ()).deadline(deadline).await {
            Ok(_) | Err(Error::Disconnected { .. }) => {}
            Err(error) => return Err(error),
        }
        client.closed().await;
        Ok(())
    };
    let gone = timeout(deadline, gone).await;
    gone.map_err(|_| unresponsive(deadline, "quit"))?
}

async fn is_shut_down(client: &Client) -> Result<bool> {
    match client.execute("query-status", ()).await {
        Ok(status) => Ok(status["status"] == "shutdown"),
        Err(error) => ended_by_shutdown(error).map(|_| true),
    }
}

async fn shutdown_event(client: &Client, events: Events, deadline: Duration) -> Result<Shutdown> {
    let wait = client.wait(events, |event| &*event.name == "SHUTDOWN", deadline);
    match wait.await {
        Ok(event) => event.decode(),
        Err(error) => ended_by_shutdown(error),
    }
}

/// A connection that ended because the machine did is what was waited for.
fn ended_by_shutdown(error: Error) -> Result<Shutdown> {
    match error {
        Error::Disconnected {
            closed: Closed::Shutdown { guest, reason },
            ..
        } => Ok(Shutdown { guest, reason }),
        error => Err(error),
    }
}

fn unresponsive(after: Duration, command: &str) -> Error {
    Error::Unresponsive {
        stage: Stage::Event,
        after,
        command: command.to_owned(),
    }
}
