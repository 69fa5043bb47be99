//! The driver's side, for tests and fuzzing: a guest of a few pages of RAM, and rings in it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tinamou_devices::{Clock, Gate};
use tinamou_memory::{AddressSpace, Dma, DmaView, Ram, Region};
use tokio::runtime::{Builder, Runtime};

use crate::spec::{feature, status};
use crate::{Port, RingOptions, Segment, Site, Virtio, VirtioDevice};

/// Where the guest's RAM begins.
pub const RAM_BASE: u64 = 0x8000_0000;
/// How much there is.
pub const RAM_SIZE: u64 = 1 << 20;

/// A guest without harts, whose devices run on the caller's thread.
#[derive(Debug)]
pub struct Guest {
    /// What its devices are plugged into.
    pub site: Site,
    runtime: Runtime,
    /// Where free memory begins.
    free: AtomicU64,
}

impl Guest {
    /// A running guest.
    ///
    /// # Panics
    /// When the host has no memory or threads left.
    #[must_use]
    pub fn new() -> Self {
        let space = AddressSpace::new("memory");
        let ram = Arc::new(Ram::new(RAM_SIZE).expect("the host has a megabyte"));
        space
            .add(Region::ram("ram", RAM_BASE, ram))
            .expect("nothing else is there");
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the host has descriptors");
        let gate = Gate::new();
        gate.open();
        Self {
            site: Site {
                memory: Dma::new(Arc::new(space)),
                gate,
                runtime: runtime.handle().clone(),
                clock: Clock::new(),
            },
            runtime,
            free: AtomicU64::new(RAM_BASE),
        }
    }

