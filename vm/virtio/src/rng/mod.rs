//! The entropy device (virtio 1.2 §5.4): random bytes at no more than a given rate.

mod source;

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tinamou_devices::Timer;

pub use source::Entropy;

use crate::{Chain, DeviceType, Port, VirtioDevice};

/// The only queue.
const REQUESTS: usize = 0;
/// How many descriptors it has.
const QUEUE_SIZE: u16 = 8;
/// The most bytes fetched from the source at once.
const FETCH_MAX: u64 = 64 * 1024;

/// How much entropy a guest gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes in each period.
    pub max_bytes: u64,
    /// How long a period is.
    pub period: Duration,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            max_bytes: i64::MAX as u64,
            period: Duration::from_millis(1 << 16),
        }
    }
}

/// The device.
pub struct Rng {
    port: Port,
    source: Arc<Entropy>,
    rate: Rate,
    state: Mutex<State>,
    me: Weak<Self>,
}

struct State {
    /// Bytes left in this period.
    quota: u64,
    /// A request is with the source.
    busy: bool,
    /// Armed while a period runs.
    period: Timer,
    period_runs: bool,
}

impl Rng {
    /// A device that takes from `source`.
    #[must_use]
    pub fn new(port: Port, source: Arc<Entropy>, rate: Rate) -> Arc<Self> {
        Arc::new_cyclic(|me: &Weak<Self>| {
            let rng = me.clone();
            let clock = Arc::clone(&port.site().clock);
            let period = clock.timer(move || {
                if let Some(rng) = rng.upgrade() {
                    rng.begin_period();
                }
            });
            Self {
                port,
                source,
                rate,
                state: Mutex::new(State {
                    quota: rate.max_bytes,
                    busy: false,
                    period,
                    period_runs: false,
                }),
                me: me.clone(),
            }
        })
    }

    fn begin_period(&self) {
        let mut state = self.state();
        state.quota = self.rate.max_bytes;
        state.period_runs = false;
        drop(state);
        self.port.wake(REQUESTS);
    }

    /// How many bytes the next request may fetch; claims the source if any.
    fn claim(&self, wanted: u64) -> Option<usize> {
        let mut state = self.state();
        let count = wanted.min(state.quota).min(FETCH_MAX);
        if count == 0 || state.busy {
            return None;
        }
        state.busy = true;
        usize::try_from(count).ok()
    }

    async fn serve(self: Arc<Self>, chain: Chain, count: usize) {
        let fetched = self.source.read(count).await;
        let _pass = self.port.admission().await;
        let bytes = fetched.unwrap_or_else(|error| {
            tracing::warn!("cannot read entropy: {error}");
            Vec::new()
        });
        let written = chain.writer().write(&bytes).unwrap_or(0);
        self.spend(written as u64);
        self.port.push(chain, written as u32);
        self.port.notify(REQUESTS);
        self.port.wake(REQUESTS);
    }

    /// Gives the source back and counts what came from it.
    fn spend(&self, count: u64) {
        let mut state = self.state();
        state.busy = false;
        state.quota = state.quota.saturating_sub(count);
        if !state.period_runs {
            let period = u64::try_from(self.rate.period.as_nanos()).unwrap_or(u64::MAX);
            let end = self.port.site().clock.now().saturating_add(period);
            state.period.set(Some(end));
            state.period_runs = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VirtioDevice for Rng {
    fn device_type(&self) -> DeviceType {
        DeviceType::Rng
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE]
    }

    fn kick(&self, queue: usize) {
        while let Some(chain) = self.port.pop(queue) {
            let wanted = chain.writer().remaining();
            if wanted == 0 {
                self.port.push(chain, 0);
                self.port.notify(queue);
                continue;
            }
            // Busy or out of quota: whoever changes that wakes the queue.
            let Some(count) = self.claim(wanted) else {
                return self.port.unpop(chain);
            };
            if let Some(rng) = self.me.upgrade() {
                self.port.spawn(rng.serve(chain, count));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{Guest, Ring};

    fn rng(guest: &Guest, rate: Rate) -> Arc<crate::Virtio> {
        guest.plug(|port| Rng::new(port, Arc::new(Entropy::Builtin), rate))
    }

    #[test]
    fn buffers_are_filled() {
        let guest = Guest::new();
        let device = rng(&guest, Rate::default());
        let mut ring = Ring::split(&guest, 8);
        ring.enable(&device, 0);
        guest.start(&device, 0);
        let head = ring.add(&guest, &[], &[16, 48]);
        device.kick(0);
        guest.run_until(|| ring.used(&guest) == Some((head, 64)));
        assert_ne!(ring.filled(&guest, head), vec![0; 64]);
    }

    #[test]
    fn the_rate_is_kept() {
        let guest = Guest::new();
        let rate = Rate {
            max_bytes: 10,
            period: Duration::from_millis(100),
        };
        let device = rng(&guest, rate);
        let mut ring = Ring::split(&guest, 8);
        ring.enable(&device, 0);
        guest.start(&device, 0);
        let first = ring.add(&guest, &[], &[64]);
        let second = ring.add(&guest, &[], &[64]);
        device.kick(0);
        guest.run_until(|| ring.used(&guest) == Some((first, 10)));
        guest.settle();
        assert_eq!(ring.used(&guest), None);
        guest.site.clock.step_to(100_000_000);
        guest.run_until(|| ring.used(&guest) == Some((second, 10)));
    }

    #[test]
    fn a_reset_leaves_no_trace() {
        let guest = Guest::new();
        let device = rng(&guest, Rate::default());
        let mut ring = Ring::split(&guest, 8);
        ring.enable(&device, 0);
        guest.start(&device, 0);
        let head = ring.add(&guest, &[], &[64]);
        device.kick(0);
        device.process();
        device.reset();
        guest.settle();
        assert_eq!(ring.used(&guest), None);
        assert_eq!(ring.filled(&guest, head), vec![0; 64]);
    }
}
