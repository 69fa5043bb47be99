//! `guest-sync-delimited`, as long as it takes the agent to come up.

use crate::builder::within;
use crate::connection::{Connection, Outcome, Waiter};
use crate::{Client, Error, Result, Stage};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tinamou_qmp::client::{Request, RequestId};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long to wait before the agent is asked again: it may not run yet, and
/// what is sent to a port that nobody has open is lost.
const PATIENCE: Duration = Duration::from_millis(500);

const SYNC: &str = "guest-sync-delimited";

/// Agrees with the agent anew on where replies begin: for an agent that was
/// started again on the same channel, when the guest rebooted or a call has
/// not been answered. Calls that are under way meanwhile may lose their
/// replies.
///
/// # Errors
/// The agent does not answer within the deadline, or the connection ended.
pub async fn resynchronise(client: &Client, deadline: Duration) -> Result<()> {
    let connection = client.connection();
    within(Stage::Synchronisation, deadline, settle(&connection)).await
}

/// The same for a connection whose task does not run yet.
pub(crate) async fn synchronise(connection: &Connection) -> Result<()> {
    tokio::select! {
        settled = settle(connection) => settled,
        closed = connection.run() => Err(closed.into_error("")),
    }
}

/// Asks until it is answered.
async fn settle(connection: &Connection) -> Result<()> {
    let mut number = starting_number();
    loop {
        number += 1;
        let (id, answer) = ask(connection, number)?;
        match timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(Ok(reply)))) if reply.get().parse() == Ok(number) => return Ok(()),
            Ok(Ok(Ok(Err(error)))) => return Err(Error::Negotiation(error.desc)),
            Ok(Ok(Err(closed))) => return Err(closed.into_error("")),
            // An answer to somebody else's question, or none at all.
            Ok(_) | Err(_) => connection.forget(id),
        }
    }
}

fn ask(connection: &Connection, number: u64) -> Result<(RequestId, oneshot::Receiver<Outcome>)> {
    let (reply, answer) = oneshot::channel();
    let arguments = format!(r#"{{"id":{number}}}"#);
    let request = Request {
        command: SYNC,
        arguments: arguments.as_bytes(),
        oob: false,
        id: None,
        carries: false,
    };
    connection.resynchronise();
    let waiter = Waiter {
        reply,
        fds: Vec::new(),
    };
    Ok((connection.submit(&request, waiter)?, answer))
}

/// A number that earlier clients of the same channel will not have used.
fn starting_number() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_millis());
    u64::try_from(now & 0xFFFF_FFFF_FFFF).unwrap_or_default() << 4
}
