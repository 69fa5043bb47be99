//! Physical memory as the MMU looks it up: a view of the address space, and a short way to the
//! block of RAM that nearly everything is in.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tinamou_memory::{AddressSpace, Backing, Mapping, PAGE_SIZE, Ram, View};

/// A view of the address space.
pub(crate) struct Memory {
    view: Arc<View>,
    generation: u64,
    largest: Option<Block>,
}

/// A stretch of RAM.
struct Block {
    first: u64,
    /// How much of it there is.
    length: u64,
    ram: Arc<Ram>,
    /// Where in the RAM it begins.
    offset: u64,
}

impl Memory {
    pub(super) fn new(space: &AddressSpace) -> Self {
        // The generation first: a view newer than it is only renewed needlessly.
        let generation = space.generation();
        let view = space.view();
        let blocks = view.iter().filter_map(Block::of);
        let largest = blocks.max_by_key(|block| block.length);
        Self {
            view,
            generation,
            largest,
        }
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    pub(super) fn is_outdated(&self, space: &AddressSpace) -> bool {
        self.generation != space.generation()
    }

    /// The aligned doubleword at an address of RAM or ROM, and whether it can be written.
    #[inline]
    pub(super) fn word(&self, at: u64) -> Option<(&AtomicU64, bool)> {
        if let Some(block) = &self.largest
            && at.wrapping_sub(block.first) < block.length
        {
            let offset = at.wrapping_sub(block.first).wrapping_add(block.offset);
            return Some((block.ram.atomic::<u64>(offset)?, true));
        }
        let mapping = self.view.find(at)?;
        let (ram, writable) = memory_of(mapping)?;
        Some((ram.atomic::<u64>(mapping.offset(at))?, writable))
    }

    /// Where a whole page of RAM or ROM is on the host, and whether it can be written.
    pub(super) fn page(&self, physical: u64) -> Option<(*mut u8, bool)> {
        let mapping = self.view.find(physical)?;
        if mapping.last - physical < PAGE_SIZE - 1 {
            return None;
        }
        let (ram, writable) = memory_of(mapping)?;
        let offset = usize::try_from(mapping.offset(physical)).ok()?;
        Some((ram.host().wrapping_add(offset), writable))
    }
}

impl Block {
    fn of(mapping: &Mapping) -> Option<Self> {
        let Backing::Ram(ram) = &mapping.region.backing else {
            return None;
        };
        Some(Self {
            first: mapping.first,
            length: mapping.last - mapping.first,
            ram: Arc::clone(ram),
            offset: mapping.offset(mapping.first),
        })
    }
}

fn memory_of(mapping: &Mapping) -> Option<(&Ram, bool)> {
    match &mapping.region.backing {
        Backing::Ram(ram) => Some((ram, true)),
        Backing::Rom(ram) => Some((ram, false)),
        Backing::Mmio(..) => None,
    }
}
