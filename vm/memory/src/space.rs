//! The address space: regions come and go, accesses find them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::{Backing, Error, Fault, Mapping, Region, View};

/// The item of `-d` for accesses that fail.
const INVALID_MEM: &str = "invalid_mem";

/// Names a region that was added, so that it can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegionId(u64);

/// Guest physical addresses and what answers at them.
///
/// Lookups work on an immutable [`View`], replaced as a whole whenever a region comes or goes.
/// A hart keeps the view it last saw, with host addresses derived from it, and takes a new one
/// when [`AddressSpace::generation`] has moved.
#[derive(Debug)]
pub struct AddressSpace {
    name: String,
    regions: RwLock<Regions>,
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct Regions {
    listed: Vec<(RegionId, Arc<Region>)>,
    view: Arc<View>,
    added: u64,
}

impl AddressSpace {
    /// An empty space.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            regions: RwLock::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Maps a region.
    ///
    /// # Errors
    /// [`Error::Extent`] when it has no room, [`Error::Overlap`] when another region of the same
    /// priority is there.
    pub fn add(&self, region: Region) -> Result<RegionId, Error> {
        let last = region.last()?;
        let mut regions = self.regions.write().unwrap_or_else(PoisonError::into_inner);
        let clash = regions.listed.iter().find(|(_, other)| {
            other.priority == region.priority
                && other.base <= last
                && other.last().is_ok_and(|end| region.base <= end)
        });
        if let Some((_, other)) = clash {
            return Err(Error::Overlap {
                name: region.name,
                other: other.name.clone(),
            });
        }
        regions.added += 1;
        let id = RegionId(regions.added);
        regions.listed.push((id, Arc::new(region)));
        self.rebuild(&mut regions)?;
        Ok(id)
    }

    /// Unmaps a region; false when it is not there any more.
    ///
    /// Harts may answer from the old view until they next look at [`AddressSpace::generation`];
    /// RAM they still use stays alive until then.
    pub fn remove(&self, id: RegionId) -> bool {
        let mut regions = self.regions.write().unwrap_or_else(PoisonError::into_inner);
        let before = regions.listed.len();
        regions.listed.retain(|(listed, _)| *listed != id);
        regions.listed.len() != before && self.rebuild(&mut regions).is_ok()
    }

    /// The present view.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        let regions = self.regions.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&regions.view)
    }

    /// A number that changes with every change of the view.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// All regions in the order of their addresses, then priorities.
    #[must_use]
    pub fn regions(&self) -> Vec<Arc<Region>> {
        let regions = self.regions.read().unwrap_or_else(PoisonError::into_inner);
        let mut listed: Vec<_> = regions
            .listed
            .iter()
            .map(|(_, region)| Arc::clone(region))
            .collect();
        listed.sort_by_key(|region| (region.base, std::cmp::Reverse(region.priority)));
        listed
    }

    /// Loads `size` (1, 2, 4 or 8) bytes.
    ///
    /// # Errors
    /// [`Fault`] when nothing is there or it does not accept the access.
    pub fn load(&self, address: u64, size: u8) -> Result<u64, Fault> {
        self.view().load(address, size)
    }

    /// Stores the low `size` (1, 2, 4 or 8) bytes of `value`.
    ///
    /// # Errors
    /// [`Fault`] when nothing is there or it does not accept the access.
    pub fn store(&self, address: u64, size: u8, value: u64) -> Result<(), Fault> {
        self.view().store(address, size, value)
    }

