//! What instructions do: a function for each, instantiated for both instruction lengths.
//!
//! A handler ends with the handler of the following op in tail position, or returns the cursor of
//! a taken branch, or [`Cursor::NONE`] when the hart is at rest (a trap was taken, or the next
//! instruction must be looked up again). Everything rare is in functions that are not inlined.

pub(crate) mod access;
pub(crate) mod additional;
pub(crate) mod atomic;
pub(crate) mod block;
pub(crate) mod compare;
pub(crate) mod control;
pub(crate) mod float;
pub(crate) mod integer;
pub(crate) mod system;

pub(crate) use access::{load, load_float, store, store_float};
pub(crate) use additional::{float_constant, float_round, float_to_integer_modular};
pub(crate) use atomic::{amo, load_reserved, store_conditional};
pub(crate) use block::{cache_block, zero_block};
pub(crate) use control::{
    branch_checked, branch_far, branch_near, call_far, call_near, call_register,
    call_register_checked, fall_off, jump_checked, jump_near, jump_register, rest, straddle,
    undecoded,
};
pub(crate) use float::{
    float_classify, float_compare, float_convert, float_from_bits, float_from_integer, float_fused,
    float_plain, float_rounded, float_sqrt, float_to_bits, float_to_integer,
};
pub(crate) use system::{
    csr_immediate, csr_register, environment_break, environment_call, fence, fence_instructions,
    fence_translations, illegal, order_invalidation, pause, return_machine, return_supervisor,
    wait_for_interrupt,
};

use crate::Hart;
use crate::code::Cursor;
use integer::Binary;

/// Goes on with the op `N` halfwords on.
macro_rules! proceed {
    ($hart:expr, $op:expr, $length:expr) => {{
        let next = $op.next::<{ $length }>();
        return next.run($hart);
    }};
}
pub(crate) use proceed;

pub(crate) fn nop<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    proceed!(hart, op, N)
}

/// Two registers to a third.
pub(crate) fn register<O: Binary, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let file = &mut hart.state.registers.file;
    file[op.a()] = O::apply(file[op.b()], file[op.c()]);
    proceed!(hart, op, N)
}

/// A register and an immediate to a register.
pub(crate) fn immediate<O: Binary, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let file = &mut hart.state.registers.file;
    file[op.a()] = O::apply(file[op.b()], op.imm());
    proceed!(hart, op, N)
}

/// `lui`, `li`.
pub(crate) fn load_immediate<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    hart.state.registers.file[op.a()] = op.imm();
    proceed!(hart, op, N)
}

/// `auipc`: the immediate counts from the beginning of the page.
pub(crate) fn page_relative<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    hart.state.registers.file[op.a()] = hart.page.wrapping_add(op.imm());
    proceed!(hart, op, N)
}
