//! Floating-point instructions (unpriv "F", "D").

use super::fields::Fields;
use super::{Context, destination, op, sized};
use crate::code::Op;
use crate::exec::access::{I64, Single, U32};
use crate::exec::float::{
    AddF, DivF, Eq, Le, LeQuiet, Lt, LtQuiet, Madd, MaxF, MaximumF, MinF, MinimumF, Msub, MulF,
    Nmadd, Nmsub, Sgnj, Sgnjn, Sgnjx, SubF,
};
use crate::isa::Extension;
use crate::state::FLOAT;

pub(super) fn load(fields: Fields, context: Context<'_>) -> Option<Op> {
    let run = match fields.funct3() {
        2 if context.isa.has(Extension::F) => sized!(context, load_float, Single),
        3 if context.isa.has(Extension::D) => sized!(context, load_float, I64),
        _ => return None,
    };
    Some(op(run, FLOAT + fields.rd(), fields.rs1(), fields.imm_i()))
}

pub(super) fn store(fields: Fields, context: Context<'_>) -> Option<Op> {
    let run = match fields.funct3() {
        2 if context.isa.has(Extension::F) => sized!(context, store_float, U32),
        3 if context.isa.has(Extension::D) => sized!(context, store_float, I64),
        _ => return None,
    };
    Some(op(run, FLOAT + fields.rs2(), fields.rs1(), fields.imm_s()))
}

/// Whether the format field names a format that the hart has: false single, true double.
fn is_double(format: u32, context: Context<'_>) -> Option<bool> {
    match format & 3 {
        0 if context.isa.has(Extension::F) => Some(false),
        1 if context.isa.has(Extension::D) => Some(true),
        _ => None,
    }
}

/// Picks the instance of a handler for the format and the instruction's length.
macro_rules! formatted {
    ($context:expr, $double:expr, $handler:ident $(, $parameter:ty)*) => {
        if $double {
            sized!($context, $handler $(, $parameter)*, u64)
        } else {
            sized!($context, $handler $(, $parameter)*, u32)
        }
    };
}

pub(super) fn fused(fields: Fields, context: Context<'_>) -> Option<Op> {
    let double = is_double(fields.funct7(), context)?;
    let run = match fields.opcode() {
        0x43 => formatted!(context, double, float_fused, Madd),
        0x47 => formatted!(context, double, float_fused, Msub),
        0x4b => formatted!(context, double, float_fused, Nmsub),
        _ => formatted!(context, double, float_fused, Nmadd),
    };
    let rounding = rounding(fields)?;
    let second = i32::from(FLOAT + fields.rs2()) << 8;
    let third = i32::from(FLOAT + fields.rs3()) << 16;
    Some(float(fields, run, third | second | rounding))
}

pub(super) fn operation(fields: Fields, context: Context<'_>) -> Option<Op> {
    let double = is_double(fields.funct7(), context)?;
    let funct5 = fields.funct7() >> 2;
    match (funct5, fields.funct3()) {
        (0..=3 | 0x0b, _) => rounded(fields, context, double),
        (0x04, 0) => Some(plain(
            fields,
            formatted!(context, double, float_plain, Sgnj),
        )),
        (0x04, 1) => Some(plain(
            fields,
            formatted!(context, double, float_plain, Sgnjn),
        )),
        (0x04, 2) => Some(plain(
            fields,
            formatted!(context, double, float_plain, Sgnjx),
        )),
        (0x05, 0) => Some(plain(
            fields,
            formatted!(context, double, float_plain, MinF),
        )),
        (0x05, 1) => Some(plain(
            fields,
            formatted!(context, double, float_plain, MaxF),
        )),
        (0x05, 2) if context.isa.has(Extension::Zfa) => Some(plain(
            fields,
            formatted!(context, double, float_plain, MinimumF),
        )),
        (0x05, 3) if context.isa.has(Extension::Zfa) => Some(plain(
            fields,
            formatted!(context, double, float_plain, MaximumF),
        )),
        (0x08, _) => between(fields, context, double),
        (0x14, 0) => Some(compared(
            fields,
            formatted!(context, double, float_compare, Le),
        )),
        (0x14, 1) => Some(compared(
            fields,
            formatted!(context, double, float_compare, Lt),
        )),
        (0x14, 2) => Some(compared(
            fields,
            formatted!(context, double, float_compare, Eq),
        )),
        (0x14, 4) if context.isa.has(Extension::Zfa) => Some(compared(
            fields,
            formatted!(context, double, float_compare, LeQuiet),
        )),
        (0x14, 5) if context.isa.has(Extension::Zfa) => Some(compared(
            fields,
            formatted!(context, double, float_compare, LtQuiet),
        )),
        (0x18, _) => to_integer(fields, context, double),
        (0x1a, _) => from_integer(fields, context, double),
        (0x1c | 0x1e, _) => moved(fields, context, double),
        _ => None,
    }
}

