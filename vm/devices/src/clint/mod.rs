//! The core-local interruptor: software interrupts and the machine timer of every hart.

mod spec;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tinamou_memory::Mmio;

use crate::log::guest_error;
use crate::{Clock, IrqLine, NANOS_PER_SECOND, Timer};
use spec::{MTIME, MTIMECMP, Register};
pub use spec::{MTIMER, SIZE, SWI, TIMEBASE_FREQUENCY};

/// Nanoseconds between two counts of `mtime`.
const NANOS_PER_TICK: u64 = NANOS_PER_SECOND / TIMEBASE_FREQUENCY;

/// The counter behind `mtime` and the `time` CSR: virtual time at 10 MHz, plus what the guest
/// has added by writing `mtime`.
#[derive(Debug)]
pub struct TimeBase {
    clock: Arc<Clock>,
    delta: AtomicU64,
}

impl TimeBase {
    /// A counter that starts with the clock.
    #[must_use]
    pub fn new(clock: Arc<Clock>) -> Self {
        Self {
            clock,
            delta: AtomicU64::new(0),
        }
    }

    /// The present count.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.count()
            .wrapping_add(self.delta.load(Ordering::Relaxed))
    }

    /// The clock's time at which the count reaches `ticks`; `None` when that is beyond reckoning.
    #[must_use]
    pub fn deadline(&self, ticks: u64) -> Option<u64> {
        let ahead = ticks.checked_sub(self.ticks())?;
        self.count().checked_add(ahead)?.checked_mul(NANOS_PER_TICK)
    }

    /// Makes `ticks` the present count.
    fn set(&self, ticks: u64) {
        self.delta
            .store(ticks.wrapping_sub(self.count()), Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.clock.now() / NANOS_PER_TICK
    }
}

/// What a hart gets from the CLINT.
#[derive(Clone, Debug)]
pub struct HartPins {
    /// The machine software interrupt.
    pub software: IrqLine,
    /// The machine timer interrupt.
    pub timer: IrqLine,
}

/// The device's registers, as saved and restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The software interrupt bit of each hart.
    pub msip: Vec<bool>,
    /// When the timer of each hart is due.
    pub mtimecmp: Vec<u64>,
}

/// The device.
#[derive(Debug)]
pub struct Clint {
    time: Arc<TimeBase>,
    pins: Vec<HartPins>,
    timers: Vec<Timer>,
    state: Mutex<State>,
}

impl Clint {
    /// A CLINT for as many harts as there are `pins`.
    #[must_use]
    pub fn new(time: Arc<TimeBase>, pins: Vec<HartPins>) -> Arc<Self> {
        let state = State {
            msip: vec![false; pins.len()],
            mtimecmp: vec![0; pins.len()],
        };
        Arc::new_cyclic(|weak: &Weak<Self>| {
            let timer = |hart| {
                let clint = weak.clone();
                time.clock.timer(move || {
                    if let Some(clint) = clint.upgrade() {
                        clint.schedule(hart, &clint.lock());
                    }
                })
            };
            let timers = (0..pins.len()).map(timer).collect();
            Self {
                time: Arc::clone(&time),
                pins,
                timers,
                state: Mutex::new(state),
            }
        })
    }

    /// Puts the registers as at power-on: `mtime` counts from zero.
    pub fn reset(&self) {
        let mut state = self.lock();
        state.msip.fill(false);
        self.time.set(0);
        for (hart, pins) in self.pins.iter().enumerate() {
            pins.software.set(false);
            self.schedule(hart, &state);
        }
    }

    /// The counter that hart's `time` CSR reads.
    #[must_use]
    pub fn time(&self) -> &Arc<TimeBase> {
        &self.time
    }

    /// Raises or lowers the timer pin of a hart, and arms the timer for when that changes.
    fn schedule(&self, hart: usize, state: &State) {
        let Some(due) = state.mtimecmp.get(hart) else {
            return;
        };
        let (Some(pins), Some(timer)) = (self.pins.get(hart), self.timers.get(hart)) else {
            return;
        };
        let pending = *due <= self.time.ticks();
        timer.set(if pending {
            None
        } else {
            self.time.deadline(*due)
        });
        pins.timer.set(pending);
    }

