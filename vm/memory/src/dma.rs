//! Guest memory as a device reaches it on its own: RAM, and never another device.
//!
//! A device that could write to a register by DMA could re-enter itself with its lock held; here
//! whatever is not RAM faults.

use std::sync::Arc;

use crate::{AddressSpace, Backing, Error, Fault, PAGE_SIZE, Ram, View};

/// The way of a device to guest RAM. Clones are the same way.
#[derive(Clone, Debug)]
pub struct Dma(Arc<AddressSpace>);

impl Dma {
    /// The RAM of `space`.
    #[must_use]
    pub fn new(space: Arc<AddressSpace>) -> Self {
        Self(space)
    }

    /// The RAM there is now. Take one per request: RAM that is unplugged meanwhile stays alive
    /// as long as a view of it.
    #[must_use]
    pub fn view(&self) -> DmaView {
        DmaView(self.0.view())
    }
}

/// The RAM of an address space at one moment.
#[derive(Clone, Debug)]
pub struct DmaView(Arc<View>);

/// A stretch of guest addresses in one block of RAM.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    /// The block.
    pub ram: &'a Arc<Ram>,
    /// Where in the block the stretch begins.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
}

impl DmaView {
    /// Whether all of these bytes are writable RAM.
    #[must_use]
    pub fn covers(&self, address: u64, length: u64) -> bool {
        self.stretches(address, length)
            .all(|stretch| stretch.is_ok())
    }

    /// The bytes as stretches in RAM blocks; a fault ends them.
    pub fn stretches(
        &self,
        address: u64,
        length: u64,
    ) -> impl Iterator<Item = Result<Stretch<'_>, Fault>> {
        let (mut address, mut left) = (Some(address), length);
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let Some(from) = address else {
                left = 0;
                return Some(Err(Fault { address: u64::MAX }));
            };
            let stretch = self.stretch(from, left);
            let length = stretch.map_or(left, |stretch| stretch.length);
            left -= length;
            address = from.checked_add(length);
            Some(stretch)
        })
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// [`Fault`] at the first address that is no RAM; bytes before it have been copied.
    pub fn read(&self, address: u64, mut bytes: &mut [u8]) -> Result<(), Fault> {
        for stretch in self.stretches(address, bytes.len() as u64) {
            let stretch = stretch?;
            let (now, rest) = bytes.split_at_mut(stretch.length as usize);
            stretch.ram.read(stretch.offset, now)?;
            bytes = rest;
        }
        Ok(())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// [`Fault`] at the first address that is no RAM; bytes before it have been written.
    pub fn write(&self, address: u64, mut bytes: &[u8]) -> Result<(), Fault> {
        for stretch in self.stretches(address, bytes.len() as u64) {
            let stretch = stretch?;
            let (now, rest) = bytes.split_at(stretch.length as usize);
            stretch.ram.write(stretch.offset, now)?;
            bytes = rest;
        }
        Ok(())
    }

    /// Loads `size` (1, 2, 4 or 8) bytes, at once when they are naturally aligned.
    ///
    /// # Errors
    /// [`Fault`] when they are not in one block of RAM.
    pub fn load(&self, address: u64, size: u8) -> Result<u64, Fault> {
        let stretch = self.stretch(address, size.into())?;
        stretch.ram.load(stretch.offset, size)
    }

    /// Stores the low `size` (1, 2, 4 or 8) bytes of `value`, at once when naturally aligned.
    ///
    /// # Errors
    /// [`Fault`] when they are not in one block of RAM.
    pub fn store(&self, address: u64, size: u8, value: u64) -> Result<(), Fault> {
        let stretch = self.stretch(address, size.into())?;
        stretch.ram.store(stretch.offset, size, value)
    }

    /// Gives the whole pages among these bytes back to the host; they read as zero afterwards.
    ///
    /// # Errors
    /// [`Error::Unmapped`] at the first address that is no RAM, [`Error::Discard`] when the host
    /// refuses.
    pub fn discard(&self, address: u64, length: u64) -> Result<(), Error> {
        for stretch in self.stretches(address, length) {
            let Stretch {
                ram,
                offset,
                length,
            } = stretch.map_err(Error::Unmapped)?;
            let first = offset.next_multiple_of(PAGE_SIZE);
            let end = (offset + length) / PAGE_SIZE * PAGE_SIZE;
            if first < end {
                ram.discard(first, end - first)?;
            }
        }
        Ok(())
    }

    /// As many of the bytes at `address` as lie in the RAM block there.
    fn stretch(&self, address: u64, length: u64) -> Result<Stretch<'_>, Fault> {
        let mapping = self.0.find(address).ok_or(Fault { address })?;
        let Backing::Ram(ram) = &mapping.region.backing else {
            return Err(Fault { address });
        };
        let rest = (mapping.last - address).saturating_add(1);
        Ok(Stretch {
            ram,
            offset: mapping.offset(address),
            length: length.min(rest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mmio, Region};

    struct Trap;

    impl Mmio for Trap {
        fn read(&self, _: u64, _: u8) -> u64 {
            panic!("DMA reached a device")
        }
        fn write(&self, _: u64, _: u8, _: u64) {
            panic!("DMA reached a device")
        }
    }

    fn view() -> DmaView {
        let space = AddressSpace::new("memory");
        let ram = || Arc::new(Ram::new(4096).unwrap());
        space.add(Region::ram("a", 0x1000, ram())).unwrap();
        space.add(Region::ram("b", 0x2000, ram())).unwrap();
        space
            .add(Region::mmio("device", 0x3000, 0x1000, Arc::new(Trap)))
            .unwrap();
        space.add(Region::rom("rom", 0x4000, ram())).unwrap();
        space
            .add(Region::ram("top", u64::MAX - 4095, ram()))
            .unwrap();
        Dma::new(Arc::new(space)).view()
    }

    #[test]
    fn only_ram_is_reached() {
        let view = view();
        let check = |address, length: usize, fault: Option<u64>| {
            let expected = fault.map_or(Ok(()), |address| Err(Fault { address }));
            let mut bytes = vec![1; length];
            assert_eq!(view.write(address, &bytes), expected, "{address:#x}");
            assert_eq!(view.read(address, &mut bytes), expected, "{address:#x}");
            assert_eq!(view.covers(address, length as u64), fault.is_none());
        };
        check(0x1000, 0x2000, None);
        check(0x1ff0, 0x20, None);
        check(0x2ff0, 0x11, Some(0x3000));
        check(0x3000, 1, Some(0x3000));
        check(0x4000, 1, Some(0x4000));
        check(0, 1, Some(0));
        check(u64::MAX, 1, None);
        check(u64::MAX - 1, 3, Some(u64::MAX));
        check(0, 0, None);
    }

    #[test]
    fn words_do_not_cross_blocks() {
        let view = view();
        view.store(0x1ff8, 8, 7).unwrap();
        assert_eq!(view.load(0x1ff8, 8), Ok(7));
        assert!(view.load(0x1ffc, 8).is_err());
        assert!(view.load(u64::MAX, 2).is_err());
    }

    #[test]
    fn whole_pages_are_given_back() {
        let view = view();
        view.write(0x1000, &[7; 0x2000]).unwrap();
        view.discard(0x1800, 0x1800).unwrap();
        assert_eq!(view.load(0x1800, 1), Ok(7));
        assert_eq!(view.load(0x2000, 8), Ok(0));
        assert!(matches!(
            view.discard(0x2000, 0x2000),
            Err(Error::Unmapped(Fault { address: 0x3000 }))
        ));
    }
}
