//! The part of a device that all transports share: negotiation, status, and the work on queues.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::AbortHandle;

use crate::port::{Interrupt, Port, Site};
use crate::queue::element::{self, Element, Unreadable};
use crate::queue::{Position, Setup};
use crate::spec::{DeviceType, feature, status};
use crate::{Error, VirtioDevice};

/// What a user can choose of a device's rings; the defaults are QEMU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own"
)]
pub struct RingOptions {
    /// Offer indirect descriptors.
    pub indirect_desc: bool,
    /// Offer event indexes.
    pub event_idx: bool,
    /// Offer interrupts on empty rings.
    pub notify_on_empty: bool,
    /// Offer any framing.
    pub any_layout: bool,
    /// Offer to go through an IOMMU.
    pub iommu_platform: bool,
    /// Offer packed rings.
    pub packed: bool,
    /// Offer to reset single queues.
    pub queue_reset: bool,
    /// Offer to use buffers in order.
    pub in_order: bool,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            indirect_desc: true,
            event_idx: true,
            notify_on_empty: true,
            any_layout: true,
            iommu_platform: false,
            packed: false,
            queue_reset: true,
            in_order: false,
        }
    }
}

impl RingOptions {
    /// As feature bits.
    #[must_use]
    pub fn features(&self) -> u64 {
        let bits = [
            (self.indirect_desc, feature::RING_INDIRECT_DESC),
            (self.event_idx, feature::RING_EVENT_IDX),
            (self.notify_on_empty, feature::NOTIFY_ON_EMPTY),
            (self.any_layout, feature::ANY_LAYOUT),
            (self.iommu_platform, feature::ACCESS_PLATFORM),
            (self.packed, feature::RING_PACKED),
            (self.queue_reset, feature::RING_RESET),
            (self.in_order, feature::IN_ORDER),
        ];
        bits.iter()
            .filter(|(on, _)| *on)
            .fold(0, |bits, (_, bit)| bits | bit)
    }
}

/// A device behind some transport.
pub struct Virtio {
    device: Arc<dyn VirtioDevice>,
    port: Port,
    /// Features of rings and transport.
    common: u64,
    /// Held by whatever must not happen at the same time: work on queues, and resets.
    turn: Mutex<()>,
    worker: AbortHandle,
}

