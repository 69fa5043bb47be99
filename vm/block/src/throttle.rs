//! Limits on bytes and requests a second, for one disk or for a group that shares them.
//!
//! Each limit is a bucket that leaks at the average rate and may be filled above it for a while,
//! as fast as the burst rate, for as long as the burst may last.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The limits, by what they count. The order is that of [`Limits::buckets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Bytes, either way.
    BytesTotal,
    /// Bytes read.
    BytesRead,
    /// Bytes written.
    BytesWrite,
    /// Requests, either way.
    OpsTotal,
    /// Reads.
    OpsRead,
    /// Writes.
    OpsWrite,
}

impl Bucket {
    /// All, in their order.
    pub const ALL: [Self; 6] = [
        Self::BytesTotal,
        Self::BytesRead,
        Self::BytesWrite,
        Self::OpsTotal,
        Self::OpsRead,
        Self::OpsWrite,
    ];

    /// What its average is called; its burst and the length of that have `-max` and `-max-length`
    /// behind it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BytesTotal => "bps-total",
            Self::BytesRead => "bps-read",
            Self::BytesWrite => "bps-write",
            Self::OpsTotal => "iops-total",
            Self::OpsRead => "iops-read",
            Self::OpsWrite => "iops-write",
        }
    }
}

/// One limit. Zero is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Units a second.
    pub average: u64,
    /// Units a second during a burst.
    pub burst: u64,
    /// Seconds that a burst lasts; 1 unless said otherwise.
    pub burst_length: u64,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            average: 0,
            burst: 0,
            burst_length: 1,
        }
    }
}

/// Numbers from outside for one bucket, as far as they are given: average, burst, burst length.
pub type Given = (Option<i64>, Option<i64>, Option<i64>);

/// All limits of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// By [`Bucket`].
    pub buckets: [Rate; 6],
    /// Bytes that count as one request; 0 if all requests count alike.
    pub op_size: u64,
}

/// Limits that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLimits {
    /// A total beside its parts.
    #[error("bps/iops/max total values and read/write values cannot be used at the same time")]
    TotalAndParts,
    /// A size without a rate.
    #[error("iops size requires an iops value to be set")]
    OpSize,
    /// Numbers that the sums below cannot hold.
    #[error("bps/iops/max values must be within [0, 1000000000000000]")]
    Range,
    /// A burst that lasts no time.
    #[error("the burst length cannot be 0")]
    NoLength,
    /// A length without a burst.
    #[error("burst length set without burst rate")]
    LengthWithoutBurst,
    /// A burst that is longer than the buckets can hold.
    #[error("burst length too high for this burst rate")]
    LengthTooHigh,
    /// A burst without an average.
    #[error("bps_max/iops_max require corresponding bps/iops values")]
    BurstWithoutAverage,
    /// A burst that is slower than the average.
    #[error("bps_max/iops_max cannot be lower than bps/iops")]
    BurstBelowAverage,
}

/// Highest value of any limit.
const HIGHEST: u64 = 1_000_000_000_000_000;

impl Limits {
    /// Whether anything is limited.
    pub fn is_enabled(&self) -> bool {
        self.buckets.iter().any(|rate| rate.average > 0)
    }

    /// The limit on what a bucket counts.
    pub fn rate(&self, bucket: Bucket) -> Rate {
        self.buckets[bucket as usize]
    }

    /// The limits with those changed that are given, by [`Bucket`].
    ///
    /// # Errors
    /// A number is below zero. Whether the limits go together is another [question](Self::check).
    pub fn with(mut self, given: &[Given; 6], op_size: Option<i64>) -> Result<Self, BadLimits> {
        for (rate, &(average, burst, length)) in self.buckets.iter_mut().zip(given) {
            replace(&mut rate.average, average)?;
            replace(&mut rate.burst, burst)?;
            replace(&mut rate.burst_length, length)?;
        }
        replace(&mut self.op_size, op_size)?;
        Ok(self)
    }

    /// Whether the limits go together.
    ///
    /// # Errors
    /// They do not.
    pub fn check(&self) -> Result<(), BadLimits> {
        let clash = |total: Bucket, parts: [Bucket; 2], value: fn(Rate) -> u64| {
            let part = parts.iter().any(|part| value(self.rate(*part)) > 0);
            value(self.rate(total)) > 0 && part
        };
        let bytes = [Bucket::BytesRead, Bucket::BytesWrite];
        let ops = [Bucket::OpsRead, Bucket::OpsWrite];
        let average = |rate: Rate| rate.average;
        let burst = |rate: Rate| rate.burst;
        if clash(Bucket::BytesTotal, bytes, average)
            || clash(Bucket::OpsTotal, ops, average)
            || clash(Bucket::BytesTotal, bytes, burst)
            || clash(Bucket::OpsTotal, ops, burst)
        {
            return Err(BadLimits::TotalAndParts);
        }
        let limits_ops = [Bucket::OpsTotal, Bucket::OpsRead, Bucket::OpsWrite];
        if self.op_size > 0 && limits_ops.iter().all(|ops| self.rate(*ops).average == 0) {
            return Err(BadLimits::OpSize);
        }
        self.buckets.iter().try_for_each(|rate| rate.check())
    }
}

