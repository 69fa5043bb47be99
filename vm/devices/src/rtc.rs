//! The goldfish real-time clock: nanoseconds since 1970 and one alarm.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tinamou_memory::Mmio;

use crate::log::unimplemented;
use crate::{Clock, IrqLine, NANOS_PER_SECOND, Timer};

/// The size of the register window.
pub const SIZE: u64 = 0x24;

const TIME_LOW: u64 = 0x00;
const TIME_HIGH: u64 = 0x04;
const ALARM_LOW: u64 = 0x08;
const ALARM_HIGH: u64 = 0x0c;
const IRQ_ENABLED: u64 = 0x10;
const CLEAR_ALARM: u64 = 0x14;
const ALARM_STATUS: u64 = 0x18;
const CLEAR_INTERRUPT: u64 = 0x1c;

/// What the clock follows (`-rtc clock=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The host's time of day.
    #[default]
    Host,
    /// The host's clock that never jumps.
    Monotonic,
    /// Virtual time, which stops with the machine.
    Virtual,
}

/// Where a real-time clock starts and what it follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeOfDay {
    /// What makes it advance.
    pub source: Source,
    /// Nanoseconds to add to the host's time in UTC at start (`-rtc base=`).
    pub offset: i64,
}

/// The device's registers, as saved and restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Nanoseconds since 1970 when the followed clock shows zero.
    pub tick_offset: u64,
    /// When the alarm goes off.
    pub alarm_next: u64,
    /// An alarm is set.
    pub alarm_running: bool,
    /// The alarm has gone off.
    pub irq_pending: bool,
    /// The alarm may interrupt.
    pub irq_enabled: bool,
    /// The upper half of the time last read.
    pub time_high: u32,
}

/// Told when the guest has set the time: the seconds by which it is now ahead of what the clock
/// would show otherwise.
type OnSet = Box<dyn Fn(i64) + Send + Sync>;

/// The device.
pub struct Rtc {
    clock: Arc<Clock>,
    irq: IrqLine,
    source: Source,
    started: Instant,
    /// The offset with which it started.
    base: u64,
    on_set: OnceLock<OnSet>,
    alarm: Timer,
    state: Mutex<State>,
}

impl Rtc {
    /// A clock that interrupts through `irq`.
    #[must_use]
    pub fn new(clock: Arc<Clock>, irq: IrqLine, time: TimeOfDay) -> Arc<Self> {
        let started = Instant::now();
        let shown = host_time().wrapping_add_signed(time.offset);
        let base = shown.wrapping_sub(followed(time.source, started, &clock));
        Arc::new_cyclic(|weak: &Weak<Self>| {
            let rtc = weak.clone();
            let alarm = clock.timer(move || {
                if let Some(rtc) = rtc.upgrade() {
                    rtc.set_alarm(&mut rtc.lock());
                }
            });
            Self {
                clock,
                irq,
                source: time.source,
                started,
                base,
                on_set: OnceLock::new(),
                alarm,
                state: Mutex::new(State {
                    tick_offset: base,
                    ..State::default()
                }),
            }
        })
    }

    /// Calls `tell` whenever the guest has set the time, with the seconds by which the clock is
    /// now ahead of what it would show otherwise. Only the first caller is heard.
    pub fn on_set(&self, tell: impl Fn(i64) + Send + Sync + 'static) {
        // A clock is on one board, which one machine has.
        let _ = self.on_set.set(Box::new(tell));
    }

    /// Puts the registers as at power-on; the time goes on.
    pub fn reset(&self) {
        let mut state = self.lock();
        *state = State {
            tick_offset: state.tick_offset,
            ..State::default()
        };
        self.alarm.set(None);
        self.drive(&state);
    }

