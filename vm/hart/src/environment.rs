//! What a hart needs from the machine around it: time, its sibling harts, a console and a switch.

use std::sync::Arc;

use crate::HartControl;

/// How many ticks of [`Environment::time`] make a second.
pub const TIME_FREQUENCY: u64 = 10_000_000;

/// The machine as a hart and its built-in firmware see it.
pub trait Environment: Send + Sync {
    /// `mtime`: [`TIME_FREQUENCY`] ticks a second while the machine runs, still while it does not.
    fn time(&self) -> u64;

    /// The handles of all harts of the machine, in order of their ids.
    fn harts(&self) -> &[Arc<HartControl>];

    /// Takes bytes for the firmware's console; says how many (fewer when it is full).
    fn console_write(&self, bytes: &[u8]) -> usize;

    /// The next byte typed on the firmware's console.
    fn console_read(&self) -> Option<u8>;

    /// The guest asks for a reset or to be switched off. The hart then waits to be paused.
    fn system_reset(&self, reset: SystemReset);
}

/// What SBI's system reset extension can ask for (SBI 3.0 §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemReset {
    /// Switch off; `failure` when the guest says that the system failed.
    Shutdown {
        /// Whether the guest gave the reason "system failure".
        failure: bool,
    },
    /// Power down and up again.
    Cold,
    /// Reset the harts.
    Warm,
}
