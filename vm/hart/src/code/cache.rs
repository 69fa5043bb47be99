//! The cache of decoded pages.
//!
//! Writes to memory are not watched. RISC-V makes new code visible to a hart by its `fence.i`
//! (unpriv "Zifencei"), and that is when the cache doubts its pages: a doubted page is compared
//! with memory when it is next entered, and decoded anew if it has changed. So stores, other
//! harts and devices need no hook.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{ALIGN, Cursor, LAST, Op, SLOTS};
use crate::decode::{self, Place};
use crate::exec;
use crate::isa::Isa;

/// How many pages are kept before all are dropped.
const CAPACITY: usize = 2048;

/// Doublewords in a page.
const WORDS: usize = 512;

/// A page of decoded code, and what it was decoded from.
#[repr(C, align(65536))]
pub(crate) struct CodePage {
    ops: [Op; SLOTS],
    /// The memory as it was when decoded, and beyond it the second half of an instruction that
    /// begins at the very end.
    copy: [u64; WORDS + 1],
    /// Whether memory changed between decodings, so that parts may be older than the copy.
    mixed: bool,
    source: *const u8,
    epoch: u64,
}

const _: () = assert!(size_of::<CodePage>() == ALIGN);

/// Decoded pages by physical address.
pub(crate) struct CodeCache {
    isa: Isa,
    pages: HashMap<u64, NonNull<CodePage>>,
    /// One more page for single instructions: those that straddle pages, and single steps.
    single: NonNull<CodePage>,
    epoch: u64,
}

// SAFETY: the pages belong to this value alone; their sources are guest RAM, which any thread may
// read atomically.
unsafe impl Send for CodeCache {}

impl CodeCache {
    pub(crate) fn new(isa: Isa) -> Self {
        let single = allocate(std::ptr::null(), 0);
        Self {
            isa,
            pages: HashMap::new(),
            single,
            epoch: 0,
        }
    }

    /// The first op of the page at physical address `base`, which is at `source` on the host.
    ///
    /// The caller holds no cursor, and keeps the source mapped until [`CodeCache::clear`]. When
    /// [`CodeCache::needs_room`] for the page, all others are dropped.
    pub(crate) fn page(&mut self, base: u64, source: *const u8) -> Cursor {
        if self.needs_room(base) {
            self.clear();
        }
        let epoch = self.epoch;
        let page = *self
            .pages
            .entry(base)
            .or_insert_with(|| allocate(source, epoch));
        // SAFETY: the page is live, and nothing else refers to it while we are here.
        let content = unsafe { &mut *page.as_ptr() };
        if content.epoch != epoch {
            if !content.is_current() {
                content.renew();
            }
            content.epoch = epoch;
        }
        // SAFETY: the page is live and ours.
        unsafe { Cursor::new(page.as_ptr().cast::<Op>()) }
    }

    /// Whether the page at `base` finds the cache full.
    pub(crate) fn needs_room(&self, base: u64) -> bool {
        self.pages.len() >= CAPACITY && !self.pages.contains_key(&base)
    }

    /// Doubts every page, as `fence.i` demands. The caller forgets all cursors.
    pub(crate) fn doubt(&mut self) {
        self.epoch += 1;
    }

    /// Drops every page. The caller forgets all cursors.
    pub(crate) fn clear(&mut self) {
        for (_, page) in self.pages.drain() {
            free(page);
        }
    }

    /// Decodes from `cursor`, an undecoded slot, to the next unconditional jump, decoded slot or
    /// end of the page.
    pub(crate) fn decode(&mut self, cursor: Cursor) {
        // SAFETY: the cursor points into a live page, and handlers hold no reference into it.
        let page = unsafe { &mut *cursor.page() };
        page.decode((cursor.offset() / 2) as usize, &self.isa);
    }

    /// Decodes `bits` alone as the instruction at `offset` of a page, to be followed by `after`.
    pub(crate) fn single(
        &mut self,
        bits: u32,
        offset: u64,
        order: u16,
        after: super::Handler,
    ) -> Cursor {
        // SAFETY: the page is live, and no handler that runs in it calls this.
        let page = unsafe { &mut *self.single.as_ptr() };
        let slot = (offset / 2) as usize;
        let place = Place {
            offset: offset as u16,
            near: false,
        };
        page.ops[slot] = Op {
            order,
            ..decode::decode(bits, place, &self.isa).op
        };
        page.set_copied(slot, bits as u16);
        page.set_copied(slot + 1, (bits >> 16) as u16);
        let rest = Op {
            run: after,
            imm: 0,
            order: order.wrapping_add(1),
            a: 0,
            b: 0,
        };
        page.ops[slot + if decode::is_wide(bits) { 2 } else { 1 }] = rest;
        // SAFETY: the page is live and ours, and the slot inside it.
        unsafe { Cursor::new(self.single.as_ptr().cast::<Op>().add(slot)) }
    }

    /// The instructions from `cursor` on that were decoded with it.
    pub(crate) fn listing(&self, cursor: Cursor) -> Vec<u32> {
        // SAFETY: the cursor points into a live page, read only here.
        let page = unsafe { &*cursor.page() };
        let mut slot = (cursor.offset() / 2) as usize;
        let mut order = page.ops[slot].order;
        let mut listing = Vec::new();
        while slot < SLOTS - 2 && order == page.ops[slot].order {
            let low = page.copied(slot).into();
            let wide = decode::is_wide(low);
            listing.push(if wide {
                low | u32::from(page.copied(slot + 1)) << 16
            } else {
                low
            });
            slot += if wide { 2 } else { 1 };
            // Behind an unconditional jump the count ends.
            let Some(next) = order.checked_add(1).filter(|next| *next < LAST) else {
                break;
            };
            order = next;
        }
        listing
    }

