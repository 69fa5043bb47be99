//! Guest physical memory: RAM blocks and the map of memory-mapped devices.
//!
//! It knows bytes, addresses and the [`Mmio`] trait through which a device answers. It must never
//! know what a device is, which hart accesses it, or how virtual addresses are translated.

mod dma;
mod error;
mod map;
mod ram;
mod space;

pub use dma::{Dma, DmaView, Stretch};
pub use error::{Error, Fault};
pub use map::{Backing, Mapping, Region, View};
pub use ram::{PAGE_SIZE, Ram, RamOptions, Word};
pub use space::{AddressSpace, RegionId};

/// A memory-mapped device, as the bus sees it.
///
/// Accesses come from several harts and from the main loop at the same time; a device keeps its
/// state behind its own small lock and never calls back into the address space while holding it.
pub trait Mmio: Send + Sync {
    /// Answers a load of `size` (1, 2, 4 or 8) bytes at `offset` from the region's base.
    fn read(&self, offset: u64, size: u8) -> u64;

    /// Takes a store of the low `size` (1, 2, 4 or 8) bytes of `value` at `offset`.
    fn write(&self, offset: u64, size: u8, value: u64);
}
