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
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long a guest that is busy with a slot is left alone.
const PAUSE: Duration = Duration::from_millis(100);

/// Unplugs a device and waits until the guest has let go of it. A guest that
/// is still busy with the device's slot, as it is shortly after the device was
/// plugged, is asked again.
///
/// # Errors
/// There is no such device, the guest refuses, or takes longer than the
/// deadline; it may still let go later.
pub async fn unplug(client: &Client, id: &str, deadline: Duration) -> Result<()> {
    let began = Instant::now();
    let mut left = deadline;
    loop {
        match unplug_once(client, id, left).await {
            Err(error) if is_busy(&error) && left > PAUSE => sleep(PAUSE).await,
            result => return result,
        }
        left = deadline.saturating_sub(began.elapsed());
    }
}

async fn unplug_once(client: &Client, id: &str, deadline: Duration) -> Result<()> {
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

/// Whether the guest has not done yet with what happened to the slot before.
/// Nothing but QEMU's wording tells.
fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Command { desc, .. } if desc.contains("guest is busy"))
}
