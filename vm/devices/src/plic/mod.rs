//! The platform-level interrupt controller (RISC-V PLIC 1.0, as on SiFive's chips).

mod spec;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_memory::Mmio;

use crate::bits::{assign, test};
use crate::log::guest_error;
use crate::{IrqLine, IrqSink};
use spec::Register;
pub use spec::{PRIORITIES, SIZE, SOURCES};

/// Bit words that hold one bit per source.
const WORDS: usize = SOURCES.div_ceil(32);

/// One bit per source; bit 0, which names no source, stays clear.
type Bits = [u32; WORDS];

/// The device's registers, as saved and restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The priority of each source; 0 never interrupts.
    pub priority: [u8; SOURCES],
    /// The level of each input wire.
    pub level: Bits,
    /// Requests a gateway has passed on and nobody has claimed.
    pub pending: Bits,
    /// Requests claimed and not completed; their gateways are shut.
    pub claimed: Bits,
    /// Per context, the sources it takes.
    pub enable: Vec<Bits>,
    /// Per context, the priority a source must exceed.
    pub threshold: Vec<u8>,
}

/// The device. A context is a privilege mode of a hart that takes interrupts.
#[derive(Debug)]
pub struct Plic {
    outputs: Vec<IrqLine>,
    state: Mutex<State>,
}

impl Plic {
    /// A PLIC with a context for every output.
    #[must_use]
    pub fn new(outputs: Vec<IrqLine>) -> Arc<Self> {
        let state = Mutex::new(State::new(outputs.len()));
        Arc::new(Self { outputs, state })
    }

    /// The wires to the harts, by context.
    #[must_use]
    pub fn outputs(&self) -> &[IrqLine] {
        &self.outputs
    }

    /// Puts the registers as at power-on; the input wires keep their levels.
    pub fn reset(&self) {
        let mut state = self.lock();
        let level = state.level;
        *state = State {
            level,
            pending: level,
            ..State::new(self.outputs.len())
        };
        self.update(&state);
    }

    fn read_word(&self, offset: u64) -> u32 {
        let mut state = self.lock();
        match Register::at(offset, self.outputs.len()) {
            Register::Priority(source) => state.priority[source].into(),
            Register::Pending(word) => state.pending[word],
            Register::Enable(context, word) => state.enable[context][word],
            Register::Threshold(context) => state.threshold[context].into(),
            Register::Claim(context) => {
                let source = state.claim(context);
                self.update(&state);
                source as u32
            }
            Register::None => {
                guest_error(format_args!(
                    "sifive_plic_read: Invalid register read {offset:#x}"
                ));
                0
            }
        }
    }

    fn write_word(&self, offset: u64, value: u32) {
        let mut state = self.lock();
        // Of a priority only the implemented bits are kept (PLIC §4: WARL).
        let priority = value as u8 & PRIORITIES;
        match Register::at(offset, self.outputs.len()) {
            Register::Priority(0) => {
                return guest_error(format_args!(
                    "sifive_plic_write: Invalid source priority write {value:#x}"
                ));
            }
            Register::Pending(_) => {
                return guest_error(format_args!(
                    "sifive_plic_write: invalid pending write: {offset:#x}"
                ));
            }
            Register::None => {
                return guest_error(format_args!(
                    "sifive_plic_write: Invalid register write {offset:#x}"
                ));
            }
            Register::Priority(source) => state.priority[source] = priority,
            Register::Enable(context, word) => state.enable[context][word] = value,
            Register::Threshold(context) => state.threshold[context] = priority,
            Register::Claim(context) => state.complete(context, value as usize),
        }
        self.update(&state);
    }

    /// Drives every output from the registers.
    fn update(&self, state: &State) {
        for (context, output) in self.outputs.iter().enumerate() {
            output.set(state.best(context).is_some());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IrqSink for Plic {
    fn set_level(&self, source: usize, level: bool) {
        if source == 0 || source >= SOURCES {
            return;
        }
        let mut state = self.lock();
        assign(&mut state.level, source, level);
        // A falling wire does not take back a request its gateway has passed on.
        if level && !test(&state.claimed, source) {
            assign(&mut state.pending, source, true);
            self.update(&state);
        }
    }
}

impl Mmio for Plic {
    fn read(&self, offset: u64, size: u8) -> u64 {
        if size == 4 {
            self.read_word(offset).into()
        } else {
            0
        }
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        if size == 4 {
            self.write_word(offset, value as u32);
        }
    }
}

impl State {
    fn new(contexts: usize) -> Self {
        Self {
            priority: [0; SOURCES],
            level: [0; WORDS],
            pending: [0; WORDS],
            claimed: [0; WORDS],
            enable: vec![[0; WORDS]; contexts],
            threshold: vec![0; contexts],
        }
    }

    /// The source a context would claim: the highest priority above its threshold, and of equals
    /// the lowest number.
    fn best(&self, context: usize) -> Option<usize> {
        let mut best = None;
        let mut priority = self.threshold[context];
        for (word, enabled) in self.enable[context].iter().enumerate() {
            let mut ready = self.pending[word] & enabled;
            while ready != 0 {
                let source = word * 32 + ready.trailing_zeros() as usize;
                ready &= ready - 1;
                if self.priority[source] > priority {
                    priority = self.priority[source];
                    best = Some(source);
                }
            }
        }
        best
    }

    /// Takes the best source; 0 when there is none.
    fn claim(&mut self, context: usize) -> usize {
        let Some(source) = self.best(context) else {
            return 0;
        };
        assign(&mut self.pending, source, false);
        assign(&mut self.claimed, source, true);
        source
    }

    /// Opens the gateway of `source` again; a wire that is still high asks at once. A source the
    /// context does not take is ignored (PLIC §8).
    fn complete(&mut self, context: usize, source: usize) {
        if source >= SOURCES || !test(&self.enable[context], source) {
            return;
        }
        assign(&mut self.claimed, source, false);
        if test(&self.level, source) {
            assign(&mut self.pending, source, true);
        }
    }
}
