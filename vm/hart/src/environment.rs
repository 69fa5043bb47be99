//! What a hart needs from the machine around it: time, its sibling harts, a console and a switch.

use std::sync::Arc;

use crate::{HartControl, Privilege};

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

    /// The interrupt file of a hart's machine or supervisor mode, where the board has any.
    fn interrupt_file(&self, hart: u64, level: Privilege) -> Option<&dyn InterruptFile> {
        let _ = (hart, level);
        None
    }

    /// The guest asks for a reset or to be switched off. The hart then waits to be paused.
    fn system_reset(&self, reset: SystemReset);
}

/// An interrupt file of an incoming MSI controller, as its hart sees it (RISC-V AIA 1.0 §3).
pub trait InterruptFile: Send + Sync {
    /// Reads the register that `select` names and, with a `change`, writes what that makes of its
    /// value, in one step. `None` when there is no such register.
    fn access(&self, select: u64, change: Option<&dyn Fn(u64) -> u64>) -> Option<u64>;

    /// The value of `mtopei` or `stopei`; with `claim` that interrupt is pending no longer.
    fn top(&self, claim: bool) -> u64;
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
