//! The addresses above RAM where memory devices are plugged in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_memory::{AddressSpace, PAGE_SIZE, Ram, Region, RegionId};

use crate::Error;
use crate::config::MachineConfig;
use crate::virt::Range;

/// The most slots that a machine can have; QEMU's limit.
const SLOTS_MAX: u64 = 256;

/// Physical addresses have so many bits (RISC-V privileged specification, Sv39 and its siblings).
const ADDRESS_BITS: u32 = 56;
/// The last address of a memory device: the host bridge has a window behind them.
const ADDRESS_LIMIT: u64 = (1 << ADDRESS_BITS) - (1 << 36) - 1;

/// What the size of every memory device is a multiple of, and its address at least.
const ALIGN: u64 = 2 << 20;

/// The addresses of memory devices, and which of them are taken. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct DeviceMemory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    range: Range,
    /// The most bytes that all devices together can have. The range is longer than that, so that
    /// they can be aligned.
    limit: u64,
    /// In the order of their addresses.
    places: Mutex<Vec<Place>>,
}

#[derive(Debug)]
struct Place {
    id: String,
    first: u64,
    size: u64,
}

impl Place {
    fn last(&self) -> u64 {
        self.first + (self.size - 1)
    }
}

/// A memory device to be.
#[derive(Clone, Copy, Debug)]
pub struct NewMemory<'a> {
    /// What its user calls it.
    pub id: Option<&'a str>,
    /// What the map of the address space calls its memory.
    pub name: &'a str,
    /// All of its memory.
    pub ram: &'a Arc<Ram>,
    /// Where it is to be; anywhere if 0.
    pub address: u64,
    /// What its address must be a multiple of, beside what holds for all.
    pub align: u64,
}

/// Why a memory device cannot be plugged in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// All devices together would have more than there may be.
    #[error(
        "not enough space, currently {used:#x} in use of total space for memory devices {total:#x}"
    )]
    NoSpace {
        /// What the devices have that are there.
        used: u64,
        /// What they may have.
        total: u64,
    },
    /// Its size is no multiple of the alignment.
    #[error("backend memory size must be multiple of {0:#x}")]
    Size(u64),
    /// Its address is no multiple of the alignment.
    #[error("address must be aligned to {0:#x} bytes")]
    Unaligned(u64),
    /// Its address is not where memory devices go.
    #[error(
        "can't add memory device [{first:#x}:{size:#x}], usable range for memory devices \
         [{:#x}:{:#x}]", .range.base, .range.size
    )]
    Outside {
        /// The address.
        first: u64,
        /// The size.
        size: u64,
        /// Where they go.
        range: Range,
    },
    /// Another device is there.
    #[error("address range conflicts with memory device id='{0}'")]
    Taken(String),
    /// What is free is in pieces.
    #[error(
        "could not find position in guest address space for memory device - memory fragmented \
         due to alignments"
    )]
    Fragmented,
}

/// A memory device in its place; dropping it takes its memory out.
#[derive(Debug)]
pub struct PlacedMemory {
    memory: DeviceMemory,
    space: Arc<AddressSpace>,
    region: RegionId,
    address: u64,
}

impl PlacedMemory {
    /// Where its memory begins.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for PlacedMemory {
    fn drop(&mut self) {
        self.space.remove(self.region);
        self.memory
            .places()
            .retain(|place| place.first != self.address);
    }
}

impl DeviceMemory {
    /// The place for memory devices on the board, if it may have any.
    ///
    /// # Errors
    /// When so much cannot be addressed.
    pub(crate) fn new(config: &MachineConfig) -> Result<Option<Self>, Error> {
        if config.ram_slots > SLOTS_MAX {
            return Err(Error::MemorySlots(config.ram_slots));
        }
        if !config.max_ram_size.is_multiple_of(PAGE_SIZE) {
            return Err(Error::MaxMemory(PAGE_SIZE));
        }
        let Some(range) = config.device_memory() else {
            return Ok(None);
        };
        let last = range.base.saturating_add(range.size - 1);
        if last > ADDRESS_LIMIT {
            return Err(Error::AddressBits {
                limit: ADDRESS_LIMIT,
                last,
                bits: ADDRESS_BITS,
            });
        }
        Ok(Some(Self(Arc::new(Shared {
            range,
            limit: config.max_ram_size - config.ram_size,
            places: Mutex::default(),
        }))))
    }

