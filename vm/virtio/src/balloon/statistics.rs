//! What the guest tells of its memory, and when it is asked.
//!
//! The driver puts a buffer of statistics into the queue; the device keeps it, and returns it to
//! ask for new ones (virtio 1.2 §5.5.6.3).

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use tinamou_devices::{NANOS_PER_SECOND, Timer};

use super::spec::{STATISTIC_SIZE, STATISTICS};
use crate::Chain;

/// What the guest sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// By tag; all ones where the guest has sent none.
    pub values: [u64; STATISTICS.len()],
    /// When it came, in seconds since 1970; 0 if never.
    pub last_update: u64,
}

impl Statistics {
    pub(super) const NONE: Self = Self {
        values: [u64::MAX; STATISTICS.len()],
        last_update: 0,
    };

    /// Names and values, in the order of their tags.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STATISTICS.into_iter().zip(self.values)
    }
}

/// An interval that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// Below zero.
    #[error("timer value must be greater than zero")]
    Negative,
    /// More than 32 bits.
    #[error("timer value is too big")]
    TooBig,
}

/// The exchange of statistics.
pub(super) struct Polling {
    statistics: Statistics,
    interval: u32,
    timer: Timer,
    /// The driver's buffer, and how much of it held statistics.
    held: Option<(Chain, u32)>,
    /// The interval has passed.
    due: bool,
}

impl Polling {
    pub(super) fn new(timer: Timer) -> Self {
        Self {
            statistics: Statistics::NONE,
            interval: 0,
            timer,
            held: None,
            due: false,
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.statistics
    }

    pub(super) fn interval(&self) -> u32 {
        self.interval
    }

    /// The first question comes at once, the next after what is left of the interval.
    pub(super) fn set_interval(&mut self, seconds: i64, now: u64) -> Result<(), IntervalError> {
        if seconds < 0 {
            return Err(IntervalError::Negative);
        }
        let seconds = u32::try_from(seconds).map_err(|_| IntervalError::TooBig)?;
        let before = std::mem::replace(&mut self.interval, seconds);
        if seconds == 0 {
            self.due = false;
            self.timer.set(None);
        } else if before == 0 {
            self.timer.set(Some(now));
        } else if before != seconds {
            self.arm(now);
        }
        Ok(())
    }

    pub(super) fn due(&mut self) {
        self.due = self.interval > 0;
    }

    /// Takes in statistics and keeps their buffer. A driver has one buffer; another one kept
    /// until now goes back.
    pub(super) fn receive(&mut self, chain: Chain, now: u64) -> Option<Chain> {
        let mut bytes = [0; STATISTIC_SIZE];
        let mut reader = chain.reader();
        let total = reader.remaining();
        while reader.read_exact(&mut bytes).is_ok() {
            let [a, b, value @ ..] = bytes;
            let tag = usize::from(u16::from_le_bytes([a, b]));
            if let Some(statistic) = self.statistics.values.get_mut(tag) {
                *statistic = u64::from_le_bytes(value);
            }
        }
        let length = (total - total % STATISTIC_SIZE as u64) as u32;
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        self.statistics.last_update = time.map_or(0, |time| time.as_secs());
        if self.interval > 0 && !self.due {
            self.arm(now);
        }
        self.held.replace((chain, length)).map(|(chain, _)| chain)
    }

    /// The buffer to return, if it is time to ask; when the driver has it, ask again later.
    pub(super) fn ask(&mut self, now: u64) -> Option<(Chain, u32)> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        if self.held.is_none() {
            self.arm(now);
        }
        self.held.take()
    }

    /// The driver's buffer is no longer valid.
    pub(super) fn forget(&mut self) {
        self.held = None;
    }

    fn arm(&self, now: u64) {
        let interval = u64::from(self.interval) * NANOS_PER_SECOND;
        self.timer.set(Some(now.saturating_add(interval)));
    }
}
