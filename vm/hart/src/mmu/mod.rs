//! From virtual addresses to host memory: page tables, physical memory protection, and the
//! software TLB in front of them.

mod contexts;
mod listing;
mod memory;
pub(crate) mod pmp;
mod tlb;
mod walk;

pub use listing::{MappedRange, Mappings};
pub(crate) use tlb::Mmu;
pub(crate) use walk::{Mode, Refusal, Walk};

use std::sync::Arc;

use tinamou_memory::PAGE_SIZE;

use crate::Hart;
use crate::code::Cursor;
use crate::csr::{envcfg, status};
use crate::exec::atomic::Width;
use crate::isa::Extension;
use crate::state::Privilege;
use crate::trap::{Exception, Trap};

/// What an access is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Fetch,
    Load,
    Store,
}

/// What a virtual address leads to.
pub(crate) enum Target {
    /// Memory: where the byte is on the host. It stays there while the MMU keeps its view.
    Memory(*mut u8),
    /// A device, or nothing: the physical address.
    Device(u64),
}

const PAGE_MASK: u64 = !(PAGE_SIZE - 1);

impl Hart {
    /// Loads `size` bytes, aligned or not.
    pub(crate) fn load(&mut self, address: u64, size: u8) -> Result<u64, Trap> {
        if crosses_page(address, size) {
            return self.load_across(address, size);
        }
        match self.reach(address, Kind::Load)? {
            Target::Memory(host) => Ok(tlb::load_bytes(host, size)),
            Target::Device(physical) => {
                let loaded = self.mmu.view().load(physical, size);
                loaded.map_err(|_| Trap::new(Exception::LoadAccess, address))
            }
        }
    }

    /// Stores the low `size` bytes of `value`, aligned or not; nothing of it if it traps.
    pub(crate) fn store(&mut self, address: u64, size: u8, value: u64) -> Result<(), Trap> {
        if crosses_page(address, size) {
            return self.store_across(address, size, value);
        }
        match self.reach(address, Kind::Store)? {
            Target::Memory(host) => {
                tlb::store_bytes(host, size, value);
                Ok(())
            }
            Target::Device(physical) => {
                let view = Arc::clone(self.mmu.view());
                let stored = view.store(physical, size, value);
                stored.map_err(|_| Trap::new(Exception::StoreAccess, address))
            }
        }
    }

    fn load_across(&mut self, address: u64, size: u8) -> Result<u64, Trap> {
        let mut value = 0;
        for i in 0..u64::from(size) {
            value |= self.load(address.wrapping_add(i), 1)? << (8 * i);
        }
        Ok(value)
    }

    fn store_across(&mut self, address: u64, size: u8, value: u64) -> Result<(), Trap> {
        self.reach(address, Kind::Store)?;
        self.reach((address & PAGE_MASK).wrapping_add(PAGE_SIZE), Kind::Store)?;
        for i in 0..u64::from(size) {
            self.store(address.wrapping_add(i), 1, value >> (8 * i))?;
        }
        Ok(())
    }

    /// The word that an AMO or `sc` works on; they must be aligned and in memory.
    pub(crate) fn reach_atomic<W: Width>(&mut self, address: u64) -> Result<&W::Atomic, Trap> {
        if !address.is_multiple_of(size_of::<W>() as u64) {
            return Err(Trap::new(Exception::StoreMisaligned, address));
        }
        match self.reach(address, Kind::Store)? {
            Target::Memory(host) => Ok(self.mmu.atomic_at::<W>(host)),
            Target::Device(_) => Err(Trap::new(Exception::StoreAccess, address)),
        }
    }

    /// A halfword of instruction.
    pub(crate) fn fetch_half(&mut self, address: u64) -> Result<u16, Trap> {
        match self.reach(address, Kind::Fetch)? {
            Target::Memory(host) => Ok(tlb::load_bytes(host, 2) as u16),
            Target::Device(_) => Err(Trap::new(Exception::InstructionAccess, address)),
        }
    }

    /// Translates for an access, checks it, and remembers where it leads.
    pub(crate) fn reach(&mut self, address: u64, kind: Kind) -> Result<Target, Trap> {
        let walk = self.walk(kind);
        let found = walk.translate(address).and_then(|leaf| {
            walk.protect(leaf.physical, kind)?;
            Ok(leaf)
        });
        let leaf = found.map_err(|refusal| Trap::new(exception(refusal, kind), address))?;
        if leaf.size > PAGE_SIZE {
            self.mmu.note_large(address, leaf.size);
        }
        let Some((host, writable)) = self.mmu.memory().page(leaf.physical & PAGE_MASK) else {
            return Ok(Target::Device(leaf.physical));
        };
        match kind {
            Kind::Fetch => {}
            Kind::Load => self.mmu.remember_load(address, host),
            Kind::Store if writable => self.mmu.remember_store(address, host),
            Kind::Store => return Ok(Target::Device(leaf.physical)),
        }
        Ok(Target::Memory(
            host.wrapping_add((address & !PAGE_MASK) as usize),
        ))
    }

    /// The cursor at `pc`, or none with a trap taken.
    pub(crate) fn enter(&mut self, pc: u64) -> Cursor {
        self.enter_fast(pc).unwrap_or_else(|| self.enter_slowly(pc))
    }

