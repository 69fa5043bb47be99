//! Interrupts: the status byte with the pin it drives, or a vector a source.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tinamou_pci::Interface;

use crate::port::Interrupt;
use crate::spec::isr;

/// The source has no vector (virtio 1.2 §4.1.5.1.2).
pub(super) const NO_VECTOR: u16 = 0xffff;

/// The interrupts of one function.
pub(super) struct Lines {
    interface: Interface,
    vectors_max: u16,
    state: Mutex<State>,
}

struct State {
    status: u8,
    config: u16,
    queues: Vec<u16>,
}

impl Lines {
    pub(super) fn new(interface: Interface, vectors_max: u16, queues: usize) -> Self {
        Self {
            interface,
            vectors_max,
            state: Mutex::new(State {
                status: 0,
                config: NO_VECTOR,
                queues: vec![NO_VECTOR; queues],
            }),
        }
    }

    /// The status, which reading clears.
    pub(super) fn take_status(&self) -> u8 {
        let mut state = self.lock();
        let status = std::mem::take(&mut state.status);
        self.interface.set_intx(false);
        status
    }

    /// The status, left as it is.
    pub(super) fn status(&self) -> u8 {
        self.lock().status
    }

    /// The vector for changes of configuration.
    pub(super) fn config_vector(&self) -> u16 {
        self.lock().config
    }

    /// Chooses it; one that does not exist is none, which the driver sees when it reads back.
    pub(super) fn set_config_vector(&self, vector: u16) {
        self.lock().config = self.existing(vector);
    }

    /// The vector for used buffers of a queue.
    pub(super) fn queue_vector(&self, queue: usize) -> u16 {
        let state = self.lock();
        state.queues.get(queue).copied().unwrap_or(NO_VECTOR)
    }

    /// Chooses it.
    pub(super) fn set_queue_vector(&self, queue: usize, vector: u16) {
        let vector = self.existing(vector);
        if let Some(slot) = self.lock().queues.get_mut(queue) {
            *slot = vector;
        }
    }

    /// As at power-on.
    pub(super) fn reset(&self) {
        let mut state = self.lock();
        state.status = 0;
        state.config = NO_VECTOR;
        state.queues.fill(NO_VECTOR);
        self.interface.set_intx(false);
    }

    fn existing(&self, vector: u16) -> u16 {
        if vector < self.vectors_max {
            vector
        } else {
            NO_VECTOR
        }
    }

    /// Tells the driver. The lock is held until the pin is set, so that status and pin agree.
    fn raise(&self, bits: u8, vector: impl FnOnce(&State) -> u16) {
        let mut state = self.lock();
        state.status |= bits;
        if !self.interface.msix_enabled() {
            self.interface.set_intx(true);
            return;
        }
        let vector = vector(&state);
        drop(state);
        if vector != NO_VECTOR {
            self.interface.notify(vector);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupt for Lines {
    fn queue(&self, queue: usize) {
        self.raise(isr::QUEUE, |state| {
            state.queues.get(queue).copied().unwrap_or(NO_VECTOR)
        });
    }

    fn config(&self) {
        self.raise(isr::QUEUE | isr::CONFIG, |state| state.config);
    }
}
