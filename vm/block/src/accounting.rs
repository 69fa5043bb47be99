//! Counters of a disk's requests: how many, how large, how long they took.

mod histogram;
mod interval;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use histogram::{BadBoundaries, Histogram};
pub use interval::{Interval, Summary};

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads.
    Read,
    /// Writes, those of zeros among them.
    Write,
    /// Flushes.
    Flush,
    /// Discards that a guest asked for by a command of their own.
    Unmap,
}

impl Operation {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Flush, Self::Unmap];
}

/// What has been counted of one operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Bytes of those that worked.
    pub bytes: u64,
    /// Requests that worked.
    pub operations: u64,
    /// Requests that the host failed.
    pub failed: u64,
    /// Requests that could never have worked.
    pub invalid: u64,
    /// Requests that became part of another.
    pub merged: u64,
    /// How long they took in all.
    pub time: Duration,
    /// How long they took each, if that is asked for.
    pub histogram: Option<Histogram>,
}

/// The counters of a disk.
#[derive(Debug)]
pub struct Stats {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    operations: [Counters; 4],
    zone_append: Option<Histogram>,
    last_access: Option<Instant>,
    account_invalid: bool,
    account_failed: bool,
    intervals: Vec<Interval>,
}

/// A request that is being counted.
#[derive(Clone, Copy, Debug)]
pub struct Cookie {
    operation: Operation,
    bytes: u64,
    start: Instant,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                operations: Default::default(),
                zone_append: None,
                last_access: None,
                account_invalid: true,
                account_failed: true,
                intervals: Vec::new(),
            }),
        }
    }
}

impl Stats {
    /// Says which requests without effect count as accesses (`account-invalid`, `account-failed`
    /// or `stats-account-…` of a drive), and over which intervals to keep averages, in seconds.
    pub fn configure(&self, account_invalid: bool, account_failed: bool, intervals: &[u32]) {
        let mut inner = self.inner();
        inner.account_invalid = account_invalid;
        inner.account_failed = account_failed;
        let now = Instant::now();
        inner.intervals = intervals
            .iter()
            .map(|seconds| Interval::new(*seconds, now))
            .collect();
    }

    /// Says which requests without effect count as accesses.
    pub fn account(&self, invalid: bool, failed: bool) {
        let mut inner = self.inner();
        inner.account_invalid = invalid;
        inner.account_failed = failed;
    }

    /// A request begins.
    pub fn begin(&self, operation: Operation, bytes: u64) -> Cookie {
        let start = Instant::now();
        for interval in &mut self.inner().intervals {
            interval.begin(operation, start);
        }
        Cookie {
            operation,
            bytes,
            start,
        }
    }

    /// It has worked.
    pub fn done(&self, cookie: Cookie) {
        let now = Instant::now();
        let inner = &mut *self.inner();
        inner.took(cookie, now);
        let counters = &mut inner.operations[cookie.operation as usize];
        counters.bytes = counters.bytes.saturating_add(cookie.bytes);
        counters.operations += 1;
        inner.last_access = Some(now);
    }

    /// The host has failed it.
    pub fn failed(&self, cookie: Cookie) {
        let now = Instant::now();
        let inner = &mut *self.inner();
        inner.operations[cookie.operation as usize].failed += 1;
        if inner.account_failed {
            inner.took(cookie, now);
            inner.last_access = Some(now);
        } else {
            inner.end(cookie.operation, None, now);
        }
    }

    /// A request could never have worked.
    pub fn invalid(&self, operation: Operation) {
        let inner = &mut *self.inner();
        inner.operations[operation as usize].invalid += 1;
        if inner.account_invalid {
            inner.last_access = Some(Instant::now());
        }
    }

    /// Sets the bounds of an operation's histogram and starts it over; none removes it.
    ///
    /// # Errors
    /// The bounds do not rise.
    pub fn set_histogram(
        &self,
        operation: Operation,
        boundaries: Option<&[u64]>,
    ) -> Result<(), BadBoundaries> {
        let histogram = boundaries.map(Histogram::new).transpose()?;
        self.inner().operations[operation as usize].histogram = histogram;
        Ok(())
    }

    /// The same for appends to zones, which no disk has: nothing is ever counted.
    ///
    /// # Errors
    /// The bounds do not rise.
    pub fn set_zone_append_histogram(
        &self,
        boundaries: Option<&[u64]>,
    ) -> Result<(), BadBoundaries> {
        let histogram = boundaries.map(Histogram::new).transpose()?;
        self.inner().zone_append = histogram;
        Ok(())
    }

    /// The histogram of appends to zones.
    pub fn zone_append_histogram(&self) -> Option<Histogram> {
        self.inner().zone_append.clone()
    }

    /// What has been counted of an operation.
    pub fn counters(&self, operation: Operation) -> Counters {
        self.inner().operations[operation as usize].clone()
    }

    /// Time since the last access, if there was one.
    pub fn idle(&self) -> Option<Duration> {
        self.inner().last_access.map(|last| last.elapsed())
    }

    /// Whether invalid and failed requests count as accesses.
    pub fn accounts(&self) -> (bool, bool) {
        let inner = self.inner();
        (inner.account_invalid, inner.account_failed)
    }

    /// The averages of each interval that was asked for.
    pub fn intervals(&self) -> Vec<Summary> {
        let now = Instant::now();
        let mut inner = self.inner();
        let intervals = inner.intervals.iter_mut();
        intervals.map(|interval| interval.summary(now)).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn took(&mut self, cookie: Cookie, now: Instant) {
        let time = now.saturating_duration_since(cookie.start);
        let counters = &mut self.operations[cookie.operation as usize];
        counters.time = counters.time.saturating_add(time);
        if let Some(histogram) = &mut counters.histogram {
            histogram.count(nanoseconds(time));
        }
        self.end(cookie.operation, Some(time), now);
    }

    fn end(&mut self, operation: Operation, time: Option<Duration>, now: Instant) {
        for interval in &mut self.intervals {
            interval.end(operation, time, now);
        }
    }
}

/// A time in nanoseconds, as the wire has them.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_apart() {
        let stats = Stats::default();
        let read = stats.begin(Operation::Read, 4096);
        let write = stats.begin(Operation::Write, 512);
        stats.done(read);
        stats.failed(write);
        stats.invalid(Operation::Write);
        let read = stats.counters(Operation::Read);
        assert_eq!((read.bytes, read.operations, read.failed), (4096, 1, 0));
        let write = stats.counters(Operation::Write);
        assert_eq!((write.bytes, write.operations), (0, 0));
        assert_eq!((write.failed, write.invalid), (1, 1));
        assert!(stats.idle().is_some());
    }

    #[test]
    fn what_does_not_count_leaves_the_disk_idle() {
        let stats = Stats::default();
        stats.configure(false, false, &[]);
        let read = stats.begin(Operation::Read, 4096);
        stats.failed(read);
        stats.invalid(Operation::Flush);
        assert_eq!(stats.idle(), None);
        assert_eq!(stats.counters(Operation::Read).time, Duration::ZERO);
    }
}
