//! The hart itself: how it is made, reset, run and looked at.

use std::sync::Arc;

use tinamou_memory::AddressSpace;

use crate::{Environment, HartControl, Isa, State};

/// Who answers an `ecall` from supervisor mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// Whatever the guest runs in machine mode.
    Guest,
    /// The SBI built into this crate; machine mode is never entered.
    BuiltIn,
}

/// What a hart is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its extensions.
    pub isa: Isa,
    /// Who answers its SBI calls.
    pub firmware: Firmware,
}

/// How a hart comes out of reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In machine mode at `pc`, all registers zero.
    Machine {
        /// The first instruction.
        pc: u64,
    },
    /// In supervisor mode at `pc`, with the hart id in a0 and `opaque` in a1, and traps delegated
    /// as firmware does before it starts a kernel.
    Supervisor {
        /// The first instruction.
        pc: u64,
        /// What a1 holds: the address of the device tree.
        opaque: u64,
    },
    /// Nowhere: it waits for `sbi_hart_start`.
    Stopped,
}

/// Why [`Hart::run`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// [`HartControl::pause`] was called.
    Paused,
}

/// A RISC-V hart.
pub struct Hart {
    state: State,
    config: Config,
    control: Arc<HartControl>,
    space: Arc<AddressSpace>,
    environment: Arc<dyn Environment>,
}

impl Hart {
    /// Makes a hart on an address space; `control` carries its id.
    #[must_use]
    pub fn new(
        config: Config,
        control: Arc<HartControl>,
        space: Arc<AddressSpace>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            state: State::default(),
            config,
            control,
            space,
            environment,
        }
    }

    /// Resets everything, as at power-on.
    pub fn reset(&mut self, start: Start) {
        let _ = start;
    }

    /// Runs guest code until asked to pause.
    pub fn run(&mut self) -> Exit {
        Exit::Paused
    }

    /// Executes one instruction, or takes one trap or interrupt.
    pub fn step(&mut self) {}

    /// The handle for other threads.
    #[must_use]
    pub fn control(&self) -> &Arc<HartControl> {
        &self.control
    }

    /// What the hart was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The architectural state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The physical address behind a virtual one as a load in the present mode finds it, without
    /// side effects and permissions aside.
    #[must_use]
    pub fn translate(&self, address: u64) -> Option<u64> {
        Some(address)
    }

    /// A CSR by number, as a read in machine mode finds it.
    #[must_use]
    pub fn csr(&self, _number: u16) -> Option<u64> {
        None
    }
}
