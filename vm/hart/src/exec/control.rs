//! Jumps, branches, and the ways from page to page.

use super::compare::Compare;
use super::proceed;
use crate::Hart;
use crate::code::Cursor;
use crate::log;
use crate::trap::{Exception, Trap};

pub(crate) fn branch_near<C: Compare, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let file = &hart.state.registers.file;
    if C::holds(file[op.a()], file[op.b()]) {
        return hart.jump(op, op.near());
    }
    proceed!(hart, op, N)
}

pub(crate) fn branch_far<C: Compare, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let file = &hart.state.registers.file;
    if C::holds(file[op.a()], file[op.b()]) {
        let target = hart.page.wrapping_add(op.imm());
        return hart.leave(op, target);
    }
    proceed!(hart, op, N)
}

/// A branch whose target is misaligned on a hart without compressed instructions.
pub(crate) fn branch_checked<C: Compare, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let file = &hart.state.registers.file;
    if C::holds(file[op.a()], file[op.b()]) {
        let target = hart.page.wrapping_add(op.imm());
        return hart.raise(op, Trap::new(Exception::InstructionMisaligned, target));
    }
    proceed!(hart, op, N)
}

pub(crate) fn jump_near<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    hart.jump(op, op.near())
}

pub(crate) fn call_near<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    hart.state.registers.file[op.a()] = hart.address(op.next::<N>());
    hart.jump(op, op.near())
}

pub(crate) fn call_far<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    hart.state.registers.file[op.a()] = hart.address(op.next::<N>());
    let target = hart.page.wrapping_add(op.imm());
    hart.leave(op, target)
}

/// A jump whose target is misaligned on a hart without compressed instructions.
pub(crate) fn jump_checked<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let target = hart.page.wrapping_add(op.imm());
    hart.raise(op, Trap::new(Exception::InstructionMisaligned, target))
}

pub(crate) fn jump_register<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let target = hart.state.registers.file[op.b()].wrapping_add(op.imm()) & !1;
    hart.leave(op, target)
}

pub(crate) fn call_register<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let target = hart.state.registers.file[op.b()].wrapping_add(op.imm()) & !1;
    hart.state.registers.file[op.a()] = hart.address(op.next::<N>());
    hart.leave(op, target)
}

/// `jalr` on a hart without compressed instructions.
pub(crate) fn call_register_checked<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let target = hart.state.registers.file[op.b()].wrapping_add(op.imm()) & !1;
    if target & 2 != 0 {
        return hart.raise(op, Trap::new(Exception::InstructionMisaligned, target));
    }
    call_register::<N>(hart, op)
}

/// A slot that has not been decoded yet.
#[cold]
#[inline(never)]
pub(crate) fn undecoded(hart: &mut Hart, op: Cursor) -> Cursor {
    // Whoever came here counted the slot as number zero.
    hart.retired = hart.retired.wrapping_add(op.order());
    hart.code.decode(op);
    if tracing::enabled!(target: log::IN_ASM, tracing::Level::DEBUG) {
        log::code(hart.address(op), &hart.code.listing(op));
    }
    hart.retired = hart.retired.wrapping_sub(op.order());
    op
}

/// Straight-line code reached the end of the page.
pub(crate) fn fall_off(hart: &mut Hart, op: Cursor) -> Cursor {
    hart.settle(op);
    hart.enter(hart.state.pc)
}

/// An instruction whose second half is on the next page.
#[cold]
#[inline(never)]
pub(crate) fn straddle(hart: &mut Hart, op: Cursor) -> Cursor {
    let low = hart.code.bits(op) & 0xffff;
    let next = hart.address(op).wrapping_add(2);
    match hart.fetch_half(next) {
        Ok(high) => {
            let bits = low | u32::from(high) << 16;
            hart.code
                .single(bits, op.offset(), op.order() as u16, fall_off)
        }
        Err(trap) => hart.raise(op, trap),
    }
}

/// Behind a single instruction: the hart comes to rest.
pub(crate) fn rest(hart: &mut Hart, op: Cursor) -> Cursor {
    hart.settle(op);
    Cursor::NONE
}
