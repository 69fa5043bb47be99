//! Unplugs a device and waits until the guest has let go of it. The event is
//! waited for from before the command is sent, so it cannot be missed.
//!
//! ```text
//! cargo run -p tinamou-client --example unplug -- /run/vm.sock nic0
//! ```

use std::error::Error;
use std::time::Duration;
use tinamou_client::qmp::DeviceDel;
use tinamou_client::{Address, Client};

/// A guest may be booting, or hold on to a device that it uses.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(address), Some(id)) = (words.next(), words.next()) else {
        return Err("usage: unplug ADDRESS ID".into());
    };
    let address: Address = address.parse()?;
    let client = Client::connect(&address).await?;

    // As for any command that is done only when an event says so. For this one
    // `recipes::unplug` also tells the guest's refusal.
    let is_gone = |event: &tinamou_client::EventMessage| {
        &*event.name == "DEVICE_DELETED" && event.member("device") == Some(id.as_str().into())
    };
    let command = DeviceDel { id: id.clone() };
    let (_, event) = client.call_and_wait(command, is_gone, PATIENCE).await?;
    println!("{id} is gone: {}", event.data());
    Ok(())
}