impl Virtio {
    /// Has `make` make a device, and works on its queues from now on. `transport` are the
    /// feature bits the transport adds.
    pub fn new<D: VirtioDevice + 'static>(
        site: Site,
        rings: &RingOptions,
        transport: u64,
        make: impl FnOnce(Port) -> Arc<D>,
    ) -> Arc<Self> {
        let runtime = site.runtime.clone();
        let port = Port::new(site);
        let device: Arc<dyn VirtioDevice> = make(port.clone());
        port.make_queues(device.device_type().name(), &device.queue_sizes());
        Arc::new_cyclic(|core| Self {
            worker: runtime
                .spawn(serve(core.clone(), port.clone()))
                .abort_handle(),
            device,
            port,
            common: rings.features() | transport,
            turn: Mutex::new(()),
        })
    }

    /// Says where interrupts go; once.
    pub fn connect(&self, interrupt: Arc<dyn Interrupt>) {
        self.port.connect(interrupt);
    }

    /// The kind of device.
    #[must_use]
    pub fn device_type(&self) -> DeviceType {
        self.device.device_type()
    }

    /// The features offered to the driver.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.device.features() | self.common
    }

    /// The features the driver has chosen.
    #[must_use]
    pub fn features(&self) -> u64 {
        self.port.features()
    }

    /// The driver chooses features; those not offered are left out. False once the negotiation
    /// is over, or when the device refuses.
    pub fn set_features(&self, features: u64) -> bool {
        if self.status() & status::FEATURES_OK != 0 {
            return false;
        }
        let features = features & self.offered();
        self.port.set_features(features);
        self.device.set_features(features)
    }

    /// Whether a driver may begin with what it has chosen: it must not bypass an IOMMU, nor leave
    /// out what the device insists on.
    fn is_acceptable(&self) -> bool {
        let required = feature::ACCESS_PLATFORM | self.device.required_features();
        self.offered() & !self.features() & required == 0
    }

    /// The device status.
    #[must_use]
    pub fn status(&self) -> u8 {
        self.port.status()
    }

    /// The driver writes the device status; 0 resets.
    pub fn set_status(&self, value: u8) {
        if value == 0 {
            return self.reset();
        }
        let turn = self.turn();
        let before = self.port.status();
        let negotiated = value & !before & status::FEATURES_OK != 0;
        if negotiated && self.port.has(feature::VERSION_1) && !self.is_acceptable() {
            return;
        }
        let broken = before & status::DEVICE_NEEDS_RESET;
        self.port.set_status(value | broken);
        if value & !before & status::DRIVER_OK != 0 {
            self.device.driver_ok();
            drop(turn);
            self.port.work().notify_one();
        }
    }

    /// How many queues there are.
    #[must_use]
    pub fn queue_count(&self) -> usize {
        self.port.queue_count()
    }

    /// How a queue is set up; `None` when it does not exist.
    #[must_use]
    pub fn setup(&self, queue: usize) -> Option<Setup> {
        self.port.cell(queue).map(|cell| cell.ring().setup)
    }

    /// The most descriptors a queue can have; 0 when it does not exist.
    #[must_use]
    pub fn size_max(&self, queue: usize) -> u16 {
        self.port.cell(queue).map_or(0, |cell| cell.ring().size_max)
    }

    /// Where a queue stands.
    #[must_use]
    pub fn position(&self, queue: usize) -> Option<Position> {
        self.port.cell(queue).map(|cell| cell.ring().position())
    }

    /// A chain that the driver has put into a queue: entry `index` of the available ring, or the
    /// next one to take.
    ///
    /// # Errors
    /// There is nothing that could be looked at.
    pub fn element(&self, queue: usize, index: Option<u16>) -> Result<Element, Unreadable> {
        let cell = self.port.cell(queue).ok_or(Unreadable::Queue(queue))?;
        if self.port.has(feature::RING_PACKED) {
            return Err(Unreadable::Packed);
        }
        let (setup, position) = {
            let ring = cell.ring();
            (ring.setup, ring.position())
        };
        let index = index.unwrap_or(position.last_available);
        element::read(&setup, &self.port.site().memory.view(), index)
    }

    /// The driver sets up a queue.
    pub fn configure(&self, queue: usize, change: impl FnOnce(&mut Setup)) {
        if let Some(cell) = self.port.cell(queue) {
            change(&mut cell.ring().setup);
        }
    }

    /// The driver says how many descriptors a queue has. What makes no sense is ignored.
    pub fn set_size(&self, queue: usize, size: u32) {
        let size = u16::try_from(size).unwrap_or(0);
        if (1..=crate::spec::QUEUE_SIZE_MAX).contains(&size) {
            self.configure(queue, |setup| setup.size = size);
        }
    }

    /// The driver enables a queue it has set up.
    pub fn enable(&self, queue: usize) {
        let Some(cell) = self.port.cell(queue) else {
            return;
        };
        let mut ring = cell.ring();
        if !ring.setup.ready {
            ring.enable(self.features());
        }
    }

    /// The driver resets a single queue.
    pub fn reset_queue(&self, queue: usize) {
        let _turn = self.turn();
        if let Some(cell) = self.port.cell(queue) {
            cell.reset();
            self.device.queue_reset(queue);
        }
    }

    /// The driver has added buffers to a queue.
    pub fn kick(&self, queue: usize) {
        let ready = self
            .port
            .cell(queue)
            .is_some_and(|cell| cell.ring().is_ready());
        if ready && !self.port.is_broken() {
            self.port.wake(queue);
        }
    }

    /// Reads the configuration space; beyond its end everything reads as ones.
    pub fn read_config(&self, offset: u64, bytes: &mut [u8]) {
        let config = self.device.config();
        bytes.fill(0xff);
        if let Some(range) = range(offset, bytes.len(), config.len()) {
            bytes.copy_from_slice(&config[range]);
        }
    }

    /// Writes the configuration space; beyond its end nothing happens.
    pub fn write_config(&self, offset: u64, bytes: &[u8]) {
        let length = self.device.config().len();
        if let Some(range) = range(offset, bytes.len(), length) {
            self.device.write_config(range.start, bytes);
        }
    }

    /// How long the configuration space is.
    #[must_use]
    pub fn config_size(&self) -> usize {
        self.device.config().len()
    }

    /// A number that changes whenever the configuration space does.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.port.generation()
    }

    /// The driver did something that the device cannot go on from.
    pub fn fail(&self, error: Error) {
        self.port.fail(error);
    }

    /// Whether the driver did something that the device cannot go on from.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.port.is_broken()
    }

    /// Puts everything as at power-on. After this, nothing touches guest memory for a request
    /// made before.
    pub fn reset(&self) {
        let _turn = self.turn();
        self.port.reset();
        self.device.reset();
    }

    /// Works on the queues that need it, as the device thread does; false while the machine is
    /// stopped.
    pub fn process(&self) -> bool {
        let Some(_pass) = self.port.pass() else {
            return false;
        };
        let _turn = self.turn();
        for queue in 0..self.port.queue_count() {
            if self.port.is_running() && self.port.take_kick(queue) {
                self.device.kick(queue);
            }
        }
        true
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Virtio {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl std::fmt::Debug for Virtio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Virtio")
            .field("type", &self.device_type())
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// The task of one device on the device thread.
async fn serve(core: Weak<Virtio>, port: Port) {
    let (work, gate) = (Arc::clone(port.work()), Arc::clone(&port.site().gate));
    drop(port);
    loop {
        work.notified().await;
        loop {
            gate.opened().await;
            let Some(core) = core.upgrade() else { return };
            if core.process() {
                break;
            }
        }
    }
}

/// The bytes of a configuration space of `size` that an access means.
fn range(offset: u64, length: usize, size: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(length)?;
    (end <= size).then_some(start..end)
}
