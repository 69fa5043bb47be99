//! The parts of the `tinamou` binary, as a library so that tests can reach them.

pub mod backends;
pub mod blocks;
pub mod commands;
pub mod daemon;
pub mod devices;
pub mod events;
pub mod fds;
pub mod hmp;
pub mod log;
pub mod netdevs;
pub mod objects;
pub mod options;
mod qtest;
mod run;
mod serial;
pub mod vm;

pub use run::{Failure, run};
