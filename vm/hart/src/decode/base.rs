//! Base integer instructions and multiplication (unpriv "RV32I", "RV64I", "M").

use super::bitmanip;
use super::fields::Fields;
use super::{Context, Decoded, destination, nop, op, sized};
use crate::code::{Op, SCALE};
use crate::exec::access::{I8, I16, I32, I64, U8, U16, U32};
use crate::exec::compare::{Eq, Ge, Geu, Lt, Ltu, Ne};
use crate::exec::integer::{
    Add, Addw, And, Div, Divu, Divuw, Divw, Mul, Mulh, Mulhsu, Mulhu, Mulw, Or, Rem, Remu, Remuw,
    Remw, Sll, Sllw, Slt, Sltu, Sra, Sraw, Srl, Srlw, Sub, Subw, Xor,
};
use crate::isa::Extension;

pub(super) fn load(fields: Fields, context: Context<'_>) -> Option<Op> {
    let run = match fields.funct3() {
        0 => sized!(context, load, I8),
        1 => sized!(context, load, I16),
        2 => sized!(context, load, I32),
        3 => sized!(context, load, I64),
        4 => sized!(context, load, U8),
        5 => sized!(context, load, U16),
        6 => sized!(context, load, U32),
        _ => return None,
    };
    Some(op(
        run,
        destination(fields.rd()),
        fields.rs1(),
        fields.imm_i(),
    ))
}

pub(super) fn store(fields: Fields, context: Context<'_>) -> Option<Op> {
    let run = match fields.funct3() {
        0 => sized!(context, store, U8),
        1 => sized!(context, store, U16),
        2 => sized!(context, store, U32),
        3 => sized!(context, store, I64),
        _ => return None,
    };
    Some(op(run, fields.rs2(), fields.rs1(), fields.imm_s()))
}

pub(super) fn immediate(fields: Fields, context: Context<'_>) -> Option<Op> {
    let imm = fields.imm_i();
    let shift = imm & 63;
    let (run, imm) = match (fields.funct3(), fields.funct12() >> 6) {
        (0, _) if fields.rs1() == 0 => (sized!(context, load_immediate), imm),
        (0, _) => (sized!(context, immediate, Add), imm),
        (1, 0) => (sized!(context, immediate, Sll), shift),
        (2, _) => (sized!(context, immediate, Slt), imm),
        (3, _) => (sized!(context, immediate, Sltu), imm),
        (4, _) => (sized!(context, immediate, Xor), imm),
        (5, 0) => (sized!(context, immediate, Srl), shift),
        (5, 0x10) => (sized!(context, immediate, Sra), shift),
        (6, _) => (sized!(context, immediate, Or), imm),
        (7, _) => (sized!(context, immediate, And), imm),
        _ => return bitmanip::immediate(fields, context),
    };
    // Hints, such as the prefetches of Zicbop, are among these (unpriv "HINT Instructions").
    Some(to_register(
        fields,
        context,
        op(run, fields.rd(), fields.rs1(), imm),
    ))
}

pub(super) fn immediate_word(fields: Fields, context: Context<'_>) -> Option<Op> {
    let imm = fields.imm_i();
    let (run, imm) = match (fields.funct3(), fields.funct7()) {
        (0, _) => (sized!(context, immediate, Addw), imm),
        (1, 0) => (sized!(context, immediate, Sllw), imm & 31),
        (5, 0) => (sized!(context, immediate, Srlw), imm & 31),
        (5, 0x20) => (sized!(context, immediate, Sraw), imm & 31),
        _ => return bitmanip::immediate_word(fields, context),
    };
    Some(to_register(
        fields,
        context,
        op(run, fields.rd(), fields.rs1(), imm),
    ))
}

pub(super) fn register(fields: Fields, context: Context<'_>) -> Option<Op> {
    let run = match (fields.funct7(), fields.funct3()) {
        (0, 0) => sized!(context, register, Add),
        (0, 1) => sized!(context, register, Sll),
        (0, 2) => sized!(context, register, Slt),
        (0, 3) => sized!(context, register, Sltu),
        (0, 4) => sized!(context, register, Xor),
        (0, 5) => sized!(context, register, Srl),
        (0, 6) => sized!(context, register, Or),
        (0, 7) => sized!(context, register, And),
        (0x20, 0) => sized!(context, register, Sub),
        (0x20, 5) => sized!(context, register, Sra),
        (1, funct3) if context.isa.has(Extension::M) => match funct3 {
            0 => sized!(context, register, Mul),
            1 => sized!(context, register, Mulh),
            2 => sized!(context, register, Mulhsu),
            3 => sized!(context, register, Mulhu),
            4 => sized!(context, register, Div),
            5 => sized!(context, register, Divu),
            6 => sized!(context, register, Rem),
            _ => sized!(context, register, Remu),
        },
        _ => return bitmanip::register(fields, context),
    };
    Some(to_register(fields, context, three(fields, run)))
}