    /// Copies bytes out of memory; devices are read in the widest words they accept.
    ///
    /// # Errors
    /// [`Fault`] at the first address where nothing answers; bytes before it have been copied.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        self.view().read(address, bytes)
    }

    /// Copies bytes into memory; devices are written in the widest words they accept.
    ///
    /// # Errors
    /// [`Fault`] at the first address where nothing answers; bytes before it have been written.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.view().write(address, bytes)
    }

    fn rebuild(&self, regions: &mut Regions) -> Result<(), Error> {
        let listed: Vec<_> = regions
            .listed
            .iter()
            .map(|(_, region)| Arc::clone(region))
            .collect();
        regions.view = Arc::new(View::new(&listed)?);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl View {
    /// As [`AddressSpace::load`].
    ///
    /// # Errors
    /// [`Fault`] when nothing is there or it does not accept the access.
    pub fn load(&self, address: u64, size: u8) -> Result<u64, Fault> {
        let mapping = self.covering(address, size);
        let loaded = mapping.and_then(|mapping| load_from(mapping, address, size));
        loaded.inspect_err(|_| self.log_fault("read", address, size))
    }

    /// As [`AddressSpace::store`].
    ///
    /// # Errors
    /// [`Fault`] when nothing is there or it does not accept the access.
    pub fn store(&self, address: u64, size: u8, value: u64) -> Result<(), Fault> {
        let mapping = self.covering(address, size);
        let stored = mapping.and_then(|mapping| store_to(mapping, address, size, value));
        stored.inspect_err(|_| self.log_fault("write", address, size))
    }

    /// As [`AddressSpace::read`].
    ///
    /// # Errors
    /// [`Fault`] at the first address where nothing answers.
    pub fn read(&self, mut address: u64, mut bytes: &mut [u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let (mapping, length) = self.stretch(address, bytes.len())?;
            let offset = mapping.offset(address);
            let length = match &mapping.region.backing {
                Backing::Ram(ram) | Backing::Rom(ram) => {
                    ram.read(offset, &mut bytes[..length])?;
                    length
                }
                Backing::Mmio(device, sizes) => {
                    let size = widest(sizes, address, length).ok_or(Fault { address })?;
                    let word = device.read(offset, size).to_le_bytes();
                    let size = usize::from(size);
                    bytes[..size].copy_from_slice(&word[..size]);
                    size
                }
            };
            bytes = &mut bytes[length..];
            address = address.wrapping_add(length as u64);
        }
        Ok(())
    }

    /// As [`AddressSpace::write`].
    ///
    /// # Errors
    /// [`Fault`] at the first address where nothing answers.
    pub fn write(&self, mut address: u64, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let (mapping, length) = self.stretch(address, bytes.len())?;
            let offset = mapping.offset(address);
            let length = match &mapping.region.backing {
                Backing::Ram(ram) => {
                    ram.write(offset, &bytes[..length])?;
                    length
                }
                Backing::Rom(_) => return Err(Fault { address }),
                Backing::Mmio(device, sizes) => {
                    let size = widest(sizes, address, length).ok_or(Fault { address })?;
                    let mut word = [0; 8];
                    word[..usize::from(size)].copy_from_slice(&bytes[..usize::from(size)]);
                    device.write(offset, size, u64::from_le_bytes(word));
                    usize::from(size)
                }
            };
            bytes = &bytes[length..];
            address = address.wrapping_add(length as u64);
        }
        Ok(())
    }

    /// Tells the log of an access that fails (`-d invalid_mem`), in QEMU's words.
    #[cold]
    fn log_fault(&self, access: &str, address: u64, size: u8) {
        let mapping = self.covering(address, size).ok();
        if let Some(mapping) = mapping
            && let Backing::Mmio(_, sizes) = &mapping.region.backing
            && !sizes.contains(&size)
        {
            let (offset, name) = (mapping.offset(address), &mapping.region.name);
            let (min, max) = (sizes.start(), sizes.end());
            tracing::debug!(target: INVALID_MEM, "Invalid {access} at addr 0x{offset:X}, \
                size {size}, region '{name}', reason: invalid size (min:{min} max:{max})");
            return;
        }
        let name = mapping.map_or("(null)", |mapping| mapping.region.name.as_str());
        tracing::debug!(target: INVALID_MEM,
            "Invalid {access} at addr 0x{address:X}, size {size}, region '{name}', reason: rejected");
    }

    /// The mapping that holds the whole of an access.
    fn covering(&self, address: u64, size: u8) -> Result<&Mapping, Fault> {
        let mapping = self.find(address).ok_or(Fault { address })?;
        let last = address
            .checked_add(u64::from(size) - 1)
            .ok_or(Fault { address })?;
        if last > mapping.last {
            return Err(Fault { address });
        }
        Ok(mapping)
    }

    /// The mapping at `address`, and how many of `length` bytes it holds.
    fn stretch(&self, address: u64, length: usize) -> Result<(&Mapping, usize), Fault> {
        let mapping = self.find(address).ok_or(Fault { address })?;
        let rest = usize::try_from(mapping.last - address)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        Ok((mapping, length.min(rest)))
    }
}

fn load_from(mapping: &Mapping, address: u64, size: u8) -> Result<u64, Fault> {
    let offset = mapping.offset(address);
    match &mapping.region.backing {
        Backing::Ram(ram) | Backing::Rom(ram) => ram.load(offset, size),
        Backing::Mmio(device, sizes) if accepts(sizes, address, size) => {
            Ok(device.read(offset, size))
        }
        Backing::Mmio(..) => Err(Fault { address }),
    }
}

fn store_to(mapping: &Mapping, address: u64, size: u8, value: u64) -> Result<(), Fault> {
    let offset = mapping.offset(address);
    match &mapping.region.backing {
        Backing::Ram(ram) => ram.store(offset, size, value),
        Backing::Mmio(device, sizes) if accepts(sizes, address, size) => {
            device.write(offset, size, value);
            Ok(())
        }
        Backing::Rom(_) | Backing::Mmio(..) => Err(Fault { address }),
    }
}

/// Whether a device that takes these sizes takes this access; devices take no misaligned ones.
fn accepts(sizes: &std::ops::RangeInclusive<u8>, address: u64, size: u8) -> bool {
    sizes.contains(&size) && address.is_multiple_of(size.into())
}

