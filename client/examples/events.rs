//! Prints the events of a machine until it ends.
//!
//! ```text
//! cargo run -p tinamou-client --example events -- /run/vm.sock
//! cargo run -p tinamou-client --example events -- /run/vm.sock STOP RESUME
//! ```

use std::error::Error;
use tinamou_client::qmp::BlockIoErrorEvent;
use tinamou_client::{Address, Client};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let address: Address = words
        .next()
        .ok_or("usage: events ADDRESS [NAME…]")?
        .parse()?;
    let names: Vec<String> = words.collect();

    let client = Client::connect(&address).await?;
    let mut events = client.events();
    if !names.is_empty() {
        events = events.only(names);
    }
    while let Some(event) = events.next().await {
        // An event can be read as its type, or taken as it is.
        match event.typed::<BlockIoErrorEvent>()? {
            Some(error) => println!("{}: {} fails: {}", event.name, error.device, error.reason),
            None => println!("{}: {}", event.name, event.data()),
        }
    }
    println!(
        "{} ({} events missed)",
        client.closed().await,
        events.dropped()
    );
    Ok(())
}