    /// Plugs in a device that offers everything its rings can.
    pub fn plug<D: VirtioDevice + 'static>(
        &self,
        make: impl FnOnce(Port) -> Arc<D>,
    ) -> Arc<Virtio> {
        let rings = RingOptions {
            packed: true,
            in_order: true,
            ..RingOptions::default()
        };
        Virtio::new(self.site.clone(), &rings, feature::VERSION_1, make)
    }

    /// Negotiates `features` and version 1. Call before rings are enabled if the features concern
    /// them.
    pub fn negotiate(&self, device: &Virtio, features: u64) {
        device.set_status(status::ACKNOWLEDGE | status::DRIVER);
        device.set_features(features | feature::VERSION_1);
        device.set_status(device.status() | status::FEATURES_OK);
    }

    /// Negotiates unless that was done, and says that the driver is ready.
    pub fn start(&self, device: &Virtio, features: u64) {
        if device.status() & status::FEATURES_OK == 0 {
            self.negotiate(device, features);
        }
        device.set_status(device.status() | status::DRIVER_OK);
    }

    /// Takes `length` bytes of zeroed memory, at a multiple of 16; wraps around when all is used.
    pub fn allocate(&self, length: u64) -> u64 {
        let length = length.next_multiple_of(16);
        let address = self.free.fetch_add(length, Ordering::Relaxed);
        if address + length <= RAM_BASE + RAM_SIZE {
            return address;
        }
        self.free.store(RAM_BASE + length, Ordering::Relaxed);
        RAM_BASE
    }

    /// The guest's memory.
    #[must_use]
    pub fn memory(&self) -> DmaView {
        self.site.memory.view()
    }

    /// Copies bytes out.
    #[must_use]
    pub fn read(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        // What is no RAM reads as zeroes.
        let _ = self.memory().read(address, &mut bytes);
        bytes
    }

    /// Runs the device thread's tasks until `done`, for at most ten seconds.
    ///
    /// # Panics
    /// When it is not done by then.
    pub fn run_until(&self, mut done: impl FnMut() -> bool) {
        let wait = async {
            while !done() {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        };
        self.block_on(async {
            let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
            assert!(waited.is_ok(), "the device did not get there");
        });
    }

    /// Runs the device thread's tasks until none can go on by itself.
    pub fn settle(&self) {
        self.block_on(async {
            for _ in 0..64 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Runs the device thread's tasks until `work` is done.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

impl Default for Guest {
    fn default() -> Self {
        Self::new()
    }
}

/// A ring as its driver keeps it.
#[derive(Debug)]
pub struct Ring {
    /// How many descriptors there are.
    pub size: u16,
    /// The descriptor table or the packed ring.
    pub descriptors: u64,
    /// The driver area.
    pub driver: u64,
    /// The device area.
    pub device: u64,
    packed: bool,
    next: u16,
    available: u16,
    used: u16,
    /// The laps of a packed ring: where the driver and where the device is.
    wraps: (bool, bool),
    /// By first descriptor or id: the writable buffers, and the slots taken.
    chains: HashMap<u16, (Vec<Segment>, u16)>,
}

/// Split descriptor flag.
const NEXT: u16 = 1;
/// Descriptor flag.
const WRITE: u16 = 2;
/// Descriptor flag.
const INDIRECT: u16 = 4;

impl Ring {
    /// A split ring in fresh memory.
    #[must_use]
    pub fn split(guest: &Guest, size: u16) -> Self {
        Self::new(guest, size, false)
    }

    /// A packed ring in fresh memory.
    #[must_use]
    pub fn packed(guest: &Guest, size: u16) -> Self {
        Self::new(guest, size, true)
    }

    fn new(guest: &Guest, size: u16, packed: bool) -> Self {
        let entries = u64::from(size);
        Self {
            size,
            descriptors: guest.allocate(16 * entries),
            driver: guest.allocate(6 + 2 * entries),
            device: guest.allocate(6 + 8 * entries),
            packed,
            next: 0,
            available: 0,
            used: 0,
            wraps: (true, true),
            chains: HashMap::new(),
        }
    }

    /// Tells the device where the ring is.
    pub fn enable(&self, device: &Virtio, queue: usize) {
        device.configure(queue, |setup| {
            setup.size = self.size;
            setup.descriptors = self.descriptors;
            setup.driver = self.driver;
            setup.device = self.device;
        });
        device.enable(queue);
    }

    /// Makes a chain available: these bytes to read, then buffers of these lengths to fill.
    /// Returns its id.
    pub fn add(&mut self, guest: &Guest, readable: &[&[u8]], writable: &[u32]) -> u16 {
        let buffers = self.buffers(guest, readable, writable);
        self.publish(guest, &buffers)
    }

    /// Makes a chain of one buffer to fill available, at this address.
    pub fn add_at(&mut self, guest: &Guest, address: u64, length: u32) -> u16 {
        self.publish(guest, &[(Segment { address, length }, WRITE)])
    }

    /// As [`add`](Self::add), through an indirect table.
    pub fn add_indirect(&mut self, guest: &Guest, readable: &[&[u8]], writable: &[u32]) -> u16 {
        let buffers = self.buffers(guest, readable, writable);
        let table = guest.allocate(16 * buffers.len() as u64);
        for (index, (segment, flags)) in (0u16..).zip(&buffers) {
            let more = usize::from(index) + 1 < buffers.len() && !self.packed;
            let flags = flags | if more { NEXT } else { 0 };
            // Packed descriptors have an id where split ones have flags.
            let (low, high) = if self.packed {
                (0, flags)
            } else {
                (flags, index + 1)
            };
            self.store(guest, table, index, *segment, low, high);
        }
        let segment = Segment {
            address: table,
            length: 16 * buffers.len() as u32,
        };
        let id = self.publish(guest, &[(segment, INDIRECT)]);
        let writable = buffers.iter().filter(|(_, flags)| flags & WRITE != 0);
        let segments = writable.map(|(segment, _)| *segment).collect();
        self.chains.insert(id, (segments, 1));
        id
    }

    /// The next chain the device has returned: its id, and how much was written.
    pub fn used(&mut self, guest: &Guest) -> Option<(u16, u32)> {
        let memory = guest.memory();
        if self.packed {
            return self.used_packed(&memory);
        }
        let index = memory.load(self.device + 2, 2).ok()? as u16;
        if index == self.used {
            return None;
        }
        let slot = u64::from(self.used % self.size);
        let element = memory.load(self.device + 4 + 8 * slot, 8).ok()?;
        self.used = self.used.wrapping_add(1);
        Some((element as u16, (element >> 32) as u32))
    }

    /// What the buffers of a chain hold.
    #[must_use]
    pub fn filled(&self, guest: &Guest, id: u16) -> Vec<u8> {
        let segments = self.chains.get(&id).into_iter().flat_map(|(list, _)| list);
        segments
            .flat_map(|segment| guest.read(segment.address, segment.length as usize))
            .collect()
    }

    /// Asks for no interrupts, or for them again.
    pub fn want_interrupts(&self, guest: &Guest, wanted: bool) {
        let place = if self.packed { 2 } else { 0 };
        // The ring is in RAM.
        let _ = guest
            .memory()
            .store(self.driver + place, 2, u64::from(!wanted));
    }

    /// Whether the device wants kicks.
    #[must_use]
    pub fn wants_kicks(&self, guest: &Guest) -> bool {
        let place = if self.packed { 2 } else { 0 };
        guest.memory().load(self.device + place, 2) == Ok(0)
    }

    fn buffers(&self, guest: &Guest, readable: &[&[u8]], writable: &[u32]) -> Vec<(Segment, u16)> {
        let memory = guest.memory();
        let filled = readable.iter().map(|bytes| {
            let address = guest.allocate(bytes.len() as u64);
            // Allocated memory is RAM.
            let _ = memory.write(address, bytes);
            let length = bytes.len() as u32;
            (Segment { address, length }, 0)
        });
        let empty = writable.iter().map(|length| {
            let address = guest.allocate((*length).into());
            let segment = Segment {
                address,
                length: *length,
            };
            (segment, WRITE)
        });
        filled.chain(empty).collect()
    }

    fn publish(&mut self, guest: &Guest, buffers: &[(Segment, u16)]) -> u16 {
        let memory = guest.memory();
        let head = self.next;
        let writable = buffers.iter().filter(|(_, flags)| flags & WRITE != 0);
        let segments = writable.map(|(segment, _)| *segment).collect();
        self.chains.insert(head, (segments, buffers.len() as u16));
        for (index, (segment, flags)) in buffers.iter().enumerate() {
            let more = index + 1 < buffers.len();
            let flags = flags | if more { NEXT } else { 0 };
            let slot = self.next;
            let next = (slot + 1) % self.size;
            if self.packed {
                let flags = flags | if self.wraps.0 { 1 << 7 } else { 1 << 15 };
                self.store(guest, self.descriptors, slot, *segment, head, flags);
                self.wraps.0 ^= next == 0;
            } else {
                self.store(guest, self.descriptors, slot, *segment, flags, next);
            }
            self.next = next;
        }
        if !self.packed {
            let slot = u64::from(self.available % self.size);
            self.available = self.available.wrapping_add(1);
            // The ring is in RAM.
            let _ = memory.store(self.driver + 4 + 2 * slot, 2, head.into());
            let _ = memory.store(self.driver + 2, 2, self.available.into());
        }
        head
    }

    fn store(&self, guest: &Guest, table: u64, slot: u16, segment: Segment, low: u16, high: u16) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&segment.address.to_le_bytes());
        bytes[8..12].copy_from_slice(&segment.length.to_le_bytes());
        bytes[12..14].copy_from_slice(&low.to_le_bytes());
        bytes[14..].copy_from_slice(&high.to_le_bytes());
        // The ring is in RAM.
        let _ = guest.memory().write(table + 16 * u64::from(slot), &bytes);
    }

    fn used_packed(&mut self, memory: &DmaView) -> Option<(u16, u32)> {
        let address = self.descriptors + 16 * u64::from(self.used);
        let flags = memory.load(address + 14, 2).ok()? as u16;
        let (available, used) = (flags >> 7 & 1 == 1, flags >> 15 == 1);
        if available != used || used != self.wraps.1 {
            return None;
        }
        let length = memory.load(address + 8, 4).ok()? as u32;
        let id = memory.load(address + 12, 2).ok()? as u16;
        let slots = self.chains.get(&id).map_or(1, |(_, slots)| *slots);
        let next = self.used + slots;
        self.wraps.1 ^= next >= self.size;
        self.used = next % self.size;
        Some((id, length))
    }
}
