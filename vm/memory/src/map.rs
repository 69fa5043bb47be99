//! Regions, and the flat view that lookups use.
//!
//! Regions may overlap when their priorities differ; the view holds what is left to see after the
//! higher ones have covered the lower ones, sorted by address.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::{Error, Mmio, Ram};

/// What answers inside a region.
#[derive(Clone)]
pub enum Backing {
    /// Memory that reads and writes.
    Ram(Arc<Ram>),
    /// Memory that only reads; stores to it fault.
    Rom(Arc<Ram>),
    /// A device, with the access sizes in bytes it accepts.
    Mmio(Arc<dyn Mmio>, RangeInclusive<u8>),
}

/// A named range of guest physical addresses and what answers there.
#[derive(Clone)]
pub struct Region {
    /// How it is called in listings, such as `serial` or `riscv_virt_board.ram`.
    pub name: String,
    /// Its first address.
    pub base: u64,
    /// How many bytes it has.
    pub size: u64,
    /// Where regions overlap, the greater priority answers.
    pub priority: i32,
    /// What answers.
    pub backing: Backing,
}

impl Region {
    /// The whole of a RAM block at `base`.
    #[must_use]
    pub fn ram(name: impl Into<String>, base: u64, ram: Arc<Ram>) -> Self {
        let size = ram.size();
        Self::new(name, base, size, Backing::Ram(ram))
    }

    /// The whole of a block at `base` that the guest can read but not write.
    #[must_use]
    pub fn rom(name: impl Into<String>, base: u64, ram: Arc<Ram>) -> Self {
        let size = ram.size();
        Self::new(name, base, size, Backing::Rom(ram))
    }

    /// A device that accepts accesses of 1 to 8 bytes.
    #[must_use]
    pub fn mmio(name: impl Into<String>, base: u64, size: u64, device: Arc<dyn Mmio>) -> Self {
        Self::new(name, base, size, Backing::Mmio(device, 1..=8))
    }

    /// The same device with these access sizes only; others fault.
    #[must_use]
    pub fn accepting(mut self, sizes: RangeInclusive<u8>) -> Self {
        if let Backing::Mmio(_, accepted) = &mut self.backing {
            *accepted = sizes;
        }
        self
    }

    /// The same region at another priority (0 unless told).
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    fn new(name: impl Into<String>, base: u64, size: u64, backing: Backing) -> Self {
        Self {
            name: name.into(),
            base,
            size,
            priority: 0,
            backing,
        }
    }

    /// The last address, when there is one.
    pub(crate) fn last(&self) -> Result<u64, Error> {
        let last = self
            .size
            .checked_sub(1)
            .and_then(|length| self.base.checked_add(length));
        last.ok_or_else(|| Error::Extent {
            name: self.name.clone(),
            base: self.base,
            size: self.size,
        })
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A line as `info mtree` has it: range, priority, kind, name.
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.backing {
            Backing::Ram(_) => "ram",
            Backing::Rom(_) => "rom",
            Backing::Mmio(..) => "i/o",
        };
        let last = self.base.wrapping_add(self.size).wrapping_sub(1);
        let Self {
            base,
            priority,
            name,
            ..
        } = self;
        write!(
            f,
            "{base:016x}-{last:016x} (prio {priority}, {kind}): {name}"
        )
    }
}

/// A visible stretch of a region.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// First address of the stretch.
    pub first: u64,
    /// Last address of the stretch.
    pub last: u64,
    /// The region it shows.
    pub region: Arc<Region>,
}

impl Mapping {
    /// How far `address` is into the region (not the stretch).
    #[must_use]
    pub fn offset(&self, address: u64) -> u64 {
        address.wrapping_sub(self.region.base)
    }
}

/// The address space at one moment: disjoint stretches sorted by address.
#[derive(Debug, Default)]
pub struct View {
    mappings: Vec<Mapping>,
}

impl View {
    /// Flattens regions, highest priority on top.
    pub(crate) fn new(regions: &[Arc<Region>]) -> Result<Self, Error> {
        let mut order: Vec<_> = regions.iter().collect();
        order.sort_by_key(|region| std::cmp::Reverse(region.priority));
        let mut view = Self::default();
        for region in order {
            view.place(region)?;
        }
        Ok(view)
    }

    /// The stretch that holds `address`.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<&Mapping> {
        let after = self
            .mappings
            .partition_point(|mapping| mapping.first <= address);
        let mapping = self.mappings.get(after.checked_sub(1)?)?;
        (address <= mapping.last).then_some(mapping)
    }

    /// All stretches in order of address.
    pub fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.mappings.iter()
    }

    /// Shows `region` wherever nothing is shown yet.
    fn place(&mut self, region: &Arc<Region>) -> Result<(), Error> {
        let last = region.last()?;
        let mut gaps = Vec::new();
        let mut from = Some(region.base);
        for shown in &self.mappings {
            let Some(start) = from.filter(|start| *start <= last) else {
                break;
            };
            if shown.last < start || shown.first > last {
                continue;
            }
            if shown.first > start {
                gaps.push((start, shown.first - 1));
            }
            from = shown.last.checked_add(1);
        }
        if let Some(start) = from.filter(|start| *start <= last) {
            gaps.push((start, last));
        }
        self.mappings
            .extend(gaps.into_iter().map(|(first, last)| Mapping {
                first,
                last,
                region: Arc::clone(region),
            }));
        self.mappings.sort_by_key(|mapping| mapping.first);
        Ok(())
    }
}
