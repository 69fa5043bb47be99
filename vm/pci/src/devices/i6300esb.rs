//! `i6300esb`: the watchdog of Intel's 6300ESB (datasheet 300641, chapter 16).
//!
//! Two stages of a timer follow each other. The guest has to reload the first before it runs out;
//! when the second has run out too, the machine is dealt with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tinamou_devices::{Clock, NANOS_PER_SECOND, Timer};

use crate::{Bar, ConfigSpace, Function, Identity, Interface, PciFunction};

/// Registers in configuration space.
mod config {
    /// How the watchdog works.
    pub(super) const CONFIG: u16 = 0x60;
    /// Whether it does.
    pub(super) const LOCK: u16 = 0x68;
    /// What the first stage does: an interrupt, which is not wired up, or nothing. The datasheet
    /// has it in bits 1 and 0; QEMU keeps bits 4 and 0.
    pub(super) const INTERRUPT_TYPE: u16 = 0x0011;
    /// Ticks of about a microsecond instead of a millisecond.
    pub(super) const MICROSECONDS: u16 = 0x0004;
    /// The second stage does not reset the machine.
    pub(super) const NO_REBOOT: u16 = 0x0020;
    /// The lock register cannot be changed any more.
    pub(super) const LOCKED: u8 = 0x01;
    /// The timer runs.
    pub(super) const ENABLE: u8 = 0x02;
    /// The timer begins again after its end.
    pub(super) const FREE_RUNNING: u8 = 0x04;
}

/// Registers in the bar.
mod register {
    /// Ticks of the first stage.
    pub(super) const TIMER1: u64 = 0x0;
    /// Ticks of the second stage.
    pub(super) const TIMER2: u64 = 0x4;
    /// Unlocking and reloading.
    pub(super) const RELOAD: u64 = 0xc;
    /// Starts the first stage again.
    pub(super) const RELOAD_TIMER: u64 = 0x0100;
    /// The last reset was the watchdog's; cleared by writing ones. Linux knows it by bit 12, the
    /// datasheet by bit 9, and QEMU shows both.
    pub(super) const TIMED_OUT: u64 = 0x1200;
    /// The bits of a stage.
    pub(super) const TICKS: u32 = 0x000f_ffff;
}

/// What unlocks the registers in the bar for one write.
const UNLOCK: [u64; 2] = [0x80, 0x86];
/// The ticks of PCI's clock, 33 MHz.
const PCI_CLOCK: u128 = 33_000_000;

/// Makes an `i6300esb` whose `expired` is called when both stages have run out; it returns at
/// once.
pub fn i6300esb(
    id: &str,
    multifunction: bool,
    clock: &Arc<Clock>,
    expired: impl Fn() + Send + Sync + 'static,
) -> Arc<Function> {
    let identity = Identity::new(0x8086, 0x25ab, 0x0880);
    let mut space = ConfigSpace::conventional(&identity).with_multifunction(multifunction);
    space.add_bar(0, Bar::memory(16));
    Function::new("i6300esb", id, space, None, |interface| {
        Arc::new_cyclic(|watchdog: &Weak<I6300esb>| {
            let watchdog = watchdog.clone();
            let timer = clock.timer(move || {
                if let Some(watchdog) = watchdog.upgrade() {
                    watchdog.run_out();
                }
            });
            I6300esb {
                interface,
                clock: Arc::clone(clock),
                timer,
                expired: Box::new(expired),
                state: Mutex::default(),
            }
        })
    })
}

#[derive(Clone, Debug)]
struct State {
    no_reboot: bool,
    microseconds: bool,
    interrupt_type: u16,
    free_running: bool,
    locked: bool,
    enabled: bool,
    /// The stage that runs, 1 or 2.
    stage: u8,
    /// Ticks of both stages.
    preload: [u32; 2],
    /// How many of the values that unlock have been written.
    unlocked: usize,
    timed_out: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            no_reboot: false,
            microseconds: false,
            interrupt_type: 0,
            free_running: false,
            locked: false,
            enabled: false,
            stage: 1,
            preload: [register::TICKS; 2],
            unlocked: 0,
            timed_out: false,
        }
    }
}