pub(super) fn register_word(fields: Fields, context: Context<'_>) -> Option<Op> {
    let run = match (fields.funct7(), fields.funct3()) {
        (0, 0) => sized!(context, register, Addw),
        (0, 1) => sized!(context, register, Sllw),
        (0, 5) => sized!(context, register, Srlw),
        (0x20, 0) => sized!(context, register, Subw),
        (0x20, 5) => sized!(context, register, Sraw),
        (1, funct3) if context.isa.has(Extension::M) => match funct3 {
            0 => sized!(context, register, Mulw),
            4 => sized!(context, register, Divw),
            5 => sized!(context, register, Divuw),
            6 => sized!(context, register, Remw),
            7 => sized!(context, register, Remuw),
            _ => return None,
        },
        _ => return bitmanip::register_word(fields, context),
    };
    Some(to_register(fields, context, three(fields, run)))
}

pub(super) fn lui(fields: Fields, context: Context<'_>) -> Op {
    let op = op(
        sized!(context, load_immediate),
        fields.rd(),
        0,
        fields.imm_u(),
    );
    to_register(fields, context, op)
}

pub(super) fn auipc(fields: Fields, context: Context<'_>) -> Op {
    // The upper immediate has no low bits for the offset to carry into.
    let imm = fields.imm_u() | i32::from(context.place.offset);
    to_register(
        fields,
        context,
        op(sized!(context, page_relative), fields.rd(), 0, imm),
    )
}

pub(super) fn branch(fields: Fields, context: Context<'_>) -> Option<Op> {
    let (target, near) = reach(fields.imm_b(), context);
    let checked = must_check(fields.imm_b(), context);
    macro_rules! pick {
        ($compare:ty) => {
            if checked {
                sized!(context, branch_checked, $compare)
            } else if near {
                sized!(context, branch_near, $compare)
            } else {
                sized!(context, branch_far, $compare)
            }
        };
    }
    let run = match fields.funct3() {
        0 => pick!(Eq),
        1 => pick!(Ne),
        4 => pick!(Lt),
        5 => pick!(Ge),
        6 => pick!(Ltu),
        7 => pick!(Geu),
        _ => return None,
    };
    Some(op(run, fields.rs1(), fields.rs2(), target))
}

pub(super) fn jal(fields: Fields, context: Context<'_>) -> Decoded {
    let (target, near) = reach(fields.imm_j(), context);
    let run = match (near, fields.rd()) {
        _ if must_check(fields.imm_j(), context) => sized!(context, jump_checked),
        (true, 0) => sized!(context, jump_near),
        (true, _) => sized!(context, call_near),
        (false, _) => sized!(context, call_far),
    };
    let op = op(run, destination(fields.rd()), 0, target);
    Decoded { op, ends: true }
}

pub(super) fn jalr(fields: Fields, context: Context<'_>) -> Option<Decoded> {
    if fields.funct3() != 0 {
        return None;
    }
    let run = if !context.isa.has(Extension::C) {
        sized!(context, call_register_checked)
    } else if fields.rd() == 0 {
        sized!(context, jump_register)
    } else {
        sized!(context, call_register)
    };
    let op = op(run, destination(fields.rd()), fields.rs1(), fields.imm_i());
    Some(Decoded { op, ends: true })
}

/// An op of three registers.
pub(super) fn three(fields: Fields, run: crate::code::Handler) -> Op {
    op(run, fields.rd(), fields.rs1(), fields.rs2().into())
}

/// The op itself, unless all it does is to write x0.
pub(super) fn to_register(fields: Fields, context: Context<'_>, op: Op) -> Op {
    if fields.rd() == 0 { nop(context) } else { op }
}

/// The immediate for a jump by `displacement`, and whether it stays in the page: then a
/// displacement of ops, else one relative to the page.
fn reach(displacement: i32, context: Context<'_>) -> (i32, bool) {
    let target = i32::from(context.place.offset) + displacement;
    let near = context.place.near && (0..4096).contains(&target);
    if near && !must_check(displacement, context) {
        (displacement << SCALE, true)
    } else {
        (target, false)
    }
}

/// Whether the target may be misaligned: only without compressed instructions.
fn must_check(displacement: i32, context: Context<'_>) -> bool {
    displacement & 2 != 0 && !context.isa.has(Extension::C)
}