/// The widest access a device takes at `address` that does not exceed `length`.
fn widest(sizes: &std::ops::RangeInclusive<u8>, address: u64, length: usize) -> Option<u8> {
    [8, 4, 2, 1]
        .into_iter()
        .find(|size| usize::from(*size) <= length && accepts(sizes, address, *size))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{Mmio, Ram};

    /// Records writes and answers reads with offset and size.
    #[derive(Default)]
    struct Probe(Mutex<Vec<(u64, u8, u64)>>);

    impl Mmio for Probe {
        fn read(&self, offset: u64, size: u8) -> u64 {
            offset << 8 | u64::from(size)
        }
        fn write(&self, offset: u64, size: u8, value: u64) {
            self.0.lock().unwrap().push((offset, size, value));
        }
    }

    fn ram(pages: u64) -> Arc<Ram> {
        Arc::new(Ram::new(pages * 4096).unwrap())
    }

    fn board() -> (AddressSpace, Arc<Probe>) {
        let space = AddressSpace::new("memory");
        let probe = Arc::new(Probe::default());
        space.add(Region::ram("ram", 0x8000_0000, ram(2))).unwrap();
        space.add(Region::rom("rom", 0x1000, ram(1))).unwrap();
        let device = Region::mmio("dev", 0x10_0000, 0x100, probe.clone()).accepting(1..=4);
        space.add(device).unwrap();
        (space, probe)
    }

    #[test]
    fn accesses_reach_what_is_mapped() {
        let (space, probe) = board();
        space.store(0x8000_0010, 8, 42).unwrap();
        assert_eq!(space.load(0x8000_0010, 8), Ok(42));
        assert_eq!(space.load(0x10_0004, 4), Ok(0x404));
        space.store(0x10_0008, 2, 0xbeef).unwrap();
        assert_eq!(*probe.0.lock().unwrap(), [(8, 2, 0xbeef)]);
    }

    #[test]
    fn what_is_not_there_faults() {
        let (space, _) = board();
        for (address, size) in [
            (0, 1),
            (0x8000_2000, 1),
            (0x8000_1ffc, 8),
            (0x10_0000, 8),
            (0x10_0002, 4),
            (0x10_0100, 1),
            (u64::MAX, 8),
        ] {
            assert_eq!(
                space.load(address, size),
                Err(Fault { address }),
                "{address:#x}"
            );
        }
        assert_eq!(space.store(0x1000, 4, 1), Err(Fault { address: 0x1000 }));
        assert_eq!(space.load(0x1000, 4), Ok(0));
    }

    #[test]
    fn bulk_copies_cross_regions_and_stop_at_holes() {
        let space = AddressSpace::new("memory");
        space.add(Region::ram("a", 0, ram(1))).unwrap();
        space.add(Region::ram("b", 4096, ram(1))).unwrap();
        let data: Vec<u8> = (0..100).collect();
        space.write(4050, &data).unwrap();
        let mut back = [0; 100];
        space.read(4050, &mut back).unwrap();
        assert_eq!(back[..], data[..]);
        assert_eq!(space.read(8100, &mut back), Err(Fault { address: 8192 }));
    }

    #[test]
    fn bulk_copies_use_words_a_device_takes() {
        let (space, probe) = board();
        space.write(0x10_0002, &[1, 2, 3, 4, 5, 6, 7]).unwrap();
        let seen = probe.0.lock().unwrap().clone();
        assert_eq!(seen, [(2, 2, 0x0201), (4, 4, 0x0605_0403), (8, 1, 7)]);
    }

    #[test]
    fn priorities_decide_and_equals_clash() {
        let (space, _) = board();
        let clash = space.add(Region::ram("other", 0x8000_1000, ram(2)));
        assert!(matches!(clash, Err(Error::Overlap { other, .. }) if other == "ram"));
        let window = Arc::new(Probe::default());
        let over = Region::mmio("over", 0x8000_0800, 0x800, window).priority(1);
        let generation = space.generation();
        let id = space.add(over).unwrap();
        assert_ne!(space.generation(), generation);
        assert_eq!(space.load(0x8000_0804, 4), Ok(0x404));
        let shown: Vec<_> = space.view().iter().map(|m| (m.first, m.last)).collect();
        assert_eq!(
            shown[2..],
            [
                (0x8000_0000, 0x8000_07ff),
                (0x8000_0800, 0x8000_0fff),
                (0x8000_1000, 0x8000_1fff)
            ]
        );
        assert!(space.remove(id));
        assert!(!space.remove(id));
        assert_eq!(space.load(0x8000_0804, 4), Ok(0));
    }

    #[test]
    fn impossible_extents_are_refused() {
        let space = AddressSpace::new("memory");
        let probe = || Arc::new(Probe::default());
        assert!(space.add(Region::mmio("none", 0, 0, probe())).is_err());
        assert!(
            space
                .add(Region::mmio("long", u64::MAX, 2, probe()))
                .is_err()
        );
        assert!(
            space
                .add(Region::mmio("last", u64::MAX, 1, probe()))
                .is_ok()
        );
        assert_eq!(space.load(u64::MAX, 1), Ok(0x1));
    }
}