impl State {
    /// How long the present stage lasts.
    fn duration(&self) -> u64 {
        let ticks = u128::from(self.preload[usize::from(self.stage == 2)]);
        let scale = if self.microseconds { 5 } else { 15 };
        let nanos = (ticks << scale) * u128::from(NANOS_PER_SECOND) / PCI_CLOCK;
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Whether a write may change the registers; it uses the permission up. The values that
    /// give the permission are not writes.
    fn takes(&mut self, offset: u64, value: u64) -> bool {
        if offset == register::RELOAD && self.unlocked == 0 && value == UNLOCK[0] {
            self.unlocked = 1;
            return false;
        }
        if offset == register::RELOAD && self.unlocked == 1 && value == UNLOCK[1] {
            self.unlocked = 2;
            return false;
        }
        if self.unlocked < UNLOCK.len() {
            return false;
        }
        self.unlocked = 0;
        true
    }

    fn config_register(&self) -> u16 {
        let flag = |on, bit| if on { bit } else { 0 };
        flag(self.no_reboot, config::NO_REBOOT)
            | flag(self.microseconds, config::MICROSECONDS)
            | self.interrupt_type
    }

    fn lock_register(&self) -> u8 {
        let flag = |on, bit| if on { bit } else { 0 };
        flag(self.free_running, config::FREE_RUNNING)
            | flag(self.locked, config::LOCKED)
            | flag(self.enabled, config::ENABLE)
    }
}

struct I6300esb {
    interface: Interface,
    clock: Arc<Clock>,
    timer: Timer,
    expired: Box<dyn Fn() + Send + Sync>,
    state: Mutex<State>,
}

impl I6300esb {
    /// Starts a stage, if the timer runs.
    fn start(&self, state: &mut State, stage: u8) {
        if state.enabled {
            state.stage = stage;
            self.timer
                .set(self.clock.now().checked_add(state.duration()));
        }
    }

    /// A stage has run out.
    fn run_out(&self) {
        let mut state = self.lock();
        if !state.enabled {
            return;
        }
        if state.stage == 1 {
            self.start(&mut state, 2);
            return;
        }
        let acts = !state.no_reboot;
        if acts {
            // The watchdog begins anew, whatever is done with the machine.
            *state = State {
                timed_out: true,
                ..State::default()
            };
            self.publish(&state);
        } else if state.free_running {
            self.start(&mut state, 1);
        }
        drop(state);
        if acts {
            (self.expired)();
        }
    }

    fn set_lock(&self, state: &mut State, value: u8) {
        if state.locked {
            return;
        }
        let running = state.enabled;
        state.locked = value & config::LOCKED != 0;
        state.free_running = value & config::FREE_RUNNING != 0;
        state.enabled = value & config::ENABLE != 0;
        match (running, state.enabled) {
            (false, true) => self.start(state, 1),
            (_, false) => self.timer.set(None),
            (true, true) => {}
        }
    }

