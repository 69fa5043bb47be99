//! The crate seen from outside: functions on a host's buses, driven as a guest drives them.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod bars;
mod config;
mod fuzz;
mod hotplug;
mod rig;
