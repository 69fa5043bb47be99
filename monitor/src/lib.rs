//! The monitor: the server side of QMP and HMP, for any program to embed.
//!
//! A program lists its commands in a [`Table`] (QMP) and an [`Hmp`] registry,
//! starts a [`Server`] with them, and gives each of the server's [`Monitor`]s
//! its [`Connection`]s. Sessions live on an [`IoThread`]; commands run on the
//! program's own main loop, which takes them from a [`MainLoop`]. Events go
//! out by an [`EventBus`], from any thread.
//!
//! It knows sessions, dispatch and lines of text. It must never know a
//! machine, a device or a kind of transport. `examples/lamp.rs` is a whole
//! program with a monitor.
#![forbid(unsafe_code)]

mod call;
mod connection;
mod control;
mod events;
pub mod hmp;
mod io_thread;
mod mailbox;
mod main_loop;
mod outbox;
mod readline;
mod server;
mod table;

pub use call::{Call, Responder};
pub use connection::{Connection, FdInbox, Stream};
pub use events::{Clock, EventBus, QEMU_RULES, Rule};
pub use hmp::Hmp;
pub use io_thread::IoThread;
pub use main_loop::{Job, MainLoop};
pub use server::{Config, DEFAULT_OUTPUT_LIMIT, Mode, Monitor, MonitorId, Server};
pub use table::Table;
