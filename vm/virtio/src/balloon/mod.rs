//! The balloon (virtio 1.2 §5.5): memory that the guest gives back while it runs.
//!
//! Every page the guest puts into the balloon, and every free page it reports, is released to the
//! host at once.

pub mod spec;
mod statistics;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tinamou_memory::DmaView;

pub use statistics::{IntervalError, Statistics};

use crate::{Chain, DeviceType, Port, VirtioDevice};
use spec::{ACTUAL, CONFIG_SIZE, CONFIG_SIZE_FULL, PAGE_SHIFT, PAGE_SIZE, POISON_VALUE, feature};
use statistics::Polling;

const INFLATE: usize = 0;
const DEFLATE: usize = 1;
const STATS: usize = 2;
const REPORTING: usize = 3;

/// How many descriptors the queues have.
const QUEUE_SIZE: u16 = 128;
/// How many the queue of free pages has.
const REPORTING_QUEUE_SIZE: u16 = 32;

/// Bytes of page numbers looked at together.
const NUMBERS: usize = 4096;

/// What a user can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Let the guest take pages back when it runs out of memory.
    pub deflate_on_oom: bool,
    /// Let the guest report free pages.
    pub free_page_reporting: bool,
    /// Let the guest tell what it fills free pages with.
    pub page_poison: bool,
    /// Show all of the configuration space whatever the features.
    pub full_config: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deflate_on_oom: false,
            free_page_reporting: false,
            page_poison: true,
            full_config: false,
        }
    }
}

/// Told of the memory that the guest has now. Called on a hart's thread; returns at once.
pub type Observer = Box<dyn Fn(u64) + Send + Sync>;

/// The device.
pub struct Balloon {
    port: Port,
    options: Options,
    ram_size: u64,
    observer: Observer,
    state: Mutex<State>,
    polling: Mutex<Polling>,
}

#[derive(Default)]
struct State {
    /// Pages the guest is asked for.
    target: u32,
    /// Pages the guest says it has given.
    actual: u32,
    /// What the guest fills free pages with.
    poison: u32,
}

impl Balloon {
    /// The balloon of a guest with `ram_size` bytes.
    #[must_use]
    pub fn new(port: Port, options: Options, ram_size: u64, observer: Observer) -> Arc<Self> {
        Arc::new_cyclic(|me: &Weak<Self>| {
            let balloon = me.clone();
            let timer = port.site().clock.timer(move || {
                if let Some(balloon) = balloon.upgrade() {
                    balloon.poll();
                }
            });
            Self {
                port,
                options,
                ram_size,
                observer,
                state: Mutex::default(),
                polling: Mutex::new(Polling::new(timer)),
            }
        })
    }

    /// Asks the guest to have no more than `bytes` of memory.
    pub fn set_target(&self, bytes: u64) {
        let given = self.ram_size.saturating_sub(bytes) >> PAGE_SHIFT;
        self.state().target = u32::try_from(given).unwrap_or(u32::MAX);
        self.port.config_changed();
    }

    /// How much memory the guest has.
    #[must_use]
    pub fn actual(&self) -> u64 {
        self.left(self.state().actual)
    }

