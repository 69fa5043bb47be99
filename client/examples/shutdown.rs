//! Presses the power button, waits for the guest to shut down, and makes an
//! end of it if it does not.
//!
//! ```text
//! cargo run -p tinamou-client --example shutdown -- /run/vm.sock 60
//! ```

use std::error::Error;
use std::time::Duration;
use tinamou_client::recipes::{self, Ending, LastResort};
use tinamou_client::{Address, Client};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(address), Some(seconds)) = (words.next(), words.next()) else {
        return Err("usage: shutdown ADDRESS SECONDS".into());
    };
    let address: Address = address.parse()?;
    let grace = Duration::from_secs(seconds.parse()?);

    let client = Client::connect(&address).await?;
    match recipes::powerdown(&client, grace, LastResort::Quit).await? {
        Ending::Shutdown(shutdown) => println!("shut down: {:?}", shutdown.reason),
        Ending::Forced => println!("not within {grace:?}: made to"),
        _ => println!("over"),
    }
    Ok(())
}