/// Addition, subtraction, multiplication, division, square root.
fn rounded(fields: Fields, context: Context<'_>, double: bool) -> Option<Op> {
    let run = match (fields.funct7() >> 2, fields.rs2()) {
        (0, _) => formatted!(context, double, float_rounded, AddF),
        (1, _) => formatted!(context, double, float_rounded, SubF),
        (2, _) => formatted!(context, double, float_rounded, MulF),
        (3, _) => formatted!(context, double, float_rounded, DivF),
        (_, 0) => formatted!(context, double, float_sqrt),
        _ => return None,
    };
    let second = i32::from(FLOAT + fields.rs2()) << 8;
    Some(float(fields, run, second | rounding(fields)?))
}

/// Picks the instance of a rounding that tells of inexact results or not.
macro_rules! rounds {
    ($context:expr, $double:expr, $tells:literal) => {
        match ($context.wide, $double) {
            (true, true) => crate::exec::float_round::<$tells, u64, 2> as crate::code::Handler,
            (true, false) => crate::exec::float_round::<$tells, u32, 2>,
            (false, true) => crate::exec::float_round::<$tells, u64, 1>,
            (false, false) => crate::exec::float_round::<$tells, u32, 1>,
        }
    };
}

/// Conversion between the formats, and roundings within one.
fn between(fields: Fields, context: Context<'_>, double: bool) -> Option<Op> {
    let run = match (double, fields.rs2()) {
        (true, 0) => sized!(context, float_convert, u32, u64),
        (false, 1) if context.isa.has(Extension::D) => sized!(context, float_convert, u64, u32),
        (_, 4) if context.isa.has(Extension::Zfa) => rounds!(context, double, false),
        (_, 5) if context.isa.has(Extension::Zfa) => rounds!(context, double, true),
        _ => return None,
    };
    Some(float(fields, run, rounding(fields)?))
}

fn to_integer(fields: Fields, context: Context<'_>, double: bool) -> Option<Op> {
    let run = match fields.rs2() {
        0 => formatted!(context, double, float_to_integer, i32),
        1 => formatted!(context, double, float_to_integer, u32),
        2 => formatted!(context, double, float_to_integer, i64),
        3 => formatted!(context, double, float_to_integer, u64),
        // Always towards zero.
        8 if double && fields.funct3() == 1 && context.isa.has(Extension::Zfa) => {
            sized!(context, float_to_integer_modular)
        }
        _ => return None,
    };
    let (to, from) = (destination(fields.rd()), FLOAT + fields.rs1());
    Some(op(run, to, from, rounding(fields)?))
}

fn from_integer(fields: Fields, context: Context<'_>, double: bool) -> Option<Op> {
    let run = match fields.rs2() {
        0 => formatted!(context, double, float_from_integer, i32),
        1 => formatted!(context, double, float_from_integer, u32),
        2 => formatted!(context, double, float_from_integer, i64),
        3 => formatted!(context, double, float_from_integer, u64),
        _ => return None,
    };
    Some(op(
        run,
        FLOAT + fields.rd(),
        fields.rs1(),
        rounding(fields)?,
    ))
}

/// Moves between the register files, constants, and fclass.
fn moved(fields: Fields, context: Context<'_>, double: bool) -> Option<Op> {
    let is_constant = (fields.funct7() >> 2, fields.funct3(), fields.rs2()) == (0x1e, 0, 1);
    if is_constant && context.isa.has(Extension::Zfa) {
        let run = formatted!(context, double, float_constant);
        return Some(op(run, FLOAT + fields.rd(), 0, fields.rs1().into()));
    }
    if fields.rs2() != 0 {
        return None;
    }
    let (to, from) = (destination(fields.rd()), FLOAT + fields.rs1());
    Some(match (fields.funct7() >> 2, fields.funct3()) {
        (0x1c, 0) => op(formatted!(context, double, float_to_bits), to, from, 0),
        (0x1c, 1) => op(formatted!(context, double, float_classify), to, from, 0),
        (0x1e, 0) => {
            let run = formatted!(context, double, float_from_bits);
            op(run, FLOAT + fields.rd(), fields.rs1(), 0)
        }
        _ => return None,
    })
}

/// The rounding-mode field; 5 and 6 are reserved, 7 is found in `frm` when executed.
fn rounding(fields: Fields) -> Option<i32> {
    let rounding = fields.funct3();
    (rounding != 5 && rounding != 6).then_some(rounding as i32)
}

fn float(fields: Fields, run: crate::code::Handler, imm: i32) -> Op {
    op(run, FLOAT + fields.rd(), FLOAT + fields.rs1(), imm)
}

/// Two float operands, a float result, no rounding.
fn plain(fields: Fields, run: crate::code::Handler) -> Op {
    float(fields, run, i32::from(FLOAT + fields.rs2()) << 8)
}

/// Two float operands, an integer result.
fn compared(fields: Fields, run: crate::code::Handler) -> Op {
    let second = i32::from(FLOAT + fields.rs2()) << 8;
    op(run, destination(fields.rd()), FLOAT + fields.rs1(), second)
}
