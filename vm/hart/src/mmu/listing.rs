//! The page tables in use as a list of ranges: `info mem` of the human monitor.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use super::memory::Memory;
use super::walk::{Mode, pte};
use crate::Hart;

/// Page-table entries that are looked at, at most: tables that hold themselves have no end.
const ENTRIES_MAX: u32 = 1 << 24;
/// Ranges that are listed, at most.
const RANGES_MAX: usize = 1 << 16;

/// Pages that follow each other in both address spaces and have the same attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedRange {
    /// The first virtual address.
    pub address: u64,
    /// The physical address that it leads to.
    pub physical: u64,
    /// How many bytes.
    pub size: u64,
    /// The low byte of the page-table entries: V, R, W, X, U, G, A, D from bit 0.
    pub attributes: u8,
}

/// What a hart's page tables map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings {
    /// In order of virtual address, but for the upper half, which comes last.
    pub ranges: Vec<MappedRange>,
    /// Whether there is more than could be listed.
    pub truncated: bool,
}

impl Hart {
    /// The mappings of the address space in `satp`; `None` while there is no translation.
    #[must_use]
    pub fn mappings(&self) -> Option<Mappings> {
        let satp = self.state.csrs.satp;
        let mode = Mode::of(satp, &self.config.isa).filter(|mode| *mode != Mode::Bare)?;
        let mut listing = Listing {
            memory: self.mmu.memory(),
            width: 12 + 9 * mode.levels(),
            entries: 0,
            mappings: Mappings::default(),
        };
        listing.table(pte::address(satp << 10), mode.levels() - 1, 0);
        Some(listing.mappings)
    }
}

struct Listing<'a> {
    memory: &'a Memory,
    /// Bits of a virtual address.
    width: u32,
    entries: u32,
    mappings: Mappings,
}

impl Listing<'_> {
    /// Lists what the table of a level maps from `address` on.
    fn table(&mut self, table: u64, level: u32, address: u64) {
        for index in 0..512 {
            self.entries += 1;
            if self.entries > ENTRIES_MAX || self.mappings.ranges.len() > RANGES_MAX {
                self.mappings.truncated = true;
                return;
            }
            let Some((word, _)) = self.memory.word(table + 8 * index) else {
                return;
            };
            let entry = word.load(Relaxed);
            let at = address | index << (12 + 9 * level);
            if entry & pte::V == 0 {
                continue;
            }
            if entry & (pte::R | pte::W | pte::X) != 0 {
                self.page(at, entry, 1 << (12 + 9 * level));
            } else if level > 0 {
                self.table(pte::address(entry), level - 1, at);
            }
        }
    }

    /// Adds a page to the range before it, or begins another.
    fn page(&mut self, address: u64, entry: u64, size: u64) {
        let unused = 64 - self.width;
        let page = MappedRange {
            address: ((address << unused).cast_signed() >> unused).cast_unsigned(),
            physical: pte::address(entry),
            size,
            attributes: entry as u8,
        };
        match self.mappings.ranges.last_mut() {
            Some(last) if last.continues_with(&page) => last.size += size,
            _ => self.mappings.ranges.push(page),
        }
    }
}

impl MappedRange {
    fn continues_with(&self, next: &Self) -> bool {
        self.address.checked_add(self.size) == Some(next.address)
            && self.physical.wrapping_add(self.size) == next.physical
            && self.attributes == next.attributes
    }
}

/// A line as QEMU has it.
impl fmt::Display for MappedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            physical,
            size,
            ..
        } = self;
        let letters = "rwxugad".chars().zip(1..);
        let attributes = letters.map(|(letter, bit)| match self.attributes >> bit & 1 {
            0 => '-',
            _ => letter,
        });
        let attributes: String = attributes.collect();
        write!(f, "{address:016x} {physical:016x} {size:016x} {attributes}")
    }
}

/// The table as QEMU has it.
impl fmt::Display for Mappings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |length| "-".repeat(length);
        writeln!(f, "{:16} {:16} {:16} attr", "vaddr", "paddr", "size")?;
        writeln!(f, "{0} {0} {0} {1}", line(16), line(7))?;
        for range in &self.ranges {
            writeln!(f, "{range}")?;
        }
        if self.truncated {
            writeln!(f, "there is more that is not shown")?;
        }
        Ok(())
    }
}
