//! A QMP server that is made up, for tests of clients and of checks.
//!
//! A [`Mock`] takes connections like a server. It checks every command
//! against a [`Schema`], answers by its [`Rules`] (or any other [`Script`]),
//! and where no rule says anything makes a return value up from the schema.
//! Sessions themselves are `tinamou`'s own, so negotiation, envelopes, ids
//! and error texts are QEMU's, until a [`Fault`] is planted.
//!
//! It knows the protocol and no machine: nothing behind it runs.
#![forbid(unsafe_code)]

mod answer;
mod base;
mod error;
mod fault;
mod intake;
mod message;
mod mock;
mod outlet;
pub mod pattern;
mod rules;
mod schema;
mod session;

pub use answer::{Answer, Happening, Outcome, Received, Script};
pub use error::{Error, Result};
pub use fault::{Fault, Planted};
pub use mock::{Builder, Mock, Origin};
pub use rules::Rules;
pub use schema::{Leniency, Schema};