fn replace(number: &mut u64, given: Option<i64>) -> Result<(), BadLimits> {
    if let Some(given) = given {
        *number = u64::try_from(given).map_err(|_| BadLimits::Range)?;
    }
    Ok(())
}

impl Rate {
    fn check(self) -> Result<(), BadLimits> {
        if self.average > HIGHEST || self.burst > HIGHEST {
            return Err(BadLimits::Range);
        }
        if self.burst_length == 0 {
            return Err(BadLimits::NoLength);
        }
        if self.burst_length > 1 && self.burst == 0 {
            return Err(BadLimits::LengthWithoutBurst);
        }
        if self.burst > 0 && self.burst_length > HIGHEST / self.burst {
            return Err(BadLimits::LengthTooHigh);
        }
        if self.burst > 0 && self.average == 0 {
            return Err(BadLimits::BurstWithoutAverage);
        }
        if self.burst > 0 && self.burst < self.average {
            return Err(BadLimits::BurstBelowAverage);
        }
        Ok(())
    }
}

/// A bucket: how full it is.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// Against the average.
    level: f64,
    /// Against the burst rate.
    burst: f64,
}

impl Level {
    fn leak(&mut self, rate: Rate, elapsed: f64) {
        self.level = (self.level - rate.average as f64 * elapsed).max(0.0);
        if rate.burst_length > 1 {
            self.burst = (self.burst - rate.burst as f64 * elapsed).max(0.0);
        }
    }

    fn fill(&mut self, rate: Rate, units: f64) {
        self.level += units;
        if rate.burst_length > 1 {
            self.burst += units;
        }
    }

    /// How long until there is room.
    fn wait(self, rate: Rate) -> f64 {
        if rate.average == 0 {
            return 0.0;
        }
        let (average, burst) = (rate.average as f64, rate.burst as f64);
        // Without a burst a tenth of a second's worth may pass at once.
        let (room, burst_room) = match rate.burst {
            0 => (average / 10.0, 0.0),
            _ => (burst * rate.burst_length as f64, burst / 10.0),
        };
        let extra = self.level - room;
        if extra > 0.0 {
            return extra / average;
        }
        let extra = self.burst - burst_room;
        if rate.burst_length > 1 && extra > 0.0 {
            return extra / burst;
        }
        0.0
    }
}

/// Disks that share limits.
pub struct Group {
    name: String,
    members: AtomicUsize,
    state: Mutex<State>,
    /// Who waits for its turn to read, and to write: one at a time, in order.
    turns: [tokio::sync::Mutex<()>; 2],
    changed: tokio::sync::Notify,
}

struct State {
    limits: Limits,
    levels: [Level; 6],
    leaked: Instant,
}

/// A place in a group.
#[derive(Debug)]
pub(crate) struct Member(Arc<Group>);

