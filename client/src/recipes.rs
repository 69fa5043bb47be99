//! What everybody who drives virtual machines does again and again, without
//! the races: each recipe begins to listen before it asks.

mod block;
mod migrate;
mod power;
mod screen;

pub use block::Job;
pub use migrate::migrate;
pub use power::{Ending, LastResort, Shutdown, powerdown, quit, wait_for_shutdown};
pub use screen::screenshot;

use crate::{Client, Error, Result};
use serde_json::json;
use std::time::Duration;

/// Unplugs a device and waits until the guest has let go of it.
///
/// # Errors
/// There is no such device, the guest refuses, or takes longer than the
/// deadline; it may still let go later.
pub async fn unplug(client: &Client, id: &str, deadline: Duration) -> Result<()> {
    let is_ours = |event: &crate::EventMessage| {
        ["device", "path"]
            .iter()
            .any(|name| event.member(name) == Some(json!(id)))
    };
    let ended = ["DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR"];
    let wait = client.execute_and_wait(
        "device_del",
        json!({"id": id}),
        |event| ended.contains(&&*event.name) && is_ours(event),
        deadline,
    );
    let (_, event) = wait.await?;
    match &*event.name {
        "DEVICE_DELETED" => Ok(()),
        _ => Err(Error::Failed {
            what: format!("unplugging {id}"),
            reason: "the guest refused".to_owned(),
        }),
    }
}
