//! The guest agent: the same client, once both sides agree where they are,
//! and what takes several of the agent's commands to do.
//!
//! An agent's channel outlives both of them, so it may hold half a request of
//! a client that died and half a reply that nobody read. A client made with
//! [`Builder::agent`](crate::Builder::agent) clears that before its first
//! call.
//!
//! ```no_run
//! use tinamou_client::agent::{self, GuestProgram};
//! use tinamou_client::Client;
//!
//! # async fn example() -> tinamou_client::Result<()> {
//! let client = Client::builder().agent().connect(&"/run/ga.sock".parse()?).await?;
//! let name = agent::read(&client, "/etc/hostname", 4096).await?;
//! println!("in {}", String::from_utf8_lossy(&name));
//!
//! let uname = GuestProgram::new("uname").arg("-a").run(&client).await?;
//! println!("{}", String::from_utf8_lossy(&uname.stdout()?));
//! # Ok(())
//! # }
//! ```

mod exec;
mod file;
mod sync;

pub use exec::{Finished, GuestProgram, Piece, Running};
pub use file::{CHUNK, GuestFile, read, write};
pub use sync::resynchronise;
pub(crate) use sync::synchronise;

use crate::{Error, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Bytes as the agent sends them.
fn decode(text: &str) -> Result<Vec<u8>> {
    let bytes = BASE64_STANDARD.decode(text);
    bytes.map_err(|error| Error::Protocol(format!("the agent's base64: {error}")))
}

/// Bytes as the agent wants them.
fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}
