//! The 16550A serial port.

mod spec;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tinamou_memory::Mmio;

use crate::{Clock, IrqLine, Timer};
pub use spec::{CLOCK_FREQUENCY, SIZE};
use spec::{FIFO_SIZE, IIR_NO_INT};
use state::Effects;
pub use state::State;

/// What carries a serial port's bytes. Called with the port's lock held, from harts and the main
/// loop: it takes what it can at once and never calls the port back.
pub trait SerialBackend: Send + Sync {
    /// Sends the first bytes of `bytes` and says how many; fewer than all means that it is full,
    /// and that [`Uart::writable`] will be called when it is not.
    fn write(&self, bytes: &[u8]) -> usize;

    /// Fills `room` with bytes that came in and says how many; 0 means that none are there, and
    /// that [`Uart::readable`] will be called when there are.
    fn read(&self, room: &mut [u8]) -> usize;

    /// The guest begins or ends a break.
    fn set_break(&self, on: bool);
}

/// A back end that goes nowhere.
#[derive(Debug)]
pub struct NullBackend;

impl SerialBackend for NullBackend {
    fn write(&self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn read(&self, _: &mut [u8]) -> usize {
        0
    }

    fn set_break(&self, _: bool) {}
}

/// The device.
pub struct Uart {
    clock: Arc<Clock>,
    irq: IrqLine,
    backend: Arc<dyn SerialBackend>,
    timeout: Timer,
    state: Mutex<State>,
}

impl Uart {
    /// A port that interrupts through `irq`.
    #[must_use]
    pub fn new(clock: Arc<Clock>, irq: IrqLine, backend: Arc<dyn SerialBackend>) -> Arc<Self> {
        Arc::new_cyclic(|weak: &Weak<Self>| {
            let uart = weak.clone();
            let timeout = clock.timer(move || {
                if let Some(uart) = uart.upgrade() {
                    uart.receive_timeout();
                }
            });
            Self {
                clock,
                irq,
                backend,
                timeout,
                state: Mutex::default(),
            }
        })
    }

    /// Puts the registers as at power-on.
    pub fn reset(&self) {
        let mut state = self.lock();
        *state = State::default();
        self.timeout.set(None);
        self.settle(&mut state);
    }

    /// The back end has bytes for the guest.
    pub fn readable(&self) {
        self.settle(&mut self.lock());
    }

    /// The back end can take bytes again.
    pub fn writable(&self) {
        let mut state = self.lock();
        self.transmit(&mut state);
        self.settle(&mut state);
    }

    /// A break arrives on the line.
    pub fn receive_break(&self) {
        let mut state = self.lock();
        state.receive_break();
        self.settle(&mut state);
    }

    fn receive_timeout(&self) {
        let mut state = self.lock();
        state.timeout_pending = state.lingering();
        self.settle(&mut state);
    }

    fn apply(&self, state: &mut State, effects: Effects) {
        if let Some(on) = effects.line_break {
            self.backend.set_break(on);
        }
        if effects.transmit {
            self.transmit(state);
        }
        if effects.drained {
            self.settle(state);
        }
        self.drive(state);
    }

    fn transmit(&self, state: &mut State) {
        let count = self.backend.write(state.tx.make_contiguous());
        state.transmitted(count);
    }

    /// Takes waiting input as far as there is room.
    fn settle(&self, state: &mut State) {
        let mut bytes = [0; FIFO_SIZE];
        let room = state.room();
        let count = if room == 0 {
            0
        } else {
            self.backend.read(&mut bytes[..room]).min(room)
        };
        if count > 0 {
            state.receive(&bytes[..count]);
        }
        if state.lingering() {
            self.timeout
                .set(self.clock.now().checked_add(state.timeout()));
        }
        self.drive(state);
    }

    fn drive(&self, state: &State) {
        self.irq.set(state.interrupt() != IIR_NO_INT);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mmio for Uart {
    /// Every register is a byte; a wider access reaches the byte at its own offset.
    fn read(&self, offset: u64, _: u8) -> u64 {
        let mut state = self.lock();
        let (value, effects) = state.read(offset);
        self.apply(&mut state, effects);
        value.into()
    }

    fn write(&self, offset: u64, _: u8, value: u64) {
        let mut state = self.lock();
        let effects = state.write(offset, value as u8);
        self.apply(&mut state, effects);
    }
}

impl std::fmt::Debug for Uart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Uart").field(&*self.lock()).finish()
    }
}
