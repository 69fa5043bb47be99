//! The software TLB: direct-mapped arrays for loads, stores and fetches.
//!
//! An entry's tag is the page's address with the context's id in bits that are zero in a page
//! address. The check for a hit covers alignment too: the low bits of a misaligned address are
//! kept, and match no tag.
#![expect(
    unsafe_code,
    reason = "entries lead straight to host memory of the view that the TLB holds"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use tinamou_memory::{AddressSpace, View};

use super::PAGE_MASK;
use super::contexts::{Contexts, IDS};
use super::memory::Memory;
use crate::code::Cursor;
use crate::exec::access::Access;
use crate::exec::atomic::Width;
use crate::state::Privilege;

const _: () = assert!(cfg!(target_endian = "little"), "guest words are host words");

/// Entries in each array.
const ENTRIES: usize = 512;
/// The id's place in a tag: above the bits that tell alignment, below the page's address.
const ID_SHIFT: u32 = 3;
const _: () = assert!((IDS as u64) << ID_SHIFT <= 4096);
/// Matches no address: the alignment bits are set and there is no such context.
const EMPTY: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Entry {
    tag: u64,
    /// What to add to a virtual address to get the host's.
    addend: usize,
}

#[derive(Clone, Copy)]
struct FetchEntry {
    tag: u64,
    base: Cursor,
}

/// Translations of one hart.
pub(crate) struct Mmu {
    data: u64,
    fetch: u64,
    loads: [Entry; ENTRIES],
    stores: [Entry; ENTRIES],
    fetches: [FetchEntry; ENTRIES],
    contexts: Contexts,
    /// The addresses that entries of large pages may cover.
    large: Option<(u64, u64)>,
    memory: Memory,
}

// SAFETY: cursors point into the hart's own code cache, which moves with it.
unsafe impl Send for Mmu {}

impl Mmu {
    pub(crate) fn new(space: &AddressSpace) -> Self {
        let entry = Entry {
            tag: EMPTY,
            addend: 0,
        };
        Self {
            data: 0,
            fetch: 0,
            loads: [entry; ENTRIES],
            stores: [entry; ENTRIES],
            fetches: [FetchEntry {
                tag: EMPTY,
                base: Cursor::NONE,
            }; ENTRIES],
            contexts: Contexts::new(),
            large: None,
            memory: Memory::new(space),
        }
    }

    /// The aligned word at `address`, if the TLB has the page.
    #[inline(always)]
    pub(crate) fn load_fast<A: Access>(&self, address: u64) -> Option<u64> {
        let entry = &self.loads[index(address)];
        if entry.tag != wanted(address, A::SIZE, self.data) {
            return None;
        }
        let host = entry.host(address);
        // SAFETY: a matching tag means an aligned address in a page of RAM that `memory` keeps.
        Some(unsafe { load_word(host, A::SIZE) })
    }

    /// Stores an aligned word, if the TLB has the page.
    #[inline(always)]
    pub(crate) fn store_fast<A: Access>(&self, address: u64, value: u64) -> bool {
        let entry = &self.stores[index(address)];
        if entry.tag != wanted(address, A::SIZE, self.data) {
            return false;
        }
        let host = entry.host(address);
        // SAFETY: as in `load_fast`; the page is writable RAM.
        unsafe { store_word(host, A::SIZE, value) };
        true
    }

    /// The aligned word at `address` for an AMO, if the TLB has the page.
    #[inline(always)]
    pub(crate) fn atomic<W: Width>(&self, address: u64) -> Option<&W::Atomic> {
        let entry = &self.stores[index(address)];
        if entry.tag != wanted(address, size_of::<W>() as u64, self.data) {
            return None;
        }
        Some(self.atomic_at::<W>(entry.host(address)))
    }

    /// The atomic at an aligned host address that [`crate::Hart::reach`] or an entry gave.
    #[inline(always)]
    pub(crate) fn atomic_at<W: Width>(&self, host: *mut u8) -> &W::Atomic {
        // SAFETY: the address is aligned and in a page of RAM that `memory` keeps.
        unsafe { &*host.cast::<W::Atomic>() }
    }

    /// The first op of the page of code at `pc`, if the TLB has it.
    #[inline(always)]
    pub(crate) fn fetch_fast(&self, pc: u64) -> Option<Cursor> {
        let entry = &self.fetches[index(pc)];
        (entry.tag == pc & PAGE_MASK | self.fetch).then_some(entry.base)
    }

    pub(crate) fn remember_load(&mut self, address: u64, page: *mut u8) {
        self.loads[index(address)] = Entry::new(address, page, self.data);
    }

    pub(crate) fn remember_store(&mut self, address: u64, page: *mut u8) {
        self.stores[index(address)] = Entry::new(address, page, self.data);
    }

    pub(crate) fn remember_fetch(&mut self, pc: u64, base: Cursor) {
        let tag = pc & PAGE_MASK | self.fetch;
        self.fetches[index(pc)] = FetchEntry { tag, base };
    }

    /// Notes that entries around `address` come from a page of `size` bytes.
    pub(crate) fn note_large(&mut self, address: u64, size: u64) {
        let (first, last) = (address & !(size - 1), address | (size - 1));
        let (low, high) = self.large.unwrap_or((first, last));
        self.large = Some((low.min(first), high.max(last)));
    }

