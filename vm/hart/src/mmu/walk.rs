//! Page tables: Sv39, Sv48, Sv57 (priv §12.3 to §12.6).

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use tinamou_memory::PAGE_SIZE;

use super::Kind;
use super::memory::Memory;
use super::pmp::Pmp;
use crate::isa::{Extension, Isa};
use crate::state::Privilege;

/// How virtual addresses are translated: the mode field of `satp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Bare,
    Sv39,
    Sv48,
    Sv57,
}

impl Mode {
    /// The mode of a `satp` value, if the hart has it.
    pub(crate) fn of(satp: u64, isa: &Isa) -> Option<Self> {
        match satp >> 60 {
            0 => Some(Self::Bare),
            8 => Some(Self::Sv39),
            9 => isa.has(Extension::Sv48).then_some(Self::Sv48),
            10 => isa.has(Extension::Sv57).then_some(Self::Sv57),
            _ => None,
        }
    }

    pub(super) fn levels(self) -> u32 {
        match self {
            Self::Bare => 0,
            Self::Sv39 => 3,
            Self::Sv48 => 4,
            Self::Sv57 => 5,
        }
    }
}

/// Why an access is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// By the page tables.
    Page,
    /// By physical memory protection, or because there is no memory.
    Access,
}

/// Where an address leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub(crate) physical: u64,
    /// The size of the page.
    pub(crate) size: u64,
}

/// Everything that decides about a translation.
pub(crate) struct Walk<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) kind: Kind,
    pub(crate) privilege: Privilege,
    pub(crate) mode: Mode,
    /// `satp`.
    pub(crate) root: u64,
    pub(crate) sum: bool,
    pub(crate) mxr: bool,
    /// Whether the hart updates accessed and dirty bits (Svadu) or faults where they are clear.
    pub(crate) updates: bool,
    /// Whether entries have memory types (Svpbmt).
    pub(crate) types: bool,
    /// Whether there are pages of 64 KiB (Svnapot).
    pub(crate) napot: bool,
    pub(crate) pmp: Pmp<'a>,
}

/// Bits of a page-table entry.
pub(super) mod pte {
    pub(in crate::mmu) const V: u64 = 1;
    pub(in crate::mmu) const R: u64 = 1 << 1;
    pub(in crate::mmu) const W: u64 = 1 << 2;
    pub(in crate::mmu) const X: u64 = 1 << 3;
    pub(in crate::mmu) const U: u64 = 1 << 4;
    pub(in crate::mmu) const A: u64 = 1 << 6;
    pub(in crate::mmu) const D: u64 = 1 << 7;
    /// Reserved.
    pub(in crate::mmu) const RESERVED: u64 = 0x7f << 54;
    /// The memory type (Svpbmt); 3 is reserved.
    pub(in crate::mmu) const PBMT: u64 = 3 << 61;
    /// The entry is one of sixteen that make a page of 64 KiB (Svnapot).
    pub(in crate::mmu) const N: u64 = 1 << 63;
    const PPN: u64 = (1 << 44) - 1;

    pub(in crate::mmu) fn address(entry: u64) -> u64 {
        (entry >> 10 & PPN) << 12
    }
}