    /// Plugs in a device.
    ///
    /// # Errors
    /// When there is no place for it.
    pub(crate) fn plug(
        &self,
        space: &Arc<AddressSpace>,
        new: &NewMemory<'_>,
    ) -> Result<PlacedMemory, Error> {
        let mut places = self.places();
        let size = new.ram.size();
        let address = self.0.place(&places, new)?;
        let region = space.add(Region::ram(new.name, address, Arc::clone(new.ram)))?;
        let index = places.partition_point(|place| place.first < address);
        let place = Place {
            id: new.id.unwrap_or("(unnamed)").to_owned(),
            first: address,
            size,
        };
        places.insert(index, place);
        Ok(PlacedMemory {
            memory: self.clone(),
            space: Arc::clone(space),
            region,
            address,
        })
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The address for a device among those in their places.
    fn place(&self, places: &[Place], new: &NewMemory<'_>) -> Result<u64, PlaceError> {
        let size = new.ram.size();
        let used = places.iter().map(|place| place.size).sum::<u64>();
        if used.saturating_add(size) > self.limit {
            let total = self.limit;
            return Err(PlaceError::NoSpace { used, total });
        }
        if !size.is_multiple_of(ALIGN) {
            return Err(PlaceError::Size(ALIGN));
        }
        let align = new.align.max(ALIGN);
        match new.address {
            0 => self.find(places, size, align),
            address => self.check(places, address, size, align),
        }
    }

    /// The lowest free address.
    fn find(&self, places: &[Place], size: u64, align: u64) -> Result<u64, PlaceError> {
        let aligned = |address: u64| address.checked_next_multiple_of(align);
        let mut first = aligned(self.range.base);
        for place in places {
            if first.is_some_and(|first| first > place.last()) {
                continue;
            }
            let end = first.and_then(|first| first.checked_add(size));
            if end.is_none_or(|end| end > place.first) {
                first = aligned(place.last() + 1);
            }
        }
        let fits = |first: &u64| self.contains(*first, size);
        first.filter(fits).ok_or(PlaceError::Fragmented)
    }

    /// The address that was asked for, if nothing is there.
    fn check(
        &self,
        places: &[Place],
        first: u64,
        size: u64,
        align: u64,
    ) -> Result<u64, PlaceError> {
        if !first.is_multiple_of(align) {
            return Err(PlaceError::Unaligned(align));
        }
        if !self.contains(first, size) {
            return Err(PlaceError::Outside {
                first,
                size,
                range: self.range,
            });
        }
        let last = first + (size - 1);
        let taken = places
            .iter()
            .find(|place| place.first <= last && first <= place.last());
        match taken {
            Some(place) => Err(PlaceError::Taken(place.id.clone())),
            None => Ok(first),
        }
    }

    fn contains(&self, first: u64, size: u64) -> bool {
        let offset = first.checked_sub(self.range.base);
        let end = offset.and_then(|offset| offset.checked_add(size));
        end.is_some_and(|end| end <= self.range.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const BASE: u64 = 4 * GIB;
    const MIB: u64 = 1 << 20;

    fn shared() -> Shared {
        Shared {
            range: Range {
                base: BASE,
                size: 2 * GIB,
            },
            limit: GIB,
            places: Mutex::default(),
        }
    }

    fn places(taken: &[(u64, u64)]) -> Vec<Place> {
        let place = |(first, size): &(u64, u64)| Place {
            id: format!("{first}"),
            first: BASE + first * MIB,
            size: size * MIB,
        };
        taken.iter().map(place).collect()
    }

    /// Where a device of `size` MiB goes among those there are.
    fn place(taken: &[(u64, u64)], size: u64, address: u64, align: u64) -> Result<u64, PlaceError> {
        let ram = Arc::new(Ram::new(size).unwrap());
        let new = NewMemory {
            id: None,
            name: "m",
            ram: &ram,
            address,
            align,
        };
        shared().place(&places(taken), &new)
    }

    #[test]
    fn the_lowest_free_address_is_taken() {
        let check = |taken: &[(u64, u64)], size, align, expected: u64| {
            let found = place(taken, size * MIB, 0, align * MIB);
            assert_eq!(found, Ok(BASE + expected * MIB), "{taken:?}");
        };
        check(&[], 64, 2, 0);
        check(&[(0, 64)], 64, 2, 64);
        check(&[(64, 64)], 64, 2, 0);
        check(&[(32, 64)], 64, 2, 96);
        check(&[(0, 2), (66, 2)], 64, 2, 2);
        check(&[(0, 2), (64, 2)], 64, 2, 66);
        check(&[(0, 2), (4, 2)], 64, 128, 128);
        check(&[(0, 2), (130, 2), (200, 2)], 64, 128, 256);
        check(&[], 1024, 1024, 0);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let check = |taken: &[(u64, u64)], size, address, align, expected: PlaceError| {
            assert_eq!(place(taken, size, address, align), Err(expected));
        };
        let outside = |first| PlaceError::Outside {
            first,
            size: 64 * MIB,
            range: shared().range,
        };
        let (used, total) = (64 * MIB, GIB);
        check(&[(0, 64)], GIB, 0, 0, PlaceError::NoSpace { used, total });
        check(&[], 3 * MIB, 1, 0, PlaceError::Size(ALIGN));
        check(&[], 2 * MIB, BASE + MIB, 0, PlaceError::Unaligned(ALIGN));
        let eight = 8 * MIB;
        check(
            &[],
            eight,
            BASE + ALIGN,
            eight,
            PlaceError::Unaligned(eight),
        );
        for first in [
            ALIGN,
            BASE - ALIGN,
            BASE + 2 * GIB - ALIGN,
            u64::MAX - ALIGN + 1,
        ] {
            check(&[], 64 * MIB, first, 0, outside(first));
        }
        let taken = [(64, 64)];
        let conflict = || PlaceError::Taken("64".into());
        for first in [2, 64, 126] {
            check(&taken, 64 * MIB, BASE + first * MIB, 0, conflict());
        }
        assert!(place(&taken, 64 * MIB, BASE + 128 * MIB, 0).is_ok());
        check(&[(0, 2)], 512 * MIB, 0, 2 * GIB, PlaceError::Fragmented);
        check(&[], MIB * 2, 0, 1 << 63, PlaceError::Fragmented);
    }
}
