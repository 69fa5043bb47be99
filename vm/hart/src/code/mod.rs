//! Decoded code: one [`Op`] for every halfword of a physical page, executed by following pointers.
//!
//! A page of guest code becomes a [`CodePage`] with a slot for each place an instruction can begin.
//! A decoded instruction holds the function that executes it; that function ends by calling the
//! one in the next slot, or at the target of a taken branch. The compiler makes jumps of these
//! calls; where it does not, in builds without optimisation, branches return to the hart's loop
//! and the depth is bounded by the page. So or so the loop comes to its turn every few hundred
//! branches and looks at what is asked of the hart. A branch inside the page is a pointer displacement; everything position-dependent
//! is relative to the page, so that decoded pages are keyed by physical address and survive
//! every change of translation.
#![expect(
    unsafe_code,
    reason = "cursors point into pages of decoded code that the cache keeps alive"
)]

mod cache;

pub(crate) use cache::{CodeCache, CodePage};

use crate::Hart;

/// Executes an instruction and those that follow it, up to a taken branch or a stop.
pub(crate) type Handler = fn(&mut Hart, Cursor) -> Cursor;

/// A decoded instruction.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct Op {
    pub(crate) run: Handler,
    /// The immediate, or what else the handler wants to know.
    pub(crate) imm: i32,
    /// Counts up along straight-line code, so that differences count instructions.
    pub(crate) order: u16,
    /// A register number in the file, usually the destination.
    pub(crate) a: u8,
    /// A register number in the file, usually the first source.
    pub(crate) b: u8,
}

/// How many slots a page has: one per halfword, and two for falling off its end.
pub(crate) const SLOTS: usize = 2048 + 2;

/// Bytes of op for each byte of code, as a shift.
pub(crate) const SCALE: u32 = 3;

/// The order of whatever ends straight-line code.
pub(crate) const LAST: u16 = u16::MAX;

/// Code pages are aligned so that an op's address tells its offset in the page.
pub(crate) const ALIGN: usize = 1 << 16;

const _: () = assert!(size_of::<Op>() == 2 << SCALE);

/// Points at an op, or nowhere.
///
/// A cursor that points somewhere points into a [`CodePage`] of this hart's cache; the cache
/// drops or rewrites pages only while the hart is at rest and holds no cursor.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Cursor(*const Op);

impl Cursor {
    /// Nowhere: the hart is at rest, and its state says where to go on.
    pub(crate) const NONE: Self = Self(std::ptr::null());

    /// # Safety
    /// `op` points into a live code page of the hart that will follow it.
    pub(crate) const unsafe fn new(op: *const Op) -> Self {
        Self(op)
    }

    #[inline(always)]
    pub(crate) fn is_none(self) -> bool {
        self.0.is_null()
    }

    #[inline(always)]
    fn op(self) -> Op {
        // SAFETY: handlers are only ever given cursors into live pages (see the type).
        unsafe { *self.0 }
    }

    /// The immediate, sign-extended.
    #[inline(always)]
    pub(crate) fn imm(self) -> u64 {
        i64::from(self.op().imm) as u64
    }

    /// The immediate as a third register number.
    #[inline(always)]
    pub(crate) fn c(self) -> usize {
        usize::from(self.op().imm as u8)
    }

    #[inline(always)]
    pub(crate) fn a(self) -> usize {
        usize::from(self.op().a)
    }

    #[inline(always)]
    pub(crate) fn b(self) -> usize {
        usize::from(self.op().b)
    }

    #[inline(always)]
    pub(crate) fn order(self) -> u64 {
        u64::from(self.op().order)
    }

    /// Executes from here.
    #[inline(always)]
    pub(crate) fn run(self, hart: &mut Hart) -> Self {
        (self.op().run)(hart, self)
    }

    /// The op `N` halfwords on.
    #[inline(always)]
    pub(crate) fn next<const N: usize>(self) -> Self {
        Self(self.0.wrapping_add(N))
    }

    /// The target of a branch inside the page, whose immediate is the displacement in op bytes.
    #[inline(always)]
    pub(crate) fn near(self) -> Self {
        Self(self.0.wrapping_byte_offset(self.op().imm as isize))
    }

    /// The op at `offset` (even, below 4096) of the page that begins here.
    #[inline(always)]
    pub(crate) fn at(self, offset: u64) -> Self {
        Self(self.0.wrapping_byte_add((offset as usize) << SCALE))
    }

    /// Where in its page the instruction is.
    #[inline(always)]
    pub(crate) fn offset(self) -> u64 {
        ((self.0.addr() & (ALIGN - 1)) >> SCALE) as u64
    }

    /// The page this points into.
    pub(crate) fn page(self) -> *mut CodePage {
        self.0
            .map_addr(|address| address & !(ALIGN - 1))
            .cast_mut()
            .cast()
    }
}
