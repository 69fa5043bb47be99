//! A device's way to its queues, its interrupts, and the rest of the world.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};

use tinamou_devices::{Clock, Gate, Pass};
use tinamou_memory::Dma;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::Error;
use crate::chain::{Chain, QueueCell};
use crate::spec::{QUEUE_SIZE_MAX, feature, status};

/// What a device needs from the machine it is plugged into. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Site {
    /// Guest RAM.
    pub memory: Dma,
    /// Closed while the machine is stopped.
    pub gate: Arc<Gate>,
    /// The device thread.
    pub runtime: Handle,
    /// Virtual time.
    pub clock: Arc<Clock>,
}

/// How a transport tells the driver. Called from any thread, with no lock of the core held.
pub trait Interrupt: Send + Sync {
    /// Buffers of `queue` have been used.
    fn queue(&self, queue: usize);

    /// The configuration or the status has changed.
    fn config(&self);
}

/// Chains one call of [`VirtioDevice::kick`](crate::VirtioDevice::kick) may take, so that a
/// driver that never stops adding some does not keep the device thread to itself.
const BUDGET: u32 = 2 * QUEUE_SIZE_MAX as u32;

/// A device's way to everything outside it. Clones are the same port; usable from any thread.
#[derive(Clone)]
pub struct Port(Arc<Shared>);

struct Shared {
    site: Site,
    queues: OnceLock<Box<[QueueEntry]>>,
    interrupt: OnceLock<Arc<dyn Interrupt>>,
    status: AtomicU8,
    features: AtomicU64,
    generation: AtomicU32,
    broken: AtomicBool,
    budget: AtomicU32,
    work: Arc<Notify>,
    /// What the device is called in messages.
    name: OnceLock<&'static str>,
}

struct QueueEntry {
    cell: Arc<QueueCell>,
    kicked: AtomicBool,
}

impl Port {
    pub(crate) fn new(site: Site) -> Self {
        Self(Arc::new(Shared {
            site,
            queues: OnceLock::new(),
            interrupt: OnceLock::new(),
            status: AtomicU8::new(0),
            features: AtomicU64::new(0),
            generation: AtomicU32::new(0),
            broken: AtomicBool::new(false),
            budget: AtomicU32::new(BUDGET),
            work: Arc::default(),
            name: OnceLock::new(),
        }))
    }

    /// Takes the next chain of `queue`. When there is none, the driver is asked to kick at the
    /// next one. A malformed one breaks the device.
    #[must_use]
    pub fn pop(&self, queue: usize) -> Option<Chain> {
        if !self.is_running() {
            return None;
        }
        if self.0.budget.load(Ordering::Relaxed) == 0 {
            self.wake(queue);
            return None;
        }
        match self.try_pop(queue) {
            Ok(chain) => {
                self.0
                    .budget
                    .fetch_sub(u32::from(chain.is_some()), Ordering::Relaxed);
                chain
            }
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// Puts back the chain that was taken last from its queue.
    pub fn unpop(&self, chain: Chain) {
        let epoch = chain
            .cell
            .epoch
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if *epoch == chain.epoch {
            chain.cell.ring().unpop(chain.token);
        }
    }

    /// Returns a chain of which the first `written` writable bytes were filled. Follow it by
    /// [`notify`](Self::notify).
    pub fn push(&self, chain: Chain, written: u32) {
        self.push_all([(chain, written)]);
    }

    /// Returns chains of one queue together: the driver sees all or none of them.
    pub fn push_all(&self, chains: impl IntoIterator<Item = (Chain, u32)>) {
        let chains: Vec<_> = chains.into_iter().collect();
        let Some((first, _)) = chains.first() else {
            return;
        };
        let epoch = first
            .cell
            .epoch
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let valid = chains
            .iter()
            .filter(|(chain, _)| chain.epoch == *epoch && Arc::ptr_eq(&chain.cell, &first.cell))
            .map(|(chain, written)| (chain.token, *written));
        let valid: Vec<_> = valid.collect();
        let pushed = first.cell.ring().push(&first.view, self.features(), &valid);
        drop(epoch);
        if let Err(error) = pushed {
            self.fail(error);
        }
    }

    /// Interrupts the driver if it wants to know of what was returned to `queue`.
    pub fn notify(&self, queue: usize) {
        let Some(entry) = self.entry(queue) else {
            return;
        };
        let view = self.0.site.memory.view();
        let wanted = entry.cell.ring().wants_interrupt(&view, self.features());
        match wanted {
            Ok(true) => {
                if let Some(interrupt) = self.0.interrupt.get() {
                    interrupt.queue(queue);
                }
            }
            Ok(false) => {}
            Err(error) => self.fail(error),
        }
    }

    /// Has the device's `kick` called for `queue` on the device thread, as soon as the machine
    /// runs and the driver is ready.
    pub fn wake(&self, queue: usize) {
        if let Some(entry) = self.entry(queue) {
            entry.kicked.store(true, Ordering::Release);
            self.0.work.notify_one();
        }
    }

    /// Whether `queue` holds no chain for the device.
    #[must_use]
    pub fn is_empty(&self, queue: usize) -> bool {
        let view = self.0.site.memory.view();
        let ring = self.entry(queue).map(|entry| entry.cell.ring());
        ring.is_none_or(|ring| ring.is_empty(&view).unwrap_or(true))
    }

    /// Whether the driver has set up `queue`.
    #[must_use]
    pub fn is_ready(&self, queue: usize) -> bool {
        self.entry(queue)
            .is_some_and(|entry| entry.cell.ring().is_ready())
    }

    /// The configuration space reads differently from now on; the driver is told.
    pub fn config_changed(&self) {
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        if self.status() & status::DRIVER_OK != 0 {
            self.interrupt_config();
        }
    }

    /// The device cannot go on before a reset (`DEVICE_NEEDS_RESET`).
    pub fn fail(&self, error: Error) {
        if self.0.broken.swap(true, Ordering::AcqRel) {
            return;
        }
        let name = self.0.name.get().unwrap_or(&"virtio");
        tracing::warn!("{name}: the device needs a reset: {error}");
        if self.has(feature::VERSION_1) {
            self.0
                .status
                .fetch_or(status::DEVICE_NEEDS_RESET, Ordering::AcqRel);
            self.interrupt_config();
        }
    }

    /// The features the driver has chosen.
    #[must_use]
    pub fn features(&self) -> u64 {
        self.0.features.load(Ordering::Acquire)
    }

    /// Whether the driver has chosen a feature, given as a mask.
    #[must_use]
    pub fn has(&self, feature: u64) -> bool {
        self.features() & feature != 0
    }

    /// Whether the driver is ready and the device not broken. A legacy driver may kick before it
    /// says that it is ready.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let ready = self.status() & status::DRIVER_OK != 0 || !self.has(feature::VERSION_1);
        ready && !self.is_broken()
    }

    /// Leave to carry out a request that outlives `kick`; `None` while the machine is stopped.
    #[must_use]
    pub fn pass(&self) -> Option<Pass> {
        self.0.site.gate.pass()
    }

    /// Leave to touch the guest's memory, once the machine runs: for what arrives from outside.
    pub async fn admission(&self) -> Pass {
        loop {
            self.0.site.gate.opened().await;
            if let Some(pass) = self.pass() {
                return pass;
            }
        }
    }

    /// Runs `work` on the device thread. It must not block there.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.site.runtime.spawn(work);
    }

