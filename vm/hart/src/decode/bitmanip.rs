//! Bit manipulation and conditional zeroing (unpriv "Zb*", "Zicond").

use super::base::{three, to_register};
use super::fields::Fields;
use super::{Context, op, sized};
use crate::code::Op;
use crate::exec::integer::{
    AddUw, Andn, Bclr, Bext, Binv, Bset, Clmul, Clmulh, Clmulr, Clz, Clzw, Cpop, Cpopw, Ctz, Ctzw,
    CzeroEqz, CzeroNez, Max, Maxu, Min, Minu, OrcB, Orn, Rev8, Rol, Rolw, Ror, Rorw, SextB, SextH,
    Sh1add, Sh1addUw, Sh2add, Sh2addUw, Sh3add, Sh3addUw, SllUw, Xnor, ZextH,
};
use crate::isa::Extension as E;

pub(super) fn immediate(fields: Fields, context: Context<'_>) -> Option<Op> {
    let isa = context.isa;
    let run = match (fields.funct3(), fields.funct12()) {
        (1, 0x600) if isa.has(E::Zbb) => sized!(context, immediate, Clz),
        (1, 0x601) if isa.has(E::Zbb) => sized!(context, immediate, Ctz),
        (1, 0x602) if isa.has(E::Zbb) => sized!(context, immediate, Cpop),
        (1, 0x604) if isa.has(E::Zbb) => sized!(context, immediate, SextB),
        (1, 0x605) if isa.has(E::Zbb) => sized!(context, immediate, SextH),
        (5, 0x287) if isa.has(E::Zbb) => sized!(context, immediate, OrcB),
        (5, 0x6b8) if isa.has(E::Zbb) => sized!(context, immediate, Rev8),
        (funct3, funct12) => match (funct3, funct12 >> 6) {
            (5, 0x18) if isa.has(E::Zbb) => sized!(context, immediate, Ror),
            (1, 0x12) if isa.has(E::Zbs) => sized!(context, immediate, Bclr),
            (5, 0x12) if isa.has(E::Zbs) => sized!(context, immediate, Bext),
            (1, 0x1a) if isa.has(E::Zbs) => sized!(context, immediate, Binv),
            (1, 0x0a) if isa.has(E::Zbs) => sized!(context, immediate, Bset),
            _ => return None,
        },
    };
    let op = op(run, fields.rd(), fields.rs1(), fields.imm_i() & 63);
    Some(to_register(fields, context, op))
}

pub(super) fn immediate_word(fields: Fields, context: Context<'_>) -> Option<Op> {
    let isa = context.isa;
    let run = match (fields.funct3(), fields.funct12()) {
        (1, 0x600) if isa.has(E::Zbb) => sized!(context, immediate, Clzw),
        (1, 0x601) if isa.has(E::Zbb) => sized!(context, immediate, Ctzw),
        (1, 0x602) if isa.has(E::Zbb) => sized!(context, immediate, Cpopw),
        (5, 0x600..=0x61f) if isa.has(E::Zbb) => sized!(context, immediate, Rorw),
        (1, 0x080..=0x0bf) if isa.has(E::Zba) => sized!(context, immediate, SllUw),
        _ => return None,
    };
    let op = op(run, fields.rd(), fields.rs1(), fields.imm_i() & 63);
    Some(to_register(fields, context, op))
}

pub(super) fn register(fields: Fields, context: Context<'_>) -> Option<Op> {
    let isa = context.isa;
    let run = match (fields.funct7(), fields.funct3()) {
        (0x10, 2) if isa.has(E::Zba) => sized!(context, register, Sh1add),
        (0x10, 4) if isa.has(E::Zba) => sized!(context, register, Sh2add),
        (0x10, 6) if isa.has(E::Zba) => sized!(context, register, Sh3add),
        (0x20, 7) if isa.has(E::Zbb) => sized!(context, register, Andn),
        (0x20, 6) if isa.has(E::Zbb) => sized!(context, register, Orn),
        (0x20, 4) if isa.has(E::Zbb) => sized!(context, register, Xnor),
        (0x05, 4) if isa.has(E::Zbb) => sized!(context, register, Min),
        (0x05, 5) if isa.has(E::Zbb) => sized!(context, register, Minu),
        (0x05, 6) if isa.has(E::Zbb) => sized!(context, register, Max),
        (0x05, 7) if isa.has(E::Zbb) => sized!(context, register, Maxu),
        (0x30, 1) if isa.has(E::Zbb) => sized!(context, register, Rol),
        (0x30, 5) if isa.has(E::Zbb) => sized!(context, register, Ror),
        (0x05, 1) if isa.has(E::Zbc) => sized!(context, register, Clmul),
        (0x05, 2) if isa.has(E::Zbc) => sized!(context, register, Clmulr),
        (0x05, 3) if isa.has(E::Zbc) => sized!(context, register, Clmulh),
        (0x24, 1) if isa.has(E::Zbs) => sized!(context, register, Bclr),
        (0x24, 5) if isa.has(E::Zbs) => sized!(context, register, Bext),
        (0x34, 1) if isa.has(E::Zbs) => sized!(context, register, Binv),
        (0x14, 1) if isa.has(E::Zbs) => sized!(context, register, Bset),
        (0x07, 5) if isa.has(E::Zicond) => sized!(context, register, CzeroEqz),
        (0x07, 7) if isa.has(E::Zicond) => sized!(context, register, CzeroNez),
        _ => return None,
    };
    Some(to_register(fields, context, three(fields, run)))
}

pub(super) fn register_word(fields: Fields, context: Context<'_>) -> Option<Op> {
    let isa = context.isa;
    let run = match (fields.funct7(), fields.funct3()) {
        (0x04, 0) if isa.has(E::Zba) => sized!(context, register, AddUw),
        (0x10, 2) if isa.has(E::Zba) => sized!(context, register, Sh1addUw),
        (0x10, 4) if isa.has(E::Zba) => sized!(context, register, Sh2addUw),
        (0x10, 6) if isa.has(E::Zba) => sized!(context, register, Sh3addUw),
        (0x04, 4) if isa.has(E::Zbb) && fields.rs2() == 0 => sized!(context, register, ZextH),
        (0x30, 1) if isa.has(E::Zbb) => sized!(context, register, Rolw),
        (0x30, 5) if isa.has(E::Zbb) => sized!(context, register, Rorw),
        _ => return None,
    };
    Some(to_register(fields, context, three(fields, run)))
}
