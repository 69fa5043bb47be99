//! The guest agent: the same client, once both sides agree where they are.
//!
//! An agent's channel outlives both of them, so it may hold half a request of
//! a client that died and half a reply that nobody read. `guest-sync-delimited`
//! clears that, as long as it takes the agent to come up.

use crate::connection::{Connection, Waiter};
use crate::{Error, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tinamou_qmp::client::Request;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long to wait before the agent is asked again: it may not run yet, and
/// what is sent to a port that nobody has open is lost.
const PATIENCE: Duration = Duration::from_millis(500);

const SYNC: &str = "guest-sync-delimited";

/// Asks the agent to synchronise until it does. The connection's task does not
/// run yet.
pub(crate) async fn synchronise(connection: &Connection) -> Result<()> {
    let mut number = starting_number();
    loop {
        number += 1;
        let answer = ask(connection, number)?;
        let driven = async {
            tokio::select! {
                answer = answer => Ok(answer),
                closed = connection.run() => Err(closed),
            }
        };
        match timeout(PATIENCE, driven).await {
            Ok(Ok(Ok(Ok(Ok(reply))))) if reply.get().parse() == Ok(number) => return Ok(()),
            Ok(Ok(Ok(Ok(Err(error))))) => return Err(Error::Negotiation(error.desc)),
            Ok(Err(closed) | Ok(Ok(Err(closed)))) => {
                return Err(closed.into_error(""));
            }
            _ => {}
        }
    }
}

fn ask(
    connection: &Connection,
    number: u64,
) -> Result<oneshot::Receiver<crate::connection::Outcome>> {
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
    connection.submit(&request, waiter)?;
    Ok(answer)
}

/// A number that earlier clients of the same channel will not have used.
fn starting_number() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_millis());
    u64::try_from(now & 0xFFFF_FFFF_FFFF).unwrap_or_default() << 4
}