    /// The machine around the device.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.0.site
    }

    fn try_pop(&self, queue: usize) -> Result<Option<Chain>, Error> {
        let Some(entry) = self.entry(queue) else {
            return Ok(None);
        };
        let cell = &entry.cell;
        let epoch = cell.epoch.read().unwrap_or_else(PoisonError::into_inner);
        let view = self.0.site.memory.view();
        let Some(taken) = cell.ring().pop(&view, self.features())? else {
            return Ok(None);
        };
        Ok(taken.token.map(|token| Chain {
            queue,
            cell: Arc::clone(cell),
            epoch: *epoch,
            token,
            view,
            readable: taken.readable,
            writable: taken.writable,
        }))
    }

    fn entry(&self, queue: usize) -> Option<&QueueEntry> {
        self.0.queues.get()?.get(queue)
    }

    fn interrupt_config(&self) {
        if let Some(interrupt) = self.0.interrupt.get() {
            interrupt.config();
        }
    }
}

/// For the core alone.
impl Port {
    pub(crate) fn make_queues(&self, name: &'static str, sizes: &[u16]) {
        let queues = sizes.iter().map(|size| QueueEntry {
            cell: QueueCell::new(*size),
            kicked: AtomicBool::new(false),
        });
        // The core does this once.
        let _ = self.0.name.set(name);
        let _ = self.0.queues.set(queues.collect());
    }

    pub(crate) fn connect(&self, interrupt: Arc<dyn Interrupt>) {
        // Each device has one transport.
        let _ = self.0.interrupt.set(interrupt);
    }

    pub(crate) fn queue_count(&self) -> usize {
        self.0.queues.get().map_or(0, |queues| queues.len())
    }

    pub(crate) fn cell(&self, queue: usize) -> Option<&Arc<QueueCell>> {
        self.entry(queue).map(|entry| &entry.cell)
    }

    /// Whether somebody wants `queue` worked on; forgets it.
    pub(crate) fn take_kick(&self, queue: usize) -> bool {
        self.0.budget.store(BUDGET, Ordering::Relaxed);
        self.entry(queue)
            .is_some_and(|entry| entry.kicked.swap(false, Ordering::AcqRel))
    }

    pub(crate) fn work(&self) -> &Arc<Notify> {
        &self.0.work
    }

    pub(crate) fn status(&self) -> u8 {
        self.0.status.load(Ordering::Acquire)
    }

    pub(crate) fn set_status(&self, status: u8) {
        self.0.status.store(status, Ordering::Release);
    }

    pub(crate) fn set_features(&self, features: u64) {
        self.0.features.store(features, Ordering::Release);
    }

    pub(crate) fn generation(&self) -> u32 {
        self.0.generation.load(Ordering::Acquire)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Acquire)
    }

    /// As at power-on.
    pub(crate) fn reset(&self) {
        self.set_status(0);
        self.set_features(0);
        for entry in self.0.queues.get().into_iter().flatten() {
            entry.cell.reset();
            entry.kicked.store(false, Ordering::Release);
        }
        self.0.broken.store(false, Ordering::Release);
    }
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port")
            .field("status", &self.status())
            .field("features", &self.features())
            .finish_non_exhaustive()
    }
}
