//! The compiler against schemas of its own, against QEMU's, and against noise.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod cases;
mod introspection;
mod noise;
mod output;
mod qemu;
mod recover;
mod reply;
mod whole;
