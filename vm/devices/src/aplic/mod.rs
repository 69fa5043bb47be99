//! The advanced platform-level interrupt controller (RISC-V AIA 1.0 §4): a root domain for
//! machine mode and a child of it for supervisor mode, which share the input wires.

mod domain;
mod messages;
mod spec;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_memory::Mmio;

use crate::bits::assign;
use crate::{IrqLine, IrqSink, MsiSink};
pub use domain::{Control, Domain};
pub use messages::Addresses;
use spec::{CHILD, DELEGATED, Register, WORDS};
pub use spec::{SIZE, SOURCES};

/// One bit per source; bit 0, which names no source, stays clear.
type Bits = [u32; WORDS];

/// A privilege level that has a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The root domain.
    Machine = 0,
    /// Its child.
    Supervisor = 1,
}

/// How interrupts leave the controller.
pub enum Delivery {
    /// By wires, for each level one to every hart.
    Direct {
        /// By hart: the machine external interrupt pin.
        machine: Vec<IrqLine>,
        /// By hart: the supervisor external interrupt pin.
        supervisor: Vec<IrqLine>,
    },
    /// As messages to the harts' interrupt files.
    Messages(Arc<dyn MsiSink>),
}

/// The registers, as saved and restored.
#[derive(Clone, Debug)]
pub struct State {
    /// The level of each input wire.
    pub level: Bits,
    /// By level.
    pub domains: [Domain; 2],
    /// Where messages go.
    pub addresses: Addresses,
}

/// The device.
pub struct Aplic {
    delivery: Delivery,
    state: Mutex<State>,
}

impl Aplic {
    /// A controller whose sources are all inactive.
    #[must_use]
    pub fn new(delivery: Delivery) -> Arc<Self> {
        let state = Mutex::new(State::new(&delivery));
        Arc::new(Self { delivery, state })
    }

    /// Puts the registers as at power-on; the input wires keep their levels.
    pub fn reset(&self) {
        let mut state = self.lock();
        let level = state.level;
        *state = State::new(&self.delivery);
        state.level = level;
        self.deliver(&mut state);
    }

    /// Leaves the registers as firmware does that gives every source to supervisor mode, whose
    /// messages go to pages from `base` on.
    pub fn delegate(&self, base: u64, harts: usize) {
        let mut state = self.lock();
        let root = &mut state.domains[Level::Machine as usize];
        (1..SOURCES).for_each(|source| root.source[source] = DELEGATED);
        state.addresses = Addresses::of_supervisor(base, harts);
    }

    /// The wires to the harts of a level; none when interrupts leave as messages.
    #[must_use]
    pub fn outputs(&self, level: Level) -> &[IrqLine] {
        match (&self.delivery, level) {
            (Delivery::Direct { machine, .. }, Level::Machine) => machine,
            (Delivery::Direct { supervisor, .. }, Level::Supervisor) => supervisor,
            (Delivery::Messages(_), _) => &[],
        }
    }

    fn messages(&self) -> bool {
        matches!(self.delivery, Delivery::Messages(_))
    }

    fn read_word(&self, level: Level, offset: u64) -> u32 {
        let mut state = self.lock();
        let messages = self.messages();
        let value = match Register::at(offset) {
            Register::MessageAddress(word) if messages && level == Level::Machine => {
                state.addresses.words[word]
            }
            register => state.read(level, register, messages),
        };
        // A claim changes what is to be delivered.
        if matches!(
            Register::at(offset),
            Register::Hart(_, spec::Control::Claim)
        ) {
            self.deliver(&mut state);
        }
        value
    }

    fn write_word(&self, level: Level, offset: u64, value: u32) {
        let mut state = self.lock();
        let messages = self.messages();
        match Register::at(offset) {
            Register::MessageAddress(word) => {
                if messages && level == Level::Machine {
                    state.addresses.write(word, value);
                }
            }
            Register::GenerateMessage => self.send(&state, level, value),
            register => state.write(level, register, value, messages),
        }
        self.deliver(&mut state);
    }

    /// Sends what is to be sent, or drives every output from the registers.
    fn deliver(&self, state: &mut State) {
        for level in [Level::Machine, Level::Supervisor] {
            if !self.messages() {
                let domain = &state.domains[level as usize];
                for (hart, output) in self.outputs(level).iter().enumerate() {
                    output.set(domain.interrupts(hart));
                }
                continue;
            }
            while let Some(target) = state.domains[level as usize].take_message() {
                self.send(state, level, target);
            }
        }
    }

    fn send(&self, state: &State, level: Level, target: u32) {
        if let Delivery::Messages(sink) = &self.delivery {
            let address = state.addresses.of(level, target);
            sink.send(address, target & spec::MESSAGE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(delivery: &Delivery) -> Self {
        let harts = match delivery {
            Delivery::Direct { machine, .. } => machine.len(),
            Delivery::Messages(_) => 0,
        };
        Self {
            level: [0; WORDS],
            domains: [Domain::new(harts), Domain::new(harts)],
            addresses: Addresses::default(),
        }
    }

    /// The level whose domain a source belongs to.
    fn owner(&self, source: usize) -> Level {
        if self.domains[0].source[source] & DELEGATED == 0 {
            Level::Machine
        } else {
            Level::Supervisor
        }
    }

    fn read(&mut self, level: Level, register: Register, messages: bool) -> u32 {
        let inputs = self.level;
        self.domains[level as usize].read(register, &inputs, messages)
    }

    fn write(&mut self, level: Level, register: Register, value: u32, messages: bool) {
        let inputs = self.level;
        let Register::Source(source) = register else {
            self.domains[level as usize].write(register, value, &inputs, messages);
            return;
        };
        if level == Level::Machine && value & DELEGATED != 0 {
            // There is one child, 0; to another a source cannot be given.
            if value & CHILD == 0 {
                self.domains[0].forget(source);
                self.domains[0].source[source] = DELEGATED;
            }
            return;
        }
        if level == Level::Supervisor && self.owner(source) != level {
            return;
        }
        if level == Level::Machine {
            self.domains[1].forget(source);
        }
        self.domains[level as usize].set_source(source, value, &inputs, messages);
    }
}

impl IrqSink for Aplic {
    fn set_level(&self, source: usize, level: bool) {
        if source == 0 || source >= SOURCES {
            return;
        }
        let mut state = self.lock();
        assign(&mut state.level, source, level);
        let owner = state.owner(source);
        let messages = self.messages();
        state.domains[owner as usize].input(source, level, messages);
        self.deliver(&mut state);
    }
}

/// The registers of a level's domain.
pub struct Window {
    aplic: Arc<Aplic>,
    level: Level,
}

impl Window {
    /// The window of `level`.
    #[must_use]
    pub fn new(aplic: Arc<Aplic>, level: Level) -> Self {
        Self { aplic, level }
    }
}

impl Mmio for Window {
    fn read(&self, offset: u64, size: u8) -> u64 {
        if size != 4 {
            return 0;
        }
        self.aplic.read_word(self.level, offset).into()
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        if size == 4 {
            self.aplic.write_word(self.level, offset, value as u32);
        }
    }
}

impl std::fmt::Debug for Aplic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aplic")
            .field("messages", &self.messages())
            .finish_non_exhaustive()
    }
}
