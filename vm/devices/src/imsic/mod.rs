//! The incoming MSI controller (RISC-V AIA 1.0 §3): for a privilege level of every hart an
//! interrupt file, which keeps the messages that were written to its page until its hart takes
//! them.

mod spec;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_memory::Mmio;

use crate::{IrqLine, MsiSink};
pub use spec::{IDENTITIES, PAGE};
use spec::{Register, SETEIPNUM_LE, WORDS};

/// The registers of a file, as saved and restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether the file interrupts its hart.
    pub delivery: bool,
    /// The identity from which on none interrupts; 0 for no limit.
    pub threshold: u64,
    /// Identities that were written to the page and not yet claimed.
    pub pending: [u64; WORDS],
    /// Identities that interrupt.
    pub enable: [u64; WORDS],
}

/// The interrupt file of one privilege level of one hart.
#[derive(Debug)]
pub struct InterruptFile {
    output: IrqLine,
    state: Mutex<State>,
}

impl InterruptFile {
    fn new(output: IrqLine) -> Self {
        Self {
            output,
            state: Mutex::default(),
        }
    }

    /// Reads the register that `select` names and, with a `change`, writes what that makes of its
    /// value, in one step. `None` when there is no such register.
    pub fn access(&self, select: u64, change: Option<&dyn Fn(u64) -> u64>) -> Option<u64> {
        let register = Register::selected(select)?;
        let mut state = self.lock();
        let value = state.read(register);
        if let Some(change) = change {
            state.write(register, change(value));
            self.update(&state);
        }
        Some(value)
    }

    /// The most urgent identity that is pending and enabled, as `mtopei` and `stopei` tell it; 0
    /// for none. With `claim` it is pending no longer.
    pub fn top(&self, claim: bool) -> u64 {
        let mut state = self.lock();
        let Some(identity) = state.best() else {
            return 0;
        };
        if claim {
            state.pending[identity / 64] &= !(1 << (identity % 64));
            self.update(&state);
        }
        (identity << 16 | identity) as u64
    }

    /// Makes an identity pending, as a message does; one that does not exist is ignored.
    pub fn set_pending(&self, identity: u32) {
        let identity = identity as usize;
        if identity == 0 || identity >= IDENTITIES {
            return;
        }
        let mut state = self.lock();
        state.pending[identity / 64] |= 1 << (identity % 64);
        self.update(&state);
    }

    fn reset(&self) {
        let mut state = self.lock();
        *state = State::default();
        self.update(&state);
    }

    fn update(&self, state: &State) {
        self.output.set(state.delivery && state.best().is_some());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The lowest identity that is pending, enabled and below the threshold.
    fn best(&self) -> Option<usize> {
        let words = self.pending.iter().zip(&self.enable).enumerate();
        let ready = words.map(|(word, (pending, enable))| (word, pending & enable));
        let (word, bits) = ready.into_iter().find(|(_, bits)| *bits != 0)?;
        let identity = word * 64 + bits.trailing_zeros() as usize;
        (self.threshold == 0 || (identity as u64) < self.threshold).then_some(identity)
    }

    fn read(&self, register: Register) -> u64 {
        match register {
            Register::Delivery => self.delivery.into(),
            Register::Threshold => self.threshold,
            Register::Pending(word) => self.pending[word],
            Register::Enable(word) => self.enable[word],
            Register::Zero => 0,
        }
    }

    fn write(&mut self, register: Register, value: u64) {
        // Identity 0 does not exist, and its bits are read-only zero.
        let existing = |word| if word == 0 { value & !1 } else { value };
        match register {
            Register::Delivery => self.delivery = value & 1 != 0,
            Register::Threshold => self.threshold = value & (IDENTITIES as u64 - 1),
            Register::Pending(word) => self.pending[word] = existing(word),
            Register::Enable(word) => self.enable[word] = existing(word),
            Register::Zero => {}
        }
    }
}

/// The files of one privilege level, a page for each hart from `base` on.
#[derive(Debug)]
pub struct Imsic {
    base: u64,
    files: Vec<Arc<InterruptFile>>,
}

impl Imsic {
    /// A file for every output, which is the external interrupt pin of a hart.
    #[must_use]
    pub fn new(base: u64, outputs: Vec<IrqLine>) -> Self {
        let files = outputs.into_iter().map(InterruptFile::new).map(Arc::new);
        Self {
            base,
            files: files.collect(),
        }
    }

    /// The address of the first page.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.base
    }

    /// The size of all pages.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.len() as u64 * PAGE
    }

    /// The files, by hart.
    #[must_use]
    pub fn files(&self) -> &[Arc<InterruptFile>] {
        &self.files
    }

    /// Puts all registers as at power-on.
    pub fn reset(&self) {
        self.files.iter().for_each(|file| file.reset());
    }
}

impl Mmio for Imsic {
    fn read(&self, _: u64, _: u8) -> u64 {
        0
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        // There is no big-endian register: it is optional (AIA §3.5), and QEMU has none either.
        if size != 4 || offset % PAGE != SETEIPNUM_LE {
            return;
        }
        if let Some(file) = self.files.get((offset / PAGE) as usize) {
            file.set_pending(value as u32);
        }
    }
}

impl MsiSink for Imsic {
    fn send(&self, address: u64, data: u32) {
        if let Some(offset) = address.checked_sub(self.base) {
            self.write(offset, 4, data.into());
        }
    }
}
