//! Cycle, time and retired-instruction counters (priv §3.1.10, unpriv "Zicntr"). A cycle passes
//! with each instruction; the performance counters are zero.

use super::{Effect, counter};
use crate::Hart;
use crate::isa::Extension;
use crate::state::Privilege;

/// A counter of instructions that software may set and stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// What to add to the number of instructions executed.
    ahead: u64,
    /// The value at which it stands while inhibited.
    stopped: Option<u64>,
}

impl Counter {
    fn value(self, retired: u64) -> u64 {
        self.stopped.unwrap_or(self.ahead.wrapping_add(retired))
    }

    fn set(&mut self, value: u64, retired: u64) {
        self.ahead = value.wrapping_sub(retired);
        if self.stopped.is_some() {
            self.stopped = Some(value);
        }
    }

    fn stop(&mut self, stop: bool, retired: u64) {
        match (stop, self.stopped) {
            (true, None) => self.stopped = Some(self.value(retired)),
            (false, Some(value)) => {
                self.stopped = None;
                self.set(value, retired);
            }
            _ => {}
        }
    }
}

const MCYCLE: u16 = 0xb00;
const MINSTRET: u16 = 0xb02;

impl Hart {
    pub(super) fn read_counter(&self, number: u16) -> Option<u64> {
        let csrs = &self.state.csrs;
        if number & 0xf00 == 0xc00 && !self.may_read_counter(number & 31) {
            return None;
        }
        let index = u64::from(number & 31);
        match 1 << index {
            counter::CY => Some(csrs.cycle.value(self.retired)),
            counter::IR => Some(csrs.instret.value(self.retired)),
            counter::TM if number & 0xf00 == 0xc00 => Some(self.environment.time()),
            counter::TM => None,
            _ => Some(0),
        }
    }

    pub(super) fn write_counter(&mut self, number: u16, value: u64) -> Option<Effect> {
        // The value read by the following instruction is the one written (unpriv "Zicntr").
        let retired = self.retired.wrapping_add(1);
        let csrs = &mut self.state.csrs;
        match number {
            MCYCLE => csrs.cycle.set(value, retired),
            MINSTRET => csrs.instret.set(value, retired),
            _ => {}
        }
        Some(Effect::None)
    }

    /// Follows a write to `mcountinhibit`.
    pub(super) fn inhibit_counters(&mut self, value: u64) {
        let retired = self.retired.wrapping_add(1);
        let csrs = &mut self.state.csrs;
        csrs.mcountinhibit = value & (counter::CY | counter::IR);
        csrs.cycle.stop(value & counter::CY != 0, retired);
        csrs.instret.stop(value & counter::IR != 0, retired);
    }

    /// Whether the present mode has the user-mode view of a counter (priv §3.1.11, §12.1.5).
    fn may_read_counter(&self, index: u16) -> bool {
        let extension = if index < 3 {
            Extension::Zicntr
        } else {
            Extension::Zihpm
        };
        let csrs = &self.state.csrs;
        let enabled = match self.state.privilege {
            Privilege::Machine => u64::MAX,
            Privilege::Supervisor => csrs.mcounteren,
            Privilege::User => csrs.mcounteren & csrs.scounteren,
        };
        self.config.isa.has(extension) && enabled >> index & 1 != 0
    }
}
