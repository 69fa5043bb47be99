//! Connecting, with the options that all subcommands share.

use tinamou_client::{Address, Client, Deadlines, Request};

use crate::{Error, Global};

/// Connects to a monitor.
///
/// # Errors
///
/// Nobody is there, does not answer in time, or is no QMP server.
pub async fn connect(address: &Address, global: &Global) -> Result<Client, Error> {
    let client = Client::builder().deadlines(deadlines(global));
    Ok(client.connect(address).await?)
}

/// Connects to a guest agent, which neither greets nor negotiates.
///
/// # Errors
///
/// Nobody is there, or does not answer in time.
pub async fn agent(address: &Address, global: &Global) -> Result<Client, Error> {
    let client = Client::builder().deadlines(deadlines(global)).agent();
    Ok(client.connect(address).await?)
}

/// How long to wait for what, as the command line wishes.
fn deadlines(global: &Global) -> Deadlines {
    match global.timeout {
        Some(time) => Deadlines {
            connect: time,
            greeting: time,
            negotiation: time,
            call: time,
        },
        None => Deadlines::default(),
    }
}

/// The request with the deadline that the command line wishes; without a wish
/// it keeps its own.
pub fn within<'a>(request: Request<'a>, global: &Global) -> Request<'a> {
    match global.timeout {
        Some(time) => request.deadline(time),
        None => request,
    }
}
