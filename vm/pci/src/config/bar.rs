//! Base address registers: what a function answers, and where the guest has put it.

use std::ops::Range;
use std::sync::Arc;

use super::ConfigSpace;
use crate::spec::{command, header};

/// The bar that stands for the expansion ROM.
pub const ROM_BAR: u8 = 6;
/// How many bars there are, the ROM's included.
pub const BARS: usize = 7;

const TYPE_IO: u32 = 0x01;
const TYPE_64: u32 = 0x04;
const PREFETCH: u32 = 0x08;
const ROM_ENABLE: u32 = 0x01;

/// What a bar is: its size, a power of two, and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Bytes, a power of two.
    pub size: u64,
    /// In I/O space, not in memory.
    pub io: bool,
    /// Can be placed above 4 GiB; the next bar is its upper half.
    pub wide: bool,
    /// Reads have no effect.
    pub prefetch: bool,
}

impl Bar {
    /// Ports in I/O space.
    #[must_use]
    pub const fn io(size: u64) -> Self {
        Self {
            size,
            io: true,
            wide: false,
            prefetch: false,
        }
    }

    /// Memory below 4 GiB.
    #[must_use]
    pub const fn memory(size: u64) -> Self {
        Self {
            size,
            io: false,
            wide: false,
            prefetch: false,
        }
    }

    /// Memory anywhere.
    #[must_use]
    pub const fn memory64(size: u64) -> Self {
        Self {
            wide: true,
            ..Self::memory(size)
        }
    }

    /// The same, and reads have no effect.
    #[must_use]
    pub const fn prefetchable(self) -> Self {
        Self {
            prefetch: true,
            ..self
        }
    }

    /// The bits that tell its kind (PCI 3.0 §6.2.5.1).
    const fn kind(self) -> u32 {
        if self.io {
            return TYPE_IO;
        }
        let wide = if self.wide { TYPE_64 } else { 0 };
        let prefetch = if self.prefetch { PREFETCH } else { 0 };
        wide | prefetch
    }
}

impl ConfigSpace {
    /// Gives the function a bar. `index` is 0 to 5, or [`ROM_BAR`].
    ///
    /// # Panics
    /// The index is out of range, or the size is no power of two.
    pub fn add_bar(&mut self, index: u8, bar: Bar) {
        assert!(usize::from(index) < BARS, "bar {index}");
        assert!(bar.size.is_power_of_two(), "bar of {} bytes", bar.size);
        let register = self.bar_register(index);
        let mask = !(bar.size - 1);
        let kind = if index == ROM_BAR { 0 } else { bar.kind() };
        self.set_long(register, kind);
        let enable = if index == ROM_BAR { ROM_ENABLE } else { 0 };
        self.set_writable_long(register, mask as u32 | enable);
        if bar.wide {
            self.set_long(register + 4, 0);
            self.set_writable_long(register + 4, (mask >> 32) as u32);
        }
        self.bars[usize::from(index)] = Some(bar);
    }

    /// Gives the function an expansion ROM; its bar is as large as the next power of two.
    pub fn add_rom(&mut self, size: u32, content: Arc<[u8]>) {
        let size = u64::from(size).max(content.len() as u64);
        self.add_bar(ROM_BAR, Bar::memory(size.next_power_of_two()));
        self.rom = content;
    }

    /// The bytes of the expansion ROM, at most eight; there are zeros behind its end.
    pub(crate) fn rom(&self, offset: u64, size: u8) -> u64 {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.rom.get(start..).unwrap_or_default().iter();
        let placed = (0..u32::from(size.min(8))).zip(bytes);
        placed.fold(0, |word, (index, byte)| {
            word | u64::from(*byte) << (8 * index)
        })
    }

    /// The bars there are.
    pub fn bars(&self) -> impl Iterator<Item = (u8, Bar)> {
        let listed = (0..).zip(self.bars);
        listed.filter_map(|(index, bar)| Some((index, bar?)))
    }

    /// Where a bar is visible at present.
    #[must_use]
    pub fn bar_range(&self, index: u8) -> Option<Range<u64>> {
        let bar = (*self.bars.get(usize::from(index))?)?;
        let register = self.bar_register(index);
        let enable = if bar.io { command::IO } else { command::MEMORY };
        if self.word(header::COMMAND) & enable == 0 || self.power_state() != 0 {
            return None;
        }
        let low = u64::from(self.long(register));
        if index == ROM_BAR && low & u64::from(ROM_ENABLE) == 0 {
            return None;
        }
        let high = if bar.wide {
            u64::from(self.long(register + 4)) << 32
        } else {
            0
        };
        let base = (low | high) & !(bar.size - 1);
        let last = base.checked_add(bar.size - 1)?;
        // A bar that ends with its address space is what sizing leaves behind, not a place.
        let end = if bar.wide { u64::MAX } else { u32::MAX.into() };
        (last < end).then(|| base..last + 1)
    }

    /// The register of a bar.
    fn bar_register(&self, index: u8) -> u16 {
        match index {
            ROM_BAR if self.is_bridge() => crate::spec::bridge::ROM_ADDRESS,
            ROM_BAR => header::ROM_ADDRESS,
            _ => header::BAR0 + 4 * u16::from(index),
        }
    }
}