    /// The statistics that the guest sent last.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.polling().statistics()
    }

    /// Seconds between questions for statistics; 0 asks none.
    #[must_use]
    pub fn polling_interval(&self) -> u32 {
        self.polling().interval()
    }

    /// Changes that.
    ///
    /// # Errors
    /// When it is no number of seconds.
    pub fn set_polling_interval(&self, seconds: i64) -> Result<(), IntervalError> {
        let now = self.port.site().clock.now();
        self.polling().set_interval(seconds, now)
    }

    fn left(&self, pages: u32) -> u64 {
        self.ram_size.saturating_sub(u64::from(pages) << PAGE_SHIFT)
    }

    /// Takes the pages listed in a chain.
    fn inflate(&self, chain: &Chain, memory: &DmaView) {
        let mut reader = chain.reader();
        let mut bytes = [0; NUMBERS];
        loop {
            let count = reader.read(&mut bytes).unwrap_or(0);
            let (numbers, _) = bytes[..count].as_chunks::<4>();
            if numbers.is_empty() {
                return;
            }
            let mut pages: Vec<_> = numbers.iter().map(|n| u32::from_le_bytes(*n)).collect();
            pages.sort_unstable();
            for run in pages.chunk_by(|a, b| b.wrapping_sub(*a) <= 1) {
                let (first, last) = (run[0], run[run.len() - 1]);
                let length = u64::from(last - first + 1) * PAGE_SIZE;
                release(memory, u64::from(first) << PAGE_SHIFT, length);
            }
        }
    }

    /// Takes the free pages of a report, unless they must keep what they hold.
    fn report(&self, chain: &Chain, memory: &DmaView) {
        if self.state().poison != 0 {
            return;
        }
        for segment in chain.writable() {
            release(memory, segment.address, segment.length.into());
        }
    }

    /// Returns each chain of a queue after `work` has looked at it.
    fn consume(&self, queue: usize, work: impl Fn(&Chain, &DmaView)) {
        let memory = self.port.site().memory.view();
        while let Some(chain) = self.port.pop(queue) {
            work(&chain, &memory);
            self.port.push(chain, 0);
            self.port.notify(queue);
        }
    }

    /// Time to ask for statistics.
    fn poll(&self) {
        self.polling().due();
        self.port.wake(STATS);
    }

    /// Takes statistics, and keeps their buffer until it is time to ask for the next.
    fn exchange_statistics(&self) {
        let now = self.port.site().clock.now();
        while let Some(chain) = self.port.pop(STATS) {
            if let Some(earlier) = self.polling().receive(chain, now) {
                self.port.push(earlier, 0);
                self.port.notify(STATS);
            }
        }
        let asked = self.polling().ask(now);
        if let Some((chain, length)) = asked {
            self.port.push(chain, length);
            self.port.notify(STATS);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn polling(&self) -> MutexGuard<'_, Polling> {
        self.polling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives pages to the host. What is not RAM is not the guest's to give.
fn release(memory: &DmaView, address: u64, length: u64) {
    if let Err(error) = memory.discard(address, length) {
        tracing::debug!("balloon: {length:#x} bytes at {address:#x}: {error}");
    }
}

impl VirtioDevice for Balloon {
    fn device_type(&self) -> DeviceType {
        DeviceType::Balloon
    }

    fn features(&self) -> u64 {
        let optional = [
            (self.options.deflate_on_oom, feature::DEFLATE_ON_OOM),
            (self.options.page_poison, feature::PAGE_POISON),
            (self.options.free_page_reporting, feature::REPORTING),
        ];
        let chosen = optional.iter().filter(|(on, _)| *on);
        chosen.fold(feature::STATS_VQ, |bits, (_, bit)| bits | bit)
    }

    fn queue_sizes(&self) -> Vec<u16> {
        let mut sizes = vec![QUEUE_SIZE; 3];
        if self.options.free_page_reporting {
            sizes.push(REPORTING_QUEUE_SIZE);
        }
        sizes
    }

    fn config(&self) -> Vec<u8> {
        let state = self.state();
        let fields = [state.target, state.actual, 0, state.poison];
        let mut config = fields.map(u32::to_le_bytes).concat();
        if !self.options.full_config && !self.options.page_poison {
            config.truncate(CONFIG_SIZE);
        }
        debug_assert!(config.len() <= CONFIG_SIZE_FULL);
        config
    }

    fn write_config(&self, offset: usize, bytes: &[u8]) {
        let mut state = self.state();
        let mut fields = [state.target, state.actual, 0, state.poison]
            .map(u32::to_le_bytes)
            .concat();
        let Some(written) = fields.get_mut(offset..offset + bytes.len()) else {
            return;
        };
        written.copy_from_slice(bytes);
        let field = |offset| {
            let bytes = [0, 1, 2, 3].map(|i: usize| fields[offset + i]);
            u32::from_le_bytes(bytes)
        };
        let before = std::mem::replace(&mut state.actual, field(ACTUAL));
        if self.port.has(feature::PAGE_POISON) {
            state.poison = field(POISON_VALUE);
        }
        let actual = state.actual;
        drop(state);
        if actual != before {
            (self.observer)(self.left(actual));
        }
    }

    fn kick(&self, queue: usize) {
        match queue {
            INFLATE => self.consume(queue, |chain, memory| self.inflate(chain, memory)),
            // The host gives pages back when they are touched.
            DEFLATE => self.consume(queue, |_, _| ()),
            STATS => self.exchange_statistics(),
            REPORTING => self.consume(queue, |chain, memory| self.report(chain, memory)),
            _ => {}
        }
    }

    fn queue_reset(&self, queue: usize) {
        if queue == STATS {
            self.polling().forget();
        }
    }

    fn reset(&self) {
        self.state().poison = 0;
        self.polling().forget();
    }
}
