//! A client of QMP servers and guest agents: asynchronous, with a blocking
//! face over the same state machine.
//!
//! It knows addresses, deadlines, calls and events. It must never know a
//! terminal, nor what a command means beyond the recipes it offers.
//!
//! ```
//! # mod server { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docs/server.rs")); }
//! use tinamou_client::qmp::QueryStatus;
//! use tinamou_client::{Address, Client};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tinamou_client::Result<()> {
//! # let address = server::start();
//! // let address: Address = "/run/vm.sock".parse()?;
//! let client = Client::connect(&address).await?;
//! let status = client.call(QueryStatus {}).await?;
//! println!("it is {}", status.status);
//! # Ok(())
//! # }
//! ```

mod address;
pub mod agent;
pub mod blocking;
mod builder;
mod client;
mod closed;
mod connection;
mod deadlines;
mod error;
mod events;
mod fdset;
pub mod recipes;
mod reconnect;
mod request;
pub mod schema;
mod stream;
mod transport;

pub use address::Address;
pub use builder::Builder;
pub use client::Client;
pub use closed::Closed;
pub use deadlines::Deadlines;
pub use error::{Error, Result, Stage};
pub use events::{EventMessage, Events};
pub use fdset::FdSet;
pub use reconnect::Reconnect;
pub use request::Request;
pub use schema::Schema;
pub use stream::Stream;
pub use tinamou_interface::{qga, qmp};
pub use tinamou_qmp::client::{Greeting, QemuVersion, Timestamp, VersionInfo};
pub use tinamou_qmp::typed::{TypedCommand, TypedEvent};
pub use transport::{Listener, Tls};

/// The examples of the book's chapter, which are run as they stand there.
#[cfg(doctest)]
#[doc = include_str!("../../book/src/library/index.md")]
struct Book;