    #[inline(always)]
    pub(crate) fn enter_fast(&mut self, pc: u64) -> Option<Cursor> {
        let base = self.mmu.fetch_fast(pc)?;
        self.page = pc & PAGE_MASK;
        let target = base.at(pc & !PAGE_MASK);
        self.retired = self.retired.wrapping_sub(target.order());
        Some(target)
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly(&mut self, pc: u64) -> Cursor {
        self.state.pc = pc;
        let walk = self.walk(Kind::Fetch);
        let found = walk.translate(pc).and_then(|leaf| {
            walk.protect(leaf.physical, Kind::Fetch)?;
            let page = leaf.physical & PAGE_MASK;
            let (host, _) = self.mmu.memory().page(page).ok_or(Refusal::Access)?;
            Ok((leaf, page, host))
        });
        let (leaf, page, host) = match found {
            Ok(found) => found,
            Err(refusal) => {
                self.take_exception(Trap::new(exception(refusal, Kind::Fetch), pc));
                return Cursor::NONE;
            }
        };
        if leaf.size > PAGE_SIZE {
            self.mmu.note_large(pc, leaf.size);
        }
        if self.code.needs_room(page) {
            self.mmu.forget_fetches();
            self.follow_mode();
        }
        let base = self.code.page(page, host);
        self.mmu.remember_fetch(pc, base);
        self.page = pc & PAGE_MASK;
        let target = base.at(pc & !PAGE_MASK);
        self.retired = self.retired.wrapping_sub(target.order());
        target
    }

    /// Takes a new view of the address space if it has changed; the hart is at rest.
    pub(crate) fn follow_space(&mut self) {
        if self.mmu.memory().is_outdated(&self.space) {
            self.code.clear();
            self.mmu.renew(&self.space);
            self.follow_mode();
        }
    }

    /// Forgets translations: all, or those of one address (`sfence.vma`).
    pub(crate) fn flush_translations(&mut self, address: Option<u64>) {
        match address {
            Some(address) => self.mmu.forget_address(address),
            None => self.mmu.forget_all(),
        }
        self.follow_mode();
    }

    /// Makes decoded instructions follow memory (`fence.i`); the hart is at rest.
    pub(crate) fn doubt_instructions(&mut self) {
        self.code.doubt();
        self.mmu.forget_fetches();
        self.follow_mode();
    }

    /// Derives the translation contexts from mode, `mstatus` and `satp`.
    pub(crate) fn follow_mode(&mut self) {
        let csrs = &self.state.csrs;
        let sum = csrs.mstatus & status::SUM != 0;
        let mxr = csrs.mstatus & status::MXR != 0;
        self.mmu.select(
            csrs.satp,
            self.state.privilege,
            self.data_privilege(),
            sum,
            mxr,
        );
    }

    /// The physical address behind a virtual one as a load in the present mode finds it, without
    /// side effects and permissions aside.
    #[must_use]
    pub fn translate(&self, address: u64) -> Option<u64> {
        let walk = self.walk(Kind::Load);
        walk.look(address).map(|leaf| leaf.physical)
    }

    /// The mode whose rights loads and stores have (priv §3.1.6.3).
    fn data_privilege(&self) -> Privilege {
        let mstatus = self.state.csrs.mstatus;
        if self.state.privilege == Privilege::Machine && mstatus & status::MPRV != 0 {
            let previous = Privilege::from_bits(mstatus >> status::MPP_SHIFT);
            return previous.unwrap_or(Privilege::Machine);
        }
        self.state.privilege
    }

    fn walk(&self, kind: Kind) -> Walk<'_> {
        let csrs = &self.state.csrs;
        let privilege = match kind {
            Kind::Fetch => self.state.privilege,
            Kind::Load | Kind::Store => self.data_privilege(),
        };
        Walk {
            memory: self.mmu.memory(),
            kind,
            privilege,
            mode: Mode::of(csrs.satp, &self.config.isa).unwrap_or(Mode::Bare),
            root: csrs.satp,
            sum: csrs.mstatus & status::SUM != 0,
            mxr: csrs.mstatus & status::MXR != 0,
            updates: csrs.menvcfg & envcfg::ADUE != 0,
            types: csrs.menvcfg & envcfg::PBMTE != 0,
            napot: self.config.isa.has(Extension::Svnapot),
            pmp: self.pmp(),
        }
    }
}

/// The exception for a refused access.
fn exception(refusal: Refusal, kind: Kind) -> Exception {
    match (refusal, kind) {
        (Refusal::Page, Kind::Fetch) => Exception::InstructionPageFault,
        (Refusal::Page, Kind::Load) => Exception::LoadPageFault,
        (Refusal::Page, Kind::Store) => Exception::StorePageFault,
        (Refusal::Access, Kind::Fetch) => Exception::InstructionAccess,
        (Refusal::Access, Kind::Load) => Exception::LoadAccess,
        (Refusal::Access, Kind::Store) => Exception::StoreAccess,
    }
}

fn crosses_page(address: u64, size: u8) -> bool {
    (address & !PAGE_MASK) + u64::from(size) > PAGE_SIZE
}