    /// The instruction that `cursor` was decoded from.
    pub(crate) fn bits(&self, cursor: Cursor) -> u32 {
        // SAFETY: the cursor points into a live page, read only here.
        let page = unsafe { &*cursor.page() };
        let slot = (cursor.offset() / 2) as usize;
        let low = page.copied(slot).into();
        if !decode::is_wide(low) {
            return low;
        }
        low | u32::from(page.copied(slot + 1)) << 16
    }
}

impl Drop for CodeCache {
    fn drop(&mut self) {
        self.clear();
        free(self.single);
    }
}

impl CodePage {
    /// Forgets what was decoded and copies memory anew.
    fn renew(&mut self) {
        self.ops.fill(Op {
            run: exec::undecoded,
            imm: 0,
            order: 0,
            a: 0,
            b: 0,
        });
        for end in [SLOTS - 2, SLOTS - 1] {
            self.ops[end] = Op {
                run: exec::fall_off,
                imm: 0,
                order: LAST,
                a: 0,
                b: 0,
            };
        }
        for index in 0..WORDS {
            self.copy[index] = self.word(index);
        }
        self.mixed = false;
    }

    /// Whether memory is still as it was.
    fn is_current(&self) -> bool {
        !self.mixed && (0..WORDS).all(|index| self.word(index) == self.copy[index])
    }

    /// A doubleword of memory as it is.
    fn word(&self, index: usize) -> u64 {
        if self.source.is_null() {
            return 0;
        }
        // SAFETY: the source is a mapped page of guest RAM, aligned to it; indices are below 512.
        let word = unsafe { AtomicU64::from_ptr(self.source.add(index * 8).cast_mut().cast()) };
        word.load(Relaxed)
    }

    /// A halfword of memory as it is, remembered.
    fn halfword(&mut self, slot: usize) -> u16 {
        let half = (self.word(slot / 4) >> (slot % 4 * 16)) as u16;
        if half != self.copied(slot) {
            self.mixed = true;
            self.set_copied(slot, half);
        }
        half
    }

    fn copied(&self, slot: usize) -> u16 {
        let word = self.copy.get(slot / 4).copied().unwrap_or_default();
        (word >> (slot % 4 * 16)) as u16
    }

    fn set_copied(&mut self, slot: usize, half: u16) {
        let shift = slot % 4 * 16;
        if let Some(word) = self.copy.get_mut(slot / 4) {
            *word = *word & !(0xffff << shift) | u64::from(half) << shift;
        }
    }

    fn decode(&mut self, first: usize, isa: &Isa) {
        let mut slot = first;
        let mut length = 0;
        let after = loop {
            let (op, width, ends) = self.decode_one(slot, isa);
            self.ops[slot] = op;
            slot += width;
            length += 1;
            if ends {
                break LAST;
            }
            // The slots behind the end hold what falls off, so this stops there at the latest.
            if self.ops[slot].order != 0 {
                break self.ops[slot].order;
            }
        };
        self.number(first, length, after);
    }

    /// Numbers a run of ops so that it counts up to `after`.
    fn number(&mut self, first: usize, length: u16, after: u16) {
        let mut slot = first;
        for back in (1..=length).rev() {
            self.ops[slot].order = after - back;
            slot += if decode::is_wide(self.copied(slot).into()) {
                2
            } else {
                1
            };
        }
    }

    /// The op at a slot, its width in slots, and whether straight-line code ends there.
    fn decode_one(&mut self, slot: usize, isa: &Isa) -> (Op, usize, bool) {
        let low = self.halfword(slot);
        let place = Place {
            offset: (slot * 2) as u16,
            near: true,
        };
        if !decode::is_wide(low.into()) {
            let decoded = decode::decode(low.into(), place, isa);
            return (decoded.op, 1, decoded.ends);
        }
        if slot == 2047 {
            let op = Op {
                run: exec::straddle,
                imm: 0,
                order: 0,
                a: 0,
                b: 0,
            };
            return (op, 2, false);
        }
        let high = self.halfword(slot + 1);
        let bits = u32::from(low) | u32::from(high) << 16;
        let decoded = decode::decode(bits, place, isa);
        (decoded.op, 2, decoded.ends)
    }
}

const LAYOUT: Layout = Layout::new::<CodePage>();

fn allocate(source: *const u8, epoch: u64) -> NonNull<CodePage> {
    // SAFETY: the layout has a size.
    let memory = unsafe { alloc(LAYOUT) }.cast::<CodePage>();
    let Some(page) = NonNull::new(memory) else {
        handle_alloc_error(LAYOUT);
    };
    // SAFETY: the fields are written in place, without a reference to uninitialised memory; the
    // padding up to the alignment is never touched, so it costs no memory.
    unsafe {
        let ops = (&raw mut (*memory).ops).cast::<Op>();
        for slot in 0..SLOTS {
            ops.add(slot).write(Op {
                run: exec::undecoded,
                imm: 0,
                order: 0,
                a: 0,
                b: 0,
            });
        }
        (&raw mut (*memory).copy).write_bytes(0, 1);
        (&raw mut (*memory).mixed).write(false);
        (&raw mut (*memory).source).write(source);
        (&raw mut (*memory).epoch).write(epoch);
        (*memory).renew();
    }
    page
}

fn free(page: NonNull<CodePage>) {
    // SAFETY: allocated with this layout by `allocate`, and its owner has let go of it.
    unsafe { dealloc(page.as_ptr().cast(), LAYOUT) };
}