impl Walk<'_> {
    /// Translates for the access, updating accessed and dirty bits.
    pub(crate) fn translate(&self, address: u64) -> Result<Leaf, Refusal> {
        loop {
            let Some((at, entry, leaf)) = self.find(address)? else {
                return Ok(Leaf {
                    physical: address,
                    size: PAGE_SIZE,
                });
            };
            if !self.permits(entry) {
                return Err(Refusal::Page);
            }
            let dirty = if self.kind == Kind::Store { pte::D } else { 0 };
            let marked = entry | pte::A | dirty;
            if marked == entry {
                return Ok(leaf);
            }
            if !self.updates {
                return Err(Refusal::Page);
            }
            // When another hart has changed the entry meanwhile, what it says now counts.
            if self.update(at, entry, marked)? {
                return Ok(leaf);
            }
        }
    }

    /// Translates without side effects, whatever the permissions.
    pub(crate) fn look(&self, address: u64) -> Option<Leaf> {
        match self.find(address) {
            Ok(Some((_, _, leaf))) => Some(leaf),
            Ok(None) => Some(Leaf {
                physical: address,
                size: PAGE_SIZE,
            }),
            Err(_) => None,
        }
    }

    /// Whether physical memory protection permits the access to the page.
    pub(crate) fn protect(&self, physical: u64, kind: Kind) -> Result<(), Refusal> {
        if self.pmp.permits(physical, kind, self.privilege) {
            Ok(())
        } else {
            Err(Refusal::Access)
        }
    }

    /// Finds the leaf entry: its address, its value, and where it leads. `None` where there is no
    /// translation.
    fn find(&self, address: u64) -> Result<Option<(u64, u64, Leaf)>, Refusal> {
        let levels = self.mode.levels();
        if levels == 0 || self.privilege == Privilege::Machine {
            return Ok(None);
        }
        let unused = 64 - (12 + 9 * levels);
        if ((address << unused) as i64 >> unused) as u64 != address {
            return Err(Refusal::Page);
        }
        let mut table = pte::address(self.root << 10);
        for level in (0..levels).rev() {
            let shift = 12 + 9 * level;
            let at = table + (address >> shift & 0x1ff) * 8;
            let entry = self.read(at)?;
            if self.is_reserved(entry) {
                return Err(Refusal::Page);
            }
            if entry & (pte::R | pte::X) == 0 {
                if entry & (pte::A | pte::D | pte::U | pte::PBMT | pte::N) != 0 {
                    return Err(Refusal::Page);
                }
                table = pte::address(entry);
                continue;
            }
            let (base, size) = extent(entry, level).ok_or(Refusal::Page)?;
            let leaf = Leaf {
                physical: base | address & (size - 1),
                size,
            };
            return Ok(Some((at, entry, leaf)));
        }
        Err(Refusal::Page)
    }

    /// Whether an entry is invalid or says what is not defined.
    fn is_reserved(&self, entry: u64) -> bool {
        let types = if self.types { 0 } else { pte::PBMT };
        let napot = if self.napot { 0 } else { pte::N };
        entry & pte::V == 0
            || entry & (pte::R | pte::W) == pte::W
            || entry & (pte::RESERVED | types | napot) != 0
            || entry & pte::PBMT == pte::PBMT
    }

    fn permits(&self, entry: u64) -> bool {
        let user = entry & pte::U != 0;
        let reached = match self.privilege {
            Privilege::User => user,
            _ => !user || self.sum && self.kind != Kind::Fetch,
        };
        let readable = if self.mxr { pte::R | pte::X } else { pte::R };
        let needed = match self.kind {
            Kind::Fetch => pte::X,
            Kind::Load => readable,
            Kind::Store => pte::W,
        };
        reached && entry & needed != 0
    }

    /// Reads a page-table entry, as supervisor mode would.
    fn read(&self, at: u64) -> Result<u64, Refusal> {
        if !self.pmp.permits(at, Kind::Load, Privilege::Supervisor) {
            return Err(Refusal::Access);
        }
        let (word, _) = self.memory.word(at).ok_or(Refusal::Access)?;
        Ok(word.load(Acquire))
    }

    /// Replaces a page-table entry if it still is what it was.
    fn update(&self, at: u64, from: u64, to: u64) -> Result<bool, Refusal> {
        let permitted = self.pmp.permits(at, Kind::Store, Privilege::Supervisor);
        match self.memory.word(at) {
            Some((word, true)) if permitted => {
                Ok(word.compare_exchange(from, to, AcqRel, Acquire).is_ok())
            }
            _ => Err(Refusal::Access),
        }
    }
}

/// Where the page of a leaf begins and its size; `None` where that is misaligned or reserved.
fn extent(entry: u64, level: u32) -> Option<(u64, u64)> {
    /// The pattern in the low bits of the page number that stands for 64 KiB (priv §12.7).
    const NAPOT_64K: u64 = 8 << 12;
    const SIZE_64K: u64 = 64 << 10;
    let base = pte::address(entry);
    if entry & pte::N != 0 {
        let is_64k = level == 0 && base & (SIZE_64K - 1) == NAPOT_64K;
        return is_64k.then_some((base & !(SIZE_64K - 1), SIZE_64K));
    }
    let size = 1 << (12 + 9 * level);
    (base & (size - 1) == 0).then_some((base, size))
}