    /// Nanoseconds since 1970, as the guest sees them.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.time_of(&self.lock())
    }

    fn time_of(&self, state: &State) -> u64 {
        state.tick_offset.wrapping_add(self.followed())
    }

    fn followed(&self) -> u64 {
        followed(self.source, self.started, &self.clock)
    }

    /// Whole seconds between the time shown and what it would be if nobody had set it.
    fn seconds_ahead(&self) -> i64 {
        let (followed, offset) = (self.followed(), self.lock().tick_offset);
        let seconds = |offset: u64| (offset.wrapping_add(followed) / NANOS_PER_SECOND) as i64;
        seconds(offset) - seconds(self.base)
    }

    fn read_word(&self, offset: u64) -> u32 {
        let mut state = self.lock();
        match offset {
            TIME_LOW => {
                let time = self.time_of(&state);
                state.time_high = (time >> 32) as u32;
                time as u32
            }
            TIME_HIGH => state.time_high,
            ALARM_LOW => state.alarm_next as u32,
            ALARM_HIGH => (state.alarm_next >> 32) as u32,
            IRQ_ENABLED => state.irq_enabled.into(),
            ALARM_STATUS => state.alarm_running.into(),
            _ => {
                unimplemented(format_args!(
                    "goldfish_rtc_read: offset {offset:#x} is UNIMP."
                ));
                0
            }
        }
    }

    fn write_word(&self, offset: u64, value: u32) {
        let mut state = self.lock();
        match offset {
            TIME_LOW | TIME_HIGH => self.set_time(&mut state, offset, value),
            ALARM_LOW => {
                state.alarm_next = with_low(state.alarm_next, value);
                self.set_alarm(&mut state);
            }
            ALARM_HIGH => state.alarm_next = with_high(state.alarm_next, value),
            IRQ_ENABLED => state.irq_enabled = value & 1 != 0,
            CLEAR_ALARM => {
                state.alarm_running = false;
                self.alarm.set(None);
            }
            CLEAR_INTERRUPT => state.irq_pending = false,
            _ => unimplemented(format_args!(
                "goldfish_rtc_write: offset {offset:#x} is UNIMP."
            )),
        }
        self.drive(&state);
    }

    fn set_time(&self, state: &mut State, offset: u64, value: u32) {
        let time = self.time_of(state);
        let set = if offset == TIME_LOW {
            with_low(time, value)
        } else {
            with_high(time, value)
        };
        state.tick_offset = state.tick_offset.wrapping_add(set.wrapping_sub(time));
    }

    /// Arms the alarm, or lets it go off when its time has come.
    fn set_alarm(&self, state: &mut State) {
        let left = state.alarm_next.saturating_sub(self.time_of(state));
        state.alarm_running = left > 0;
        state.irq_pending |= left == 0;
        let deadline = self.clock.now().checked_add(left).filter(|_| left > 0);
        self.alarm.set(deadline);
        self.drive(state);
    }

    fn drive(&self, state: &State) {
        self.irq.set(state.irq_pending && state.irq_enabled);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mmio for Rtc {
    fn read(&self, offset: u64, size: u8) -> u64 {
        if size == 4 {
            self.read_word(offset).into()
        } else {
            0
        }
    }

    fn write(&self, offset: u64, size: u8, value: u64) {
        if size != 4 {
            return;
        }
        self.write_word(offset, value as u32);
        // Drivers write the high half first.
        if offset == TIME_LOW
            && let Some(tell) = self.on_set.get()
        {
            tell(self.seconds_ahead());
        }
    }
}

impl fmt::Debug for Rtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rtc")
            .field("source", &self.source)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What a clock's source shows.
fn followed(source: Source, started: Instant, clock: &Clock) -> u64 {
    match source {
        Source::Host => host_time(),
        Source::Monotonic => u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        Source::Virtual => clock.now(),
    }
}

/// The host's time of day in nanoseconds since 1970.
fn host_time() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn with_low(value: u64, low: u32) -> u64 {
    value & !0xffff_ffff | u64::from(low)
}

fn with_high(value: u64, high: u32) -> u64 {
    value & 0xffff_ffff | u64::from(high) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> (Arc<Clock>, IrqLine, Arc<Rtc>) {
        let (clock, irq) = (Clock::new(), IrqLine::unconnected());
        let time = TimeOfDay {
            source: Source::Virtual,
            offset: 0,
        };
        let rtc = Rtc::new(Arc::clone(&clock), irq.clone(), time);
        (clock, irq, rtc)
    }

    fn read_time(rtc: &Rtc) -> u64 {
        rtc.read(TIME_LOW, 4) | rtc.read(TIME_HIGH, 4) << 32
    }

    fn write_time(rtc: &Rtc, time: u64) {
        rtc.write(TIME_HIGH, 4, time >> 32);
        rtc.write(TIME_LOW, 4, time);
    }

    #[test]
    fn time_advances_with_its_source_and_can_be_set() {
        let (clock, _, rtc) = board();
        let start = read_time(&rtc);
        assert!(start > 1_600_000_000 * crate::NANOS_PER_SECOND);
        clock.step_to(5);
        assert_eq!(read_time(&rtc), start + 5);
        write_time(&rtc, 0x1234_5678_9abc_def0);
        assert_eq!(read_time(&rtc), 0x1234_5678_9abc_def0);
    }

    #[test]
    fn setting_it_is_told_in_seconds() {
        let (clock, _, rtc) = board();
        let told = Arc::new(Mutex::new(Vec::new()));
        let teller = Arc::clone(&told);
        rtc.on_set(move |seconds| teller.lock().expect("nobody panics").push(seconds));
        let start = read_time(&rtc) / NANOS_PER_SECOND;
        write_time(&rtc, (start + 3600) * NANOS_PER_SECOND);
        clock.step_to(90 * NANOS_PER_SECOND);
        write_time(&rtc, start * NANOS_PER_SECOND);
        write_time(&rtc, 0);
        write_time(&rtc, u64::MAX);
        let told = told.lock().expect("nobody panics");
        let last = (u64::MAX / NANOS_PER_SECOND - start) as i64 - 90;
        assert_eq!(*told, [3600, -90, -(start as i64) - 90, last]);
    }

    #[test]
    fn reading_the_low_half_holds_the_high_half() {
        let (clock, _, rtc) = board();
        write_time(&rtc, 0x1_ffff_ffff);
        assert_eq!(rtc.read(TIME_LOW, 4), 0xffff_ffff);
        clock.step_to(1);
        assert_eq!(rtc.read(TIME_HIGH, 4), 1);
    }

    #[test]
    fn an_alarm_interrupts_once_enabled() {
        let (clock, irq, rtc) = board();
        write_time(&rtc, 1000);
        rtc.write(IRQ_ENABLED, 4, 1);
        rtc.write(ALARM_HIGH, 4, 0);
        rtc.write(ALARM_LOW, 4, 1500);
        assert_eq!((rtc.read(ALARM_STATUS, 4), irq.level()), (1, false));
        clock.step_to(499);
        assert!(!irq.level());
        clock.step_to(500);
        assert_eq!((rtc.read(ALARM_STATUS, 4), irq.level()), (0, true));
        rtc.write(CLEAR_INTERRUPT, 4, 1);
        assert!(!irq.level());
    }

    #[test]
    fn a_past_alarm_goes_off_at_once_and_a_cleared_one_never() {
        let (clock, irq, rtc) = board();
        write_time(&rtc, 1000);
        rtc.write(ALARM_LOW, 4, 1000);
        assert!(!irq.level());
        rtc.write(IRQ_ENABLED, 4, 1);
        assert!(irq.level());
        rtc.write(CLEAR_INTERRUPT, 4, 0);
        rtc.write(ALARM_LOW, 4, 2000);
        rtc.write(CLEAR_ALARM, 4, 0);
        clock.step_to(5000);
        assert!(!irq.level());
    }

    #[test]
    fn no_access_panics() {
        let (_, _, rtc) = board();
        for value in [0, 1, u64::MAX] {
            for (offset, size) in (0..64).flat_map(|offset| [1, 2, 4, 8].map(|size| (offset, size)))
            {
                rtc.write(offset, size, value);
                rtc.read(offset, size);
            }
        }
    }
}