impl Member {
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.0
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.members.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Group {
    /// A group without limits.
    pub fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            members: AtomicUsize::new(0),
            state: Mutex::new(State {
                limits: Limits::default(),
                levels: [Level::default(); 6],
                leaked: Instant::now(),
            }),
            turns: Default::default(),
            changed: tokio::sync::Notify::new(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it limits anybody.
    pub fn is_used(&self) -> bool {
        self.members.load(Ordering::Relaxed) > 0
    }

    /// Takes a place in it.
    pub(crate) fn join(self: &Arc<Self>) -> Member {
        self.members.fetch_add(1, Ordering::Relaxed);
        Member(Arc::clone(self))
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.state().limits
    }

    /// Sets the limits.
    ///
    /// # Errors
    /// They contradict each other; the old ones stay.
    pub fn set_limits(&self, limits: Limits) -> Result<(), BadLimits> {
        limits.check()?;
        let mut state = self.state();
        state.limits = limits;
        state.levels = [Level::default(); 6];
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Waits until a request of `bytes` may pass.
    pub async fn pass(&self, is_write: bool, bytes: u64) {
        let _turn = self.turns[usize::from(is_write)].lock().await;
        loop {
            let changed = self.changed.notified();
            let wait = self.state().wait(is_write, Instant::now());
            if wait.is_zero() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed => {}
            }
        }
        self.state().fill(is_write, bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, is_write: bool, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.leaked).as_secs_f64();
        self.leaked = now;
        for (level, rate) in self.levels.iter_mut().zip(self.limits.buckets) {
            level.leak(rate, elapsed);
        }
        let waits = of_direction(is_write).map(|bucket| {
            let index = bucket as usize;
            self.levels[index].wait(self.limits.buckets[index])
        });
        let longest = waits.into_iter().fold(0.0, f64::max);
        Duration::try_from_secs_f64(longest).unwrap_or(Duration::MAX)
    }

    fn fill(&mut self, is_write: bool, bytes: u64) {
        let requests = match self.limits.op_size {
            0 => 1.0,
            size => (bytes as f64 / size as f64).max(1.0),
        };
        for bucket in of_direction(is_write) {
            let index = bucket as usize;
            let units = if index < Bucket::OpsTotal as usize {
                bytes as f64
            } else {
                requests
            };
            self.levels[index].fill(self.limits.buckets[index], units);
        }
    }
}

fn of_direction(is_write: bool) -> [Bucket; 4] {
    use Bucket as B;
    match is_write {
        false => [B::BytesTotal, B::BytesRead, B::OpsTotal, B::OpsRead],
        true => [B::BytesTotal, B::BytesWrite, B::OpsTotal, B::OpsWrite],
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(average: u64, burst: u64, burst_length: u64) -> Rate {
        Rate {
            average,
            burst,
            burst_length,
        }
    }

    fn limits(rows: &[(Bucket, Rate)]) -> Limits {
        let mut limits = Limits {
            buckets: [rate(0, 0, 1); 6],
            op_size: 0,
        };
        for (bucket, rate) in rows {
            limits.buckets[*bucket as usize] = *rate;
        }
        limits
    }

    #[test]
    fn limits_must_go_together() {
        use BadLimits as Bad;
        use Bucket as B;
        type Row<'a> = (&'a [(Bucket, Rate)], Result<(), BadLimits>);
        let rows: [Row<'_>; 8] = [
            (&[(B::OpsTotal, rate(100, 0, 1))], Ok(())),
            (
                &[(B::OpsTotal, rate(1, 0, 1)), (B::OpsRead, rate(1, 0, 1))],
                Err(Bad::TotalAndParts),
            ),
            (&[(B::OpsTotal, rate(HIGHEST + 1, 0, 1))], Err(Bad::Range)),
            (&[(B::OpsTotal, rate(1, 2, 0))], Err(Bad::NoLength)),
            (
                &[(B::OpsTotal, rate(1, 0, 2))],
                Err(Bad::LengthWithoutBurst),
            ),
            (
                &[(B::OpsTotal, rate(1, HIGHEST, 2))],
                Err(Bad::LengthTooHigh),
            ),
            (
                &[(B::OpsTotal, rate(0, 1, 1))],
                Err(Bad::BurstWithoutAverage),
            ),
            (&[(B::OpsTotal, rate(3, 1, 1))], Err(Bad::BurstBelowAverage)),
        ];
        for (given, expected) in rows {
            assert_eq!(limits(given).check(), expected, "{given:?}");
        }
    }

    #[test]
    fn buckets_leak() {
        let start = Instant::now();
        let mut state = State {
            limits: limits(&[(Bucket::OpsTotal, rate(10, 0, 1))]),
            levels: [Level::default(); 6],
            leaked: start,
        };
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(state.wait(false, at(0)), Duration::ZERO);
        state.fill(false, 512);
        assert_eq!(
            state.wait(false, at(0)),
            Duration::ZERO,
            "a tenth may pass at once"
        );
        state.fill(true, 512);
        let wait = state.wait(false, at(0)).as_secs_f64();
        assert!((wait - 0.1).abs() < 1e-9, "{wait}");
        assert_eq!(state.wait(false, at(100)), Duration::ZERO);
    }

    #[test]
    fn bursts_last_as_long_as_they_may() {
        let start = Instant::now();
        let mut state = State {
            limits: limits(&[(Bucket::BytesWrite, rate(100, 1000, 2))]),
            levels: [Level::default(); 6],
            leaked: start,
        };
        state.fill(true, 100);
        assert_eq!(state.wait(true, start), Duration::ZERO);
        state.fill(true, 100);
        let wait = state.wait(true, start).as_secs_f64();
        assert!(
            (wait - 0.1).abs() < 1e-9,
            "not faster than the burst rate: {wait}"
        );
        assert_eq!(state.wait(false, start), Duration::ZERO, "reads are free");
    }
}
