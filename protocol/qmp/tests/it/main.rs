//! The wire against recorded answers of QEMU 10.0.2, and against itself.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod chunks;
mod client;
mod fuzz;
mod keyval;
mod limits;
mod qemu;
mod rows;
mod server;
mod session;
mod visit;
mod writer;