    /// Shows the registers in configuration space.
    fn publish(&self, state: &State) {
        self.interface.config(|space| {
            space.set_word(config::CONFIG, state.config_register());
            space.set_byte(config::LOCK, state.lock_register());
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PciFunction for I6300esb {
    fn bar_read(&self, _: u8, offset: u64, size: u8) -> u64 {
        match (offset, size) {
            (register::RELOAD, 2) if self.lock().timed_out => register::TIMED_OUT,
            _ => 0,
        }
    }

    fn bar_write(&self, _: u8, offset: u64, size: u8, value: u64) {
        let mut state = self.lock();
        if !state.takes(offset, value) {
            return;
        }
        match (offset, size) {
            (register::RELOAD, 2) => {
                if value & register::RELOAD_TIMER != 0 {
                    self.start(&mut state, 1);
                }
                if value & register::TIMED_OUT != 0 {
                    state.timed_out = false;
                }
            }
            (register::TIMER1, 4) => state.preload[0] = value as u32 & register::TICKS,
            (register::TIMER2, 4) => state.preload[1] = value as u32 & register::TICKS,
            _ => {}
        }
    }

    fn config_written(&self, offset: u16, size: u8, value: u32) {
        let mut state = self.lock();
        match (offset, size) {
            (config::CONFIG, 2) => {
                let value = value as u16;
                state.no_reboot = value & config::NO_REBOOT != 0;
                state.microseconds = value & config::MICROSECONDS != 0;
                state.interrupt_type = value & config::INTERRUPT_TYPE;
            }
            (config::LOCK, 1) => self.set_lock(&mut state, value as u8),
            _ => return,
        }
        self.publish(&state);
    }

    fn reset(&self) {
        let mut state = self.lock();
        self.timer.set(None);
        // What the guest is to learn after the reset survives it.
        *state = State {
            timed_out: state.timed_out,
            ..State::default()
        };
    }

    fn removed(&self) {
        self.timer.set(None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Rig {
        clock: Arc<Clock>,
        function: Arc<Function>,
        expired: Arc<AtomicU32>,
    }

    impl Rig {
        fn new() -> Self {
            let clock = Clock::new();
            let expired = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&expired);
            let function = i6300esb("", false, &clock, move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
            Self {
                clock,
                function,
                expired,
            }
        }

        fn write(&self, offset: u64, size: u8, value: u64) {
            for unlock in UNLOCK {
                self.function.bar_write(0, register::RELOAD, 1, unlock);
            }
            self.function.bar_write(0, offset, size, value);
        }

        /// Steps to that many milliseconds.
        fn step(&self, millis: u64, expected: u32) {
            self.clock.step_to(millis * 1_000_000);
            let expired = self.expired.load(Ordering::Relaxed);
            assert_eq!(expired, expected, "at {millis} ms");
        }
    }

    #[test]
    fn both_stages_run_out() {
        let rig = Rig::new();
        // A thousand ticks are 993 ms.
        rig.write(register::TIMER1, 4, 1000);
        rig.write(register::TIMER2, 4, 2000);
        rig.function.config_write(config::LOCK, 1, 2);
        assert_eq!(rig.function.config_read(config::LOCK, 1), 2);
        rig.step(2900, 0);
        rig.step(3000, 1);
        assert_eq!(rig.function.config_read(config::LOCK, 1), 0);
        assert_eq!(rig.function.bar_read(0, register::RELOAD, 2), 0x1200);
        rig.function.reset();
        assert_eq!(rig.function.bar_read(0, register::RELOAD, 2), 0x1200);
        rig.write(register::RELOAD, 2, 0x200);
        assert_eq!(rig.function.bar_read(0, register::RELOAD, 2), 0);
        rig.step(100_000, 1);
    }

    #[test]
    fn reloading_keeps_it_quiet() {
        let rig = Rig::new();
        rig.write(register::TIMER1, 4, 1000);
        rig.write(register::TIMER2, 4, 1000);
        rig.function.config_write(config::LOCK, 1, 2);
        for second in 1..10 {
            rig.step(second * 1000, 0);
            rig.write(register::RELOAD, 2, 0x100);
        }
        // Without unlocking a reload is not taken.
        rig.function.bar_write(0, register::RELOAD, 2, 0x100);
        rig.step(11_500, 1);
    }

    #[test]
    fn what_is_locked_or_off_stays_so() {
        let rig = Rig::new();
        rig.function.config_write(config::CONFIG, 2, 0x24);
        assert_eq!(rig.function.config_read(config::CONFIG, 2), 0x24);
        rig.function.config_write(config::LOCK, 1, 0x07);
        rig.function.config_write(config::LOCK, 1, 0);
        assert_eq!(rig.function.config_read(config::LOCK, 1), 7);
        rig.step(1_000_000, 0);
        rig.function.reset();
        assert_eq!(rig.function.config_read(config::LOCK, 1), 0);
        assert_eq!(rig.clock.next_deadline(), None);
    }
}
