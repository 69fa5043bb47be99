//! Boards, run state, hart threads, firmware and kernel loading, and the qtest protocol.
//!
//! A [`Machine`] is owned by the main loop. It knows boards, devices and harts, and tells an
//! [`Observer`] what happens; it must never know a monitor, a command line or a character device.
#![forbid(unsafe_code)]

mod boot;
pub mod config;
mod cpu;
mod device_memory;
mod error;
pub mod fdt;
mod loader;
mod machine;
mod memory;
pub mod qtest;
mod requests;
pub mod run_state;
mod under_test;
mod virt;

pub use config::{MachineConfig, MainMemory};
pub use device_memory::{NewMemory, PlaceError, PlacedMemory};
pub use error::{Error, LoadError};
pub use loader::{Payload, Rom};
pub use machine::{Machine, Observer, Progress, ResetHook};
pub use requests::Requests;
pub use run_state::{Event, RunState, RunStateCell, ShutdownCause};
pub use under_test::LineReport;
pub use virt::{PciWindows, Range, Virt};
