//! Registers of the advanced interrupt architecture, Smaia and Ssaia (RISC-V AIA 1.0 §2): the
//! most urgent interrupt of a level, and the way to the hart's interrupt files.

use super::interrupt;
use crate::Hart;
use crate::InterruptFile;
use crate::isa::Extension;
use crate::state::Privilege;

const MVIEN: u16 = 0x308;
const MVIP: u16 = 0x309;
const MISELECT: u16 = 0x350;
const MIREG: u16 = 0x351;
const MTOPEI: u16 = 0x35c;
const MTOPI: u16 = 0xfb0;
const SISELECT: u16 = 0x150;
const SIREG: u16 = 0x151;
const STOPEI: u16 = 0x15c;
const STOPI: u16 = 0xdb0;

/// What can be selected.
const SELECT: u64 = 0x1ff;

/// A way to change a value.
type Change<'a> = Option<&'a dyn Fn(u64) -> u64>;

impl Hart {
    pub(super) fn read_aia(&self, number: u16) -> Option<u64> {
        let csrs = &self.state.csrs;
        match number {
            MVIEN..=MVIP | MISELECT..=MIREG | MTOPEI | MTOPI => self.has(Extension::Smaia)?,
            _ => self.has(Extension::Ssaia)?,
        }
        match number {
            // No interrupt is virtual (§5.3 lets `mvien` be zero).
            MVIEN => Some(0),
            MVIP => Some(csrs.mip & self.writable_mip()),
            MISELECT => Some(csrs.miselect),
            SISELECT => Some(csrs.siselect),
            MTOPI => Some(self.top(!csrs.mideleg)),
            STOPI => Some(self.top(csrs.mideleg)),
            _ => self.access_indirect(number, None),
        }
    }

    /// Follows a write; whether there is such a register.
    pub(super) fn write_aia(&mut self, number: u16, value: u64) -> Option<()> {
        self.read_aia(number)?;
        match number {
            MVIP => self.write_mip(value),
            MISELECT => self.state.csrs.miselect = value & SELECT,
            SISELECT => self.state.csrs.siselect = value & SELECT,
            _ => {}
        }
        Some(())
    }

    /// Whether a register must be read and written in one step, since messages change it too.
    pub(super) fn is_indirect(number: u16) -> bool {
        matches!(number, MIREG | SIREG | MTOPEI | STOPEI)
    }

    /// Reads a register of that kind and, with a `change`, writes it. A write to `mtopei` or
    /// `stopei` claims what was read, whatever is written (§3.10).
    pub(super) fn access_indirect(&self, number: u16, change: Change<'_>) -> Option<u64> {
        let csrs = &self.state.csrs;
        let (extension, level, select) = match number {
            MIREG | MTOPEI => (Extension::Smaia, Privilege::Machine, csrs.miselect),
            _ => (Extension::Ssaia, Privilege::Supervisor, csrs.siselect),
        };
        self.has(extension)?;
        match (number, select) {
            (MTOPEI | STOPEI, _) => Some(self.file(level)?.top(change.is_some())),
            // All priorities are the default ones, which read as zero (§5.2.1).
            (_, 0x30..=0x3f) => select.is_multiple_of(2).then_some(0),
            _ => self.file(level)?.access(select, change),
        }
    }

    fn file(&self, level: Privilege) -> Option<&dyn InterruptFile> {
        self.environment.interrupt_file(self.control.id(), level)
    }

    /// The most urgent of the pending and enabled interrupts in `mask`, at the priority that all
    /// have (§5.2.2).
    fn top(&self, mask: u64) -> u64 {
        let candidates = self.mip() & self.state.csrs.mie & mask;
        interrupt::most_urgent(candidates).map_or(0, |number| number << 16 | 1)
    }

    fn has(&self, extension: Extension) -> Option<()> {
        self.config.isa.has(extension).then_some(())
    }
}
