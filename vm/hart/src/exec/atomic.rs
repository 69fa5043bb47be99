//! LR/SC and AMOs on host atomics. `sc` succeeds when memory still holds what `lr` read.

use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::sync::atomic::fence;

use tinamou_memory::Word;

use super::access::{Access, I64, U32};
use super::proceed;
use crate::Hart;
use crate::code::Cursor;
use crate::state::Reservation;
use crate::trap::{Exception, Trap};

/// A width that atomics have.
pub(crate) trait Width: Word + Into<u64> {
    /// The load of this width.
    type Load: Access;

    /// The low bits of a register.
    fn truncate(value: u64) -> Self;

    /// The value as a register holds it, sign-extended.
    fn extend(self) -> u64;

    /// Stores `to` if the word is `from`.
    fn exchange(atomic: &Self::Atomic, from: Self, to: Self) -> bool;

    fn swap(atomic: &Self::Atomic, operand: Self) -> Self;
    fn add(atomic: &Self::Atomic, operand: Self) -> Self;
    fn xor(atomic: &Self::Atomic, operand: Self) -> Self;
    fn or(atomic: &Self::Atomic, operand: Self) -> Self;
    fn and(atomic: &Self::Atomic, operand: Self) -> Self;
    fn min(atomic: &Self::Atomic, operand: Self) -> Self;
    fn max(atomic: &Self::Atomic, operand: Self) -> Self;
    fn minu(atomic: &Self::Atomic, operand: Self) -> Self;
    fn maxu(atomic: &Self::Atomic, operand: Self) -> Self;
}

macro_rules! width {
    ($word:ty, $signed:ty, $load:ty, $($name:ident $method:ident),*) => {
        impl Width for $word {
            type Load = $load;

            fn truncate(value: u64) -> Self {
                value as Self
            }

            fn extend(self) -> u64 {
                i64::from(self as $signed) as u64
            }

            fn exchange(atomic: &Self::Atomic, from: Self, to: Self) -> bool {
                atomic.compare_exchange(from, to, SeqCst, SeqCst).is_ok()
            }

            $(fn $name(atomic: &Self::Atomic, operand: Self) -> Self {
                atomic.$method(operand, SeqCst)
            })*

            fn min(atomic: &Self::Atomic, operand: Self) -> Self {
                let less = |old| (old as $signed).min(operand as $signed) as Self;
                atomic.fetch_update(SeqCst, SeqCst, |old| Some(less(old))).unwrap_or_default()
            }

            fn max(atomic: &Self::Atomic, operand: Self) -> Self {
                let greater = |old| (old as $signed).max(operand as $signed) as Self;
                atomic.fetch_update(SeqCst, SeqCst, |old| Some(greater(old))).unwrap_or_default()
            }
        }
    };
}

width!(u32, i32, U32, swap swap, add fetch_add, xor fetch_xor, or fetch_or, and fetch_and,
    minu fetch_min, maxu fetch_max);
width!(u64, i64, I64, swap swap, add fetch_add, xor fetch_xor, or fetch_or, and fetch_and,
    minu fetch_min, maxu fetch_max);

/// What an AMO does to the word in memory; gives what was there.
pub(crate) trait Operation {
    fn apply<W: Width>(atomic: &W::Atomic, operand: W) -> W;
}

macro_rules! operations {
    ($($name:ident $method:ident;)*) => {$(
        pub(crate) struct $name;
        impl Operation for $name {
            #[inline(always)]
            fn apply<W: Width>(atomic: &W::Atomic, operand: W) -> W {
                W::$method(atomic, operand)
            }
        }
    )*};
}

operations! {
    AmoSwap swap;
    AmoAdd add;
    AmoXor xor;
    AmoOr or;
    AmoAnd and;
    AmoMin min;
    AmoMax max;
    AmoMinu minu;
    AmoMaxu maxu;
}

pub(crate) fn amo<O: Operation, W: Width, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let file = &hart.state.registers.file;
    let (address, operand) = (file[op.b()], W::truncate(file[op.c()]));
    let old = match hart.mmu.atomic::<W>(address) {
        Some(atomic) => O::apply::<W>(atomic, operand),
        None => match hart.reach_atomic::<W>(address) {
            Ok(atomic) => O::apply::<W>(atomic, operand),
            Err(trap) => return hart.raise(op, trap),
        },
    };
    hart.state.registers.file[op.a()] = old.extend();
    proceed!(hart, op, N)
}

pub(crate) fn load_reserved<W: Width, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let address = hart.state.registers.file[op.b()];
    let value = match hart.mmu.load_fast::<W::Load>(address) {
        Some(value) => value,
        None => match load_slowly::<W>(hart, address) {
            Ok(value) => value,
            Err(trap) => return hart.raise(op, trap),
        },
    };
    // Later accesses stay behind the load, as its aq bit may ask.
    fence(Acquire);
    let size = size_of::<W>() as u8;
    hart.state.reservation = Some(Reservation {
        address,
        value,
        size,
    });
    hart.state.registers.file[op.a()] = W::truncate(value).extend();
    proceed!(hart, op, N)
}

#[cold]
fn load_slowly<W: Width>(hart: &mut Hart, address: u64) -> Result<u64, Trap> {
    let size = size_of::<W>() as u8;
    if !address.is_multiple_of(size.into()) {
        return Err(Trap::new(Exception::LoadMisaligned, address));
    }
    hart.load(address, size)
}

pub(crate) fn store_conditional<W: Width, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let file = &hart.state.registers.file;
    let (address, value) = (file[op.b()], W::truncate(file[op.c()]));
    let reservation = hart.state.reservation.take();
    let attempt = |atomic: &W::Atomic| {
        reservation.is_some_and(|held| {
            held.address == address
                && usize::from(held.size) == size_of::<W>()
                && W::exchange(atomic, W::truncate(held.value), value)
        })
    };
    let stored = match hart.mmu.atomic::<W>(address) {
        Some(atomic) => attempt(atomic),
        None => match hart.reach_atomic::<W>(address) {
            Ok(atomic) => attempt(atomic),
            Err(trap) => return hart.raise(op, trap),
        },
    };
    hart.state.registers.file[op.a()] = u64::from(!stored);
    proceed!(hart, op, N)
}
