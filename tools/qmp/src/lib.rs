//! The toolbox `qmp`: one binary whose subcommands drive, watch, record and
//! test QMP servers, be they QEMU, its storage daemon, a guest agent or
//! `tinamou`.
//!
//! It knows terminals, exit codes and what people type. It must never know
//! how a server works inside.

pub mod arguments;
mod cli;
pub mod commands;
pub mod connect;
mod error;
mod exit;
mod follow;
mod known;
pub mod listen;
pub mod output;
pub mod pattern;
pub mod proxy;
pub mod recording;
mod shell;
mod tls;
mod top;
mod watch;

pub use cli::{Cli, Command, Global, main};
pub use error::Error;
pub use exit::Exit;
pub use output::Output;
pub use tls::Credentials;
