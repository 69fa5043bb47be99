//! Connecting, with the options that all subcommands share.

use std::time::Duration;

use tinamou_client::{Address, Builder, Client, Deadlines, Request};

use crate::{Error, Global};

/// Connects to a monitor.
///
/// # Errors
///
/// Nobody is there, does not answer in time, or is no QMP server.
pub async fn connect(address: &Address, global: &Global) -> Result<Client, Error> {
    Ok(builder(address, global)?.connect(address).await?)
}

/// Connects to a guest agent, which neither greets nor negotiates.
///
/// # Errors
///
/// Nobody is there, or does not answer in time.
pub async fn agent(address: &Address, global: &Global) -> Result<Client, Error> {
    let builder = builder(address, global)?.agent();
    Ok(builder.connect(address).await?)
}

/// A client to be, with the deadlines and credentials of the command line.
///
/// # Errors
///
/// The address wants credentials, and they cannot be used.
pub fn builder(address: &Address, global: &Global) -> Result<Builder, Error> {
    let builder = Client::builder().deadlines(deadlines(global));
    Ok(match address {
        Address::Tls { .. } => builder.tls(global.credentials.client()?),
        _ => builder,
    })
}

/// A client of a server that is being started, which has this long to greet
/// and to obey for the first time, unless the command line wishes otherwise.
pub fn starting(global: &Global, time: Duration) -> Builder {
    let mut deadlines = deadlines(global);
    if global.timeout.is_none() {
        deadlines.greeting = time;
        deadlines.negotiation = time;
    }
    Client::builder().deadlines(deadlines)
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
