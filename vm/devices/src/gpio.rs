//! A SiFive GPIO controller of one pin, with a button on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tinamou_memory::Mmio;

use crate::{Clock, IrqLine, NANOS_PER_SECOND, Timer};

/// The size of the register window.
pub const SIZE: u64 = 0x1000;

/// How long a press lasts.
const PRESS: u64 = NANOS_PER_SECOND / 10;
/// The pins that exist.
const PINS: u32 = 1;

/// The registers, by their index as 32-bit words (FU540-C000 manual, chapter 17).
mod register {
    pub(super) const INPUT_VAL: usize = 0;
    pub(super) const INPUT_EN: usize = 1;
    pub(super) const RISE_IE: usize = 6;
    pub(super) const RISE_IP: usize = 7;
    pub(super) const FALL_IE: usize = 8;
    pub(super) const FALL_IP: usize = 9;
    pub(super) const HIGH_IE: usize = 10;
    pub(super) const HIGH_IP: usize = 11;
    pub(super) const LOW_IE: usize = 12;
    pub(super) const LOW_IP: usize = 13;
    pub(super) const COUNT: usize = 17;
}
use register::*;

/// The device's registers, as saved and restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// All registers in order.
    pub registers: [u32; COUNT],
    /// The level at each pin from outside.
    pub outside: u32,
}

/// The device.
#[derive(Debug)]
pub struct Gpio {
    clock: Arc<Clock>,
    irq: IrqLine,
    release: Timer,
    state: Mutex<State>,
}

impl Gpio {
    /// A controller that interrupts through `irq`.
    #[must_use]
    pub fn new(clock: Arc<Clock>, irq: IrqLine) -> Arc<Self> {
        Arc::new_cyclic(|weak: &Weak<Self>| {
            let gpio = weak.clone();
            let release = clock.timer(move || {
                if let Some(gpio) = gpio.upgrade() {
                    gpio.drive(0);
                }
            });
            Self {
                clock,
                irq,
                release,
                state: Mutex::default(),
            }
        })
    }

    /// Presses the button for a moment of virtual time.
    pub fn press(&self) {
        self.drive(PINS);
        self.release.set(self.clock.now().checked_add(PRESS));
    }

    /// Puts the registers as at power-on, the button released.
    pub fn reset(&self) {
        let mut state = self.lock();
        self.release.set(None);
        *state = State::default();
        self.settle(&mut state);
    }

    /// Sets the level at the pins from outside.
    fn drive(&self, level: u32) {
        let mut state = self.lock();
        state.outside = level;
        self.settle(&mut state);
    }

    fn settle(&self, state: &mut State) {
        state.sample();
        self.irq.set(state.interrupts());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the pins' levels in, and notes what they pend.
    fn sample(&mut self) {
        let registers = &mut self.registers;
        let before = registers[INPUT_VAL];
        let now = self.outside & registers[INPUT_EN];
        registers[INPUT_VAL] = now;
        registers[RISE_IP] |= now & !before;
        registers[FALL_IP] |= before & !now;
        registers[HIGH_IP] |= now;
        registers[LOW_IP] |= !now & registers[INPUT_EN];
    }

    fn interrupts(&self) -> bool {
        let pairs = [
            (RISE_IE, RISE_IP),
            (FALL_IE, FALL_IP),
            (HIGH_IE, HIGH_IP),
            (LOW_IE, LOW_IP),
        ];
        pairs
            .iter()
            .any(|(enable, pend)| self.registers[*enable] & self.registers[*pend] != 0)
    }

    fn write(&mut self, index: usize, value: u32) {
        match index {
            INPUT_VAL => {}
            // Pending bits are cleared by writing ones.
            RISE_IP | FALL_IP | HIGH_IP | LOW_IP => self.registers[index] &= !value,
            _ => self.registers[index] = value & PINS,
        }
    }
}

impl Mmio for Gpio {
    fn read(&self, offset: u64, size: u8) -> u64 {
        let Some(index) = index(offset, size) else {
            return 0;
        };
        self.lock().registers[index].into()
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        let Some(index) = index(offset, size) else {
            return;
        };
        let mut state = self.lock();
        state.write(index, value as u32);
        self.settle(&mut state);
    }
}

/// The register of a word access.
fn index(offset: u64, size: u8) -> Option<usize> {
    let index = usize::try_from(offset / 4).ok()?;
    (size == 4 && offset.is_multiple_of(4) && index < COUNT).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> (Arc<Clock>, IrqLine, Arc<Gpio>) {
        let (clock, irq) = (Clock::new(), IrqLine::unconnected());
        let gpio = Gpio::new(Arc::clone(&clock), irq.clone());
        (clock, irq, gpio)
    }

    fn write(gpio: &Gpio, index: usize, value: u64) {
        gpio.write(4 * index as u64, 4, value);
    }

    fn read(gpio: &Gpio, index: usize) -> u64 {
        gpio.read(4 * index as u64, 4)
    }

    #[test]
    fn a_press_rises_and_falls() {
        let (clock, irq, gpio) = board();
        write(&gpio, INPUT_EN, 1);
        write(&gpio, RISE_IE, 1);
        write(&gpio, FALL_IE, 1);
        gpio.press();
        assert!(irq.level());
        assert_eq!((read(&gpio, INPUT_VAL), read(&gpio, RISE_IP)), (1, 1));
        write(&gpio, RISE_IP, 1);
        assert!(!irq.level());
        clock.step_to(PRESS);
        assert_eq!((read(&gpio, INPUT_VAL), read(&gpio, FALL_IP)), (0, 1));
        assert!(irq.level());
    }

    #[test]
    fn levels_pend_again_while_they_last() {
        let (_, irq, gpio) = board();
        write(&gpio, INPUT_EN, 1);
        write(&gpio, HIGH_IE, 1);
        assert!(!irq.level());
        gpio.press();
        write(&gpio, HIGH_IP, 1);
        assert!(irq.level());
    }

    #[test]
    fn a_pin_that_is_not_read_does_nothing() {
        let (_, irq, gpio) = board();
        for index in [RISE_IE, FALL_IE, HIGH_IE, LOW_IE] {
            write(&gpio, index, u64::MAX);
        }
        gpio.press();
        assert!(!irq.level());
        assert_eq!((read(&gpio, INPUT_VAL), read(&gpio, HIGH_IE)), (0, 1));
    }

    #[test]
    fn a_reset_releases_the_button() {
        let (clock, irq, gpio) = board();
        write(&gpio, INPUT_EN, 1);
        write(&gpio, HIGH_IE, 1);
        gpio.press();
        gpio.reset();
        assert!(!irq.level());
        assert_eq!(clock.next_deadline(), None);
    }

    #[test]
    fn no_access_panics() {
        let (_, _, gpio) = board();
        for (offset, size) in (0..SIZE).flat_map(|offset| [1, 2, 4, 8].map(|size| (offset, size))) {
            gpio.write(offset, size, u64::MAX);
            gpio.read(offset, size);
        }
    }
}
