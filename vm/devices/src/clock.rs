//! Virtual time, which stops with the machine, and the timers on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The value of [`Clock::frozen`] while time runs.
const RUNNING: u64 = u64::MAX;

/// The virtual clock of one machine, in nanoseconds since it was first started.
///
/// It follows the host's monotonic clock while started, and stands still otherwise. Under qtest
/// it is never started and moves by [`Clock::step_to`] alone.
pub struct Clock {
    origin: Instant,
    /// Host nanoseconds since `origin` that did not count as virtual time.
    paused: AtomicU64,
    /// The time at which the clock stands, or [`RUNNING`].
    frozen: AtomicU64,
    timers: Mutex<Timers>,
    changed: Condvar,
}

type Callback = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Timers {
    next_id: u64,
    callbacks: BTreeMap<u64, (Callback, Option<u64>)>,
    armed: BTreeSet<(u64, u64)>,
    closed: bool,
}

impl Clock {
    /// A clock that stands at zero.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            paused: AtomicU64::new(0),
            frozen: AtomicU64::new(0),
            timers: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> u64 {
        match self.frozen.load(Ordering::Acquire) {
            RUNNING => self
                .host()
                .saturating_sub(self.paused.load(Ordering::Relaxed)),
            standing => standing,
        }
    }

    /// Lets time run. No effect when it runs already.
    pub fn start(&self) {
        let _timers = self.lock();
        let standing = self.frozen.load(Ordering::Acquire);
        if standing == RUNNING {
            return;
        }
        self.paused
            .store(self.host().saturating_sub(standing), Ordering::Relaxed);
        self.frozen.store(RUNNING, Ordering::Release);
        self.changed.notify_all();
    }

    /// Makes time stand still. No effect when it stands already.
    pub fn stop(&self) {
        let _timers = self.lock();
        self.frozen.store(self.now(), Ordering::Release);
        self.changed.notify_all();
    }

    /// Moves a standing clock forward to `time`, with every timer on the way seeing its own
    /// deadline as the present. A clock never goes back.
    pub fn step_to(&self, time: u64) {
        let time = time.min(RUNNING - 1);
        while let Some(deadline) = self.next_deadline().filter(|deadline| *deadline <= time) {
            self.advance(deadline);
            self.fire();
        }
        self.advance(time);
    }

    /// When the next timer is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.lock().armed.first().map(|(deadline, _)| *deadline)
    }

    /// Makes a timer that calls `callback` when due, from the thread in [`Clock::serve`] or from
    /// [`Clock::step_to`]. It is not armed yet.
    pub fn timer(self: &Arc<Self>, callback: impl Fn() + Send + Sync + 'static) -> Timer {
        let mut timers = self.lock();
        let id = timers.next_id;
        timers.next_id += 1;
        timers.callbacks.insert(id, (Arc::new(callback), None));
        drop(timers);
        Timer {
            clock: Arc::clone(self),
            id,
        }
    }

    /// Fires timers as they fall due, until [`Clock::close`]. One thread per machine does this.
    pub fn serve(&self) {
        loop {
            self.fire();
            let timers = self.lock();
            if timers.closed {
                return;
            }
            self.sleep(timers);
        }
    }

    /// Ends [`Clock::serve`].
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for the first deadline, or for a change that could move it.
    fn sleep(&self, timers: MutexGuard<'_, Timers>) {
        let running = self.frozen.load(Ordering::Acquire) == RUNNING;
        let Some((deadline, _)) = timers.armed.first().copied().filter(|_| running) else {
            drop(
                self.changed
                    .wait(timers)
                    .unwrap_or_else(PoisonError::into_inner),
            );
            return;
        };
        let left = deadline.saturating_sub(self.now());
        if left > 0 {
            let wait = self
                .changed
                .wait_timeout(timers, Duration::from_nanos(left));
            drop(wait.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Calls every timer that is due, without the lock.
    fn fire(&self) {
        while let Some(callback) = self.take_due() {
            callback();
        }
    }

    fn take_due(&self) -> Option<Callback> {
        let mut timers = self.lock();
        let (deadline, id) = *timers.armed.first()?;
        if deadline > self.now() {
            return None;
        }
        timers.armed.pop_first();
        let (callback, armed) = timers.callbacks.get_mut(&id)?;
        *armed = None;
        Some(Arc::clone(callback))
    }

    /// Moves a standing clock to `time` unless that lies in the past.
    fn advance(&self, time: u64) {
        let standing = self.frozen.load(Ordering::Acquire);
        if standing < time {
            self.frozen.store(time, Ordering::Release);
        }
    }

    fn host(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(RUNNING - 1)
    }

    fn lock(&self) -> MutexGuard<'_, Timers> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

/// A timer on a [`Clock`]; dropping it disarms it for good.
#[derive(Debug)]
pub struct Timer {
    clock: Arc<Clock>,
    id: u64,
}

impl Timer {
    /// Arms the timer for `deadline`, replacing an earlier one; `None` disarms it.
    pub fn set(&self, deadline: Option<u64>) {
        let mut timers = self.clock.lock();
        let Some((_, armed)) = timers.callbacks.get_mut(&self.id) else {
            return;
        };
        let before = std::mem::replace(armed, deadline);
        if before == deadline {
            return;
        }
        if let Some(before) = before {
            timers.armed.remove(&(before, self.id));
        }
        let Some(deadline) = deadline else { return };
        timers.armed.insert((deadline, self.id));
        if timers.armed.first() == Some(&(deadline, self.id)) {
            self.clock.changed.notify_all();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.set(None);
        self.clock.lock().callbacks.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logger(clock: &Arc<Clock>, log: &Arc<Mutex<Vec<u64>>>) -> Timer {
        let (clock_seen, log) = (Arc::downgrade(clock), Arc::clone(log));
        clock.timer(move || {
            log.lock()
                .unwrap()
                .push(clock_seen.upgrade().unwrap().now())
        })
    }

    #[test]
    fn a_new_clock_stands_at_zero() {
        let clock = Clock::new();
        assert_eq!(clock.now(), 0);
        clock.step_to(70);
        clock.step_to(30);
        assert_eq!(clock.now(), 70);
    }

    #[test]
    fn stepping_fires_timers_at_their_own_time() {
        let clock = Clock::new();
        let log = Arc::default();
        let timers: Vec<_> = [30, 10, 200, 20]
            .map(|at| (logger(&clock, &log), at))
            .into();
        for (timer, at) in &timers {
            timer.set(Some(*at));
        }
        timers[3].0.set(None);
        clock.step_to(100);
        assert_eq!(*log.lock().unwrap(), [10, 30]);
        assert_eq!(clock.now(), 100);
        assert_eq!(clock.next_deadline(), Some(200));
        drop(timers);
        assert_eq!(clock.next_deadline(), None);
    }

    #[test]
    fn a_stopped_clock_does_not_move() {
        let clock = Clock::new();
        clock.start();
        while clock.now() == 0 {}
        clock.stop();
        let standing = clock.now();
        assert_eq!(clock.now(), standing);
        clock.start();
        assert!(clock.now() >= standing);
    }

    #[test]
    fn the_serving_thread_fires_timers() {
        let clock = Clock::new();
        let (sender, fired) = std::sync::mpsc::channel();
        let timer = clock.timer(move || sender.send(()).unwrap());
        let server = Arc::clone(&clock);
        let thread = std::thread::spawn(move || server.serve());
        timer.set(Some(1));
        clock.start();
        fired.recv().unwrap();
        clock.close();
        thread.join().unwrap();
    }
}
