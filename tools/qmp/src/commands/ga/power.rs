//! Shutting a guest down and suspending it. The agent answers failures only:
//! after success there is nobody left to answer.

use clap::ValueEnum;
use serde_json::json;
use tinamou_client::Client;
use tinamou_interface::qga::{
    GuestShutdown, GuestSuspendDisk, GuestSuspendHybrid, GuestSuspendRam,
};

use crate::{Error, Exit, Output};

/// Where a guest's memory is while it is suspended.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Suspension {
    /// On the guest's disk; the machine powers off
    Disk,
    /// In memory, which stays powered
    Ram,
    /// In both
    Hybrid,
}

/// Ends the guest in one of the agent's modes.
pub(super) async fn shut_down(client: &Client, mode: &str, output: &Output) -> Result<Exit, Error> {
    let mode = Some(mode.to_owned());
    client.call(GuestShutdown { mode }).await?;
    output.value(&json!({}))?;
    Ok(Exit::Done)
}

/// Suspends the guest.
pub(super) async fn suspend(
    client: &Client,
    to: Suspension,
    output: &Output,
) -> Result<Exit, Error> {
    match to {
        Suspension::Disk => client.call(GuestSuspendDisk).await?,
        Suspension::Ram => client.call(GuestSuspendRam).await?,
        Suspension::Hybrid => client.call(GuestSuspendHybrid).await?,
    };
    output.value(&json!({}))?;
    Ok(Exit::Done)
}