    pub(crate) fn forget_all(&mut self) {
        self.contexts.forget();
        self.large = None;
    }

    /// Forgets one page in all contexts; all pages where large ones may hold the address.
    pub(crate) fn forget_address(&mut self, address: u64) {
        if self
            .large
            .is_some_and(|(low, high)| (low..=high).contains(&address))
        {
            return self.forget_all();
        }
        let index = index(address);
        self.loads[index].tag = EMPTY;
        self.stores[index].tag = EMPTY;
        self.fetches[index].tag = EMPTY;
    }

    /// Forgets where code is; as after [`Mmu::forget_all`], [`Mmu::select`] must follow.
    pub(crate) fn forget_fetches(&mut self) {
        self.contexts.forget_fetches();
    }

    /// Makes hits those of the present mode and address space.
    pub(crate) fn select(
        &mut self,
        satp: u64,
        fetch: Privilege,
        data: Privilege,
        sum: bool,
        mxr: bool,
    ) {
        self.contexts.select(satp);
        let ids = self.ids(fetch, data, sum, mxr).or_else(|| {
            self.clear();
            self.ids(fetch, data, sum, mxr)
        });
        let (fetch, data) = ids.unwrap_or_default();
        self.fetch = u64::from(fetch) << ID_SHIFT;
        self.data = u64::from(data) << ID_SHIFT;
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        self.memory.view()
    }

    /// Takes a new view; no translation survives.
    pub(crate) fn renew(&mut self, space: &AddressSpace) {
        self.clear();
        self.memory = Memory::new(space);
    }

    fn ids(
        &mut self,
        fetch: Privilege,
        data: Privilege,
        sum: bool,
        mxr: bool,
    ) -> Option<(u16, u16)> {
        Some((
            self.contexts.fetch(fetch)?,
            self.contexts.data(data, sum, mxr)?,
        ))
    }

    fn clear(&mut self) {
        self.loads
            .iter_mut()
            .chain(&mut self.stores)
            .for_each(|entry| entry.tag = EMPTY);
        self.fetches.iter_mut().for_each(|entry| entry.tag = EMPTY);
        self.contexts.restart();
        self.large = None;
    }
}

impl Entry {
    fn new(address: u64, page: *mut u8, context: u64) -> Self {
        let base = address & PAGE_MASK;
        Self {
            tag: base | context,
            addend: page.expose_provenance().wrapping_sub(base as usize),
        }
    }

    #[inline(always)]
    fn host(&self, address: u64) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut((address as usize).wrapping_add(self.addend))
    }
}

/// Loads 1 to 8 bytes of guest memory that lie in one page.
pub(super) fn load_bytes(host: *mut u8, size: u8) -> u64 {
    if host.addr().is_multiple_of(size.into()) {
        // SAFETY: `Hart::reach` gave the address of guest memory, and the size stays in its page.
        return unsafe { load_word(host, size.into()) };
    }
    (0..usize::from(size)).rev().fold(0, |value, i| {
        // SAFETY: as above.
        let byte = unsafe { AtomicU8::from_ptr(host.add(i)) };
        value << 8 | u64::from(byte.load(Relaxed))
    })
}

/// Stores 1 to 8 bytes of guest memory that lie in one page.
pub(super) fn store_bytes(host: *mut u8, size: u8, value: u64) {
    if host.addr().is_multiple_of(size.into()) {
        // SAFETY: `Hart::reach` gave the address of guest memory, and the size stays in its page.
        return unsafe { store_word(host, size.into(), value) };
    }
    for i in 0..usize::from(size) {
        // SAFETY: as above.
        let byte = unsafe { AtomicU8::from_ptr(host.add(i)) };
        byte.store((value >> (8 * i)) as u8, Relaxed);
    }
}

/// # Safety
/// `host` is aligned to `size` and points into guest memory that stays mapped.
#[inline(always)]
unsafe fn load_word(host: *mut u8, size: u64) -> u64 {
    // SAFETY: the caller's promise; all access to guest memory is atomic.
    unsafe {
        match size {
            1 => AtomicU8::from_ptr(host).load(Relaxed).into(),
            2 => AtomicU16::from_ptr(host.cast()).load(Relaxed).into(),
            4 => AtomicU32::from_ptr(host.cast()).load(Relaxed).into(),
            _ => AtomicU64::from_ptr(host.cast()).load(Relaxed),
        }
    }
}

/// # Safety
/// As [`load_word`], and the memory is the guest's to write.
#[inline(always)]
unsafe fn store_word(host: *mut u8, size: u64, value: u64) {
    // SAFETY: the caller's promise; all access to guest memory is atomic.
    unsafe {
        match size {
            1 => AtomicU8::from_ptr(host).store(value as u8, Relaxed),
            2 => AtomicU16::from_ptr(host.cast()).store(value as u16, Relaxed),
            4 => AtomicU32::from_ptr(host.cast()).store(value as u32, Relaxed),
            _ => AtomicU64::from_ptr(host.cast()).store(value, Relaxed),
        }
    }
}

#[inline(always)]
fn index(address: u64) -> usize {
    (address >> 12) as usize % ENTRIES
}

/// The tag that an aligned access of `size` bytes hits.
#[inline(always)]
fn wanted(address: u64, size: u64, context: u64) -> u64 {
    address & (PAGE_MASK | (size - 1)) | context
}
