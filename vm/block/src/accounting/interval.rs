//! Averages over the recent past.

use std::time::{Duration, Instant};

use super::Operation;

/// Averages over the last one to two times its length: two windows overlap by half, and the older
/// is the one that is reported.
#[derive(Debug)]
pub struct Interval {
    seconds: u32,
    windows: [Window; 2],
    in_flight: [u64; 4],
}

#[derive(Clone, Debug)]
struct Window {
    start: Instant,
    latency: [Latency; 4],
    /// Request-seconds that were in flight, by operation.
    depth: [f64; 4],
    depth_until: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Latency {
    count: u32,
    sum: Duration,
    min: Duration,
    max: Duration,
}

/// What an interval tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The interval's length in seconds.
    pub seconds: u32,
    /// Least, greatest and mean latency of each operation.
    pub latency: [(Duration, Duration, Duration); 4],
    /// Mean number of requests in flight of each operation.
    pub depth: [f64; 4],
}

impl Interval {
    pub(super) fn new(seconds: u32, now: Instant) -> Self {
        let first = Window::new(now);
        let half = Duration::from_secs(seconds.into()) / 2;
        let second = Window::new(now + half);
        Self {
            seconds,
            windows: [first, second],
            in_flight: [0; 4],
        }
    }

    pub(super) fn begin(&mut self, operation: Operation, now: Instant) {
        self.advance(now);
        self.in_flight[operation as usize] += 1;
    }

    /// `None` ends a request whose latency does not count.
    pub(super) fn end(&mut self, operation: Operation, time: Option<Duration>, now: Instant) {
        self.advance(now);
        let in_flight = &mut self.in_flight[operation as usize];
        *in_flight = in_flight.saturating_sub(1);
        let Some(time) = time else { return };
        for window in &mut self.windows {
            window.latency[operation as usize].count(time);
        }
    }

    pub(super) fn summary(&mut self, now: Instant) -> Summary {
        self.advance(now);
        let [first, second] = &self.windows;
        let older = if first.start <= second.start {
            first
        } else {
            second
        };
        let elapsed = now.saturating_duration_since(older.start).as_secs_f64();
        Summary {
            seconds: self.seconds,
            latency: older.latency.map(|latency| latency.summary()),
            depth: older
                .depth
                .map(|sum| if elapsed > 0.0 { sum / elapsed } else { 0.0 }),
        }
    }

    /// Adds the time since the last change to the depths, and starts windows over that are full.
    fn advance(&mut self, now: Instant) {
        let length = Duration::from_secs(self.seconds.into());
        for window in &mut self.windows {
            let since = now
                .saturating_duration_since(window.depth_until)
                .as_secs_f64();
            for (depth, in_flight) in window.depth.iter_mut().zip(self.in_flight) {
                *depth += since * in_flight as f64;
            }
            window.depth_until = window.depth_until.max(now);
            if now.saturating_duration_since(window.start) >= length {
                *window = Window::new(now);
            }
        }
    }
}

impl Window {
    fn new(start: Instant) -> Self {
        Self {
            start,
            latency: [Latency::default(); 4],
            depth: [0.0; 4],
            depth_until: start,
        }
    }
}

impl Latency {
    fn count(&mut self, time: Duration) {
        self.min = if self.count == 0 {
            time
        } else {
            self.min.min(time)
        };
        self.max = self.max.max(time);
        self.sum = self.sum.saturating_add(time);
        self.count = self.count.saturating_add(1);
    }

    fn summary(self) -> (Duration, Duration, Duration) {
        let mean = self.sum.checked_div(self.count).unwrap_or_default();
        (self.min, self.max, mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_the_recent_past() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_millis(seconds);
        let mut interval = Interval::new(10, start);
        interval.begin(Operation::Read, at(0));
        interval.end(Operation::Read, Some(Duration::from_millis(1000)), at(1000));
        interval.begin(Operation::Read, at(1000));
        interval.end(Operation::Read, Some(Duration::from_millis(3000)), at(4000));
        let summary = interval.summary(at(8000));
        let (min, max, mean) = summary.latency[Operation::Read as usize];
        assert_eq!(
            [min, max, mean].map(|time| time.as_millis()),
            [1000, 3000, 2000]
        );
        assert!((summary.depth[Operation::Read as usize] - 0.5).abs() < 1e-9);
        assert_eq!(interval.summary(at(30_000)).latency[0].1, Duration::ZERO);
    }
}
