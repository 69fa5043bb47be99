//! Runs a command and prints what it returns.
//!
//! ```text
//! cargo run -p tinamou-client --example run -- /run/vm.sock query-status
//! cargo run -p tinamou-client --example run -- /run/vm.sock device_del '{"id": "nic0"}'
//! ```

use serde_json::{Value, json};
use std::error::Error;
use std::process::ExitCode;
use tinamou_client::{Address, Client};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(address), Some(command)) = (words.next(), words.next()) else {
        return Err("usage: run ADDRESS COMMAND [ARGUMENTS]".into());
    };
    let address: Address = address.parse()?;
    let arguments: Value = match words.next() {
        Some(text) => serde_json::from_str(&text)?,
        None => json!({}),
    };

    let client = Client::connect(&address).await?;
    match client.execute(&command, arguments).await {
        Ok(value) => {
            println!("{value:#}");
            Ok(ExitCode::SUCCESS)
        }
        // The server says no. All else is trouble with the connection.
        Err(error) if error.class().is_some() => {
            eprintln!("{command}: {error}");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}
