//! The QMP wire, sans-I/O: JSON reading and writing with QEMU's rules, the
//! visitors that fill generated types, error classes and their wording, and
//! the state machines of a session's two sides.
//!
//! It knows bytes, values and messages. It must never know a socket, a clock,
//! a task or a machine: time and bytes are passed in, actions are handed out.
#![forbid(unsafe_code)]

pub mod client;
pub mod command;
pub mod error;
mod hash_order;
pub mod introspect;
pub mod json;
pub mod keyval;
pub mod session;
pub mod typed;
pub mod value;
pub mod visit;

pub use command::{Command, CommandSpec, Event};
pub use error::{Error, ErrorClass, Result};
pub use value::{Object, Value};
pub use visit::{Kind, Name, Source, ValueSource, Visit, VisitMembers};