    /// The register at an offset, of a hart that exists.
    fn register(&self, offset: u64, access: &str) -> Register {
        let register = Register::at(offset);
        let exists = match register {
            Register::Msip(hart) | Register::Mtimecmp(hart, _) => hart < self.pins.len(),
            Register::Mtime(_) => true,
            Register::None => false,
        };
        if exists {
            return register;
        }
        let (part, start) = if offset < MTIMECMP {
            ("swi", 0)
        } else {
            ("mtimer", MTIMECMP)
        };
        let offset = offset - start;
        guest_error(format_args!(
            "aclint-{part}: invalid {access}: {offset:08x}"
        ));
        Register::None
    }

    fn read_word(&self, offset: u64) -> u32 {
        let state = self.lock();
        match self.register(offset, "read") {
            Register::Msip(hart) => state.msip.get(hart).copied().unwrap_or(false).into(),
            Register::Mtimecmp(hart, high) => {
                word(state.mtimecmp.get(hart).copied().unwrap_or(0), high)
            }
            Register::Mtime(high) => word(self.time.ticks(), high),
            Register::None => 0,
        }
    }

    fn write_word(&self, offset: u64, value: u32) {
        let mut state = self.lock();
        match self.register(offset, "write") {
            Register::Msip(hart) => self.write_msip(&mut state, hart, value & 1 != 0),
            Register::Mtimecmp(hart, high) => {
                let Some(due) = state.mtimecmp.get_mut(hart) else {
                    return;
                };
                *due = with_word(*due, high, value);
                self.schedule(hart, &state);
            }
            Register::Mtime(high) => {
                self.write_mtime(&state, with_word(self.time.ticks(), high, value));
            }
            Register::None => {}
        }
    }

    fn write_msip(&self, state: &mut State, hart: usize, level: bool) {
        let (Some(bit), Some(pins)) = (state.msip.get_mut(hart), self.pins.get(hart)) else {
            return;
        };
        *bit = level;
        pins.software.set(level);
    }

    fn write_mtime(&self, state: &State, value: u64) {
        self.time.set(value);
        (0..self.pins.len()).for_each(|hart| self.schedule(hart, state));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mmio for Clint {
    fn read(&self, offset: u64, size: u8) -> u64 {
        match size {
            4 => self.read_word(offset).into(),
            // One load of all 64 bits, so that the halves belong together.
            8 if offset == MTIME => self.time.ticks(),
            8 => {
                let low = u64::from(self.read_word(offset));
                low | u64::from(self.read_word(offset.wrapping_add(4))) << 32
            }
            _ => 0,
        }
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        match size {
            4 => self.write_word(offset, value as u32),
            8 if offset == MTIME => self.write_mtime(&self.lock(), value),
            8 if (MTIMECMP..MTIME).contains(&offset) && offset.is_multiple_of(8) => {
                // In one step: a due time must not pass through a half-written value.
                let mut state = self.lock();
                let hart = ((offset - MTIMECMP) / 8) as usize;
                let Some(due) = state.mtimecmp.get_mut(hart) else {
                    return;
                };
                *due = value;
                self.schedule(hart, &state);
            }
            8 => {
                self.write_word(offset, value as u32);
                self.write_word(offset.wrapping_add(4), (value >> 32) as u32);
            }
            _ => {}
        }
    }
}

/// A part of the register window that is mapped by itself, with its own access sizes.
#[derive(Debug)]
pub struct Window {
    clint: Arc<Clint>,
    start: u64,
}

impl Window {
    /// The registers from `start` on.
    #[must_use]
    pub fn new(clint: Arc<Clint>, start: u64) -> Self {
        Self { clint, start }
    }
}

impl Mmio for Window {
    fn read(&self, offset: u64, size: u8) -> u64 {
        self.clint.read(offset.wrapping_add(self.start), size)
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        self.clint
            .write(offset.wrapping_add(self.start), size, value);
    }
}

fn word(value: u64, high: bool) -> u32 {
    if high {
        (value >> 32) as u32
    } else {
        value as u32
    }
}

fn with_word(value: u64, high: bool, word: u32) -> u64 {
    if high {
        value & 0xffff_ffff | u64::from(word) << 32
    } else {
        value & !0xffff_ffff | u64::from(word)
    }
}
