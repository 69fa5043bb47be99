//! Runs a program inside the guest, with its output here while it runs.
//!
//! ```text
//! cargo run -p tinamou-client --example agent -- /run/ga.sock apt-get update
//! ```

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use tinamou_client::agent::{GuestProgram, Piece};
use tinamou_client::qga::GuestGetHostName;
use tinamou_client::{Address, Client};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(address), Some(program)) = (words.next(), words.next()) else {
        return Err("usage: agent ADDRESS PROGRAM [ARGUMENT…]".into());
    };
    let address: Address = address.parse()?;

    // Whatever an earlier client left in the channel is cleared here.
    let client = Client::builder().agent().connect(&address).await?;
    eprintln!("in {}:", client.call(GuestGetHostName {}).await?.host_name);

    let program = GuestProgram::new(program).args(words);
    let mut running = program.stream(&client).await?;
    while let Some(piece) = running.next().await? {
        match piece {
            Piece::Stdout(bytes) => std::io::stdout().write_all(&bytes)?,
            Piece::Stderr(bytes) => std::io::stderr().write_all(&bytes)?,
        }
    }
    let code = running.finish().await?.code();
    let code = code.and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
