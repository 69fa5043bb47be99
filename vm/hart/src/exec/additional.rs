//! The additional floating-point instructions (unpriv "Zfa") that have no relatives in F and D.

use super::float::{Boxed, ready, rounding};
use super::proceed;
use crate::Hart;
use crate::code::Cursor;
use crate::fp;
use crate::fp::Rounding;

/// The constants of `fli`, but the smallest normal number (1) and the canonical NaN (31), which
/// depend on the format.
const CONSTANTS: [f32; 32] = [
    -1.0,
    0.0,
    1.0 / 65536.0,
    1.0 / 32768.0,
    1.0 / 256.0,
    1.0 / 128.0,
    0.0625,
    0.125,
    0.25,
    0.3125,
    0.375,
    0.4375,
    0.5,
    0.625,
    0.75,
    0.875,
    1.0,
    1.25,
    1.5,
    1.75,
    2.0,
    2.5,
    3.0,
    4.0,
    8.0,
    16.0,
    128.0,
    256.0,
    32768.0,
    65536.0,
    f32::INFINITY,
    0.0,
];

/// `fli`: the constant with the op's immediate as its number.
pub(crate) fn float_constant<F: Boxed, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    ready!(hart, op);
    let constant: F = match op.imm() as usize % CONSTANTS.len() {
        1 => F::from_u64(1 << F::SIG_BITS),
        31 => F::from_u64(F::CANONICAL_NAN),
        // The others are exact in both formats.
        index => fp::convert(
            CONSTANTS[index].to_bits(),
            Rounding::Rne,
            &mut fp::Flags::default(),
        ),
    };
    hart.state.registers.file[op.a()] = constant.boxed();
    proceed!(hart, op, N)
}

/// `fround`, or `froundnx`, which tells of inexact results.
pub(crate) fn float_round<const TELLS: bool, F: Boxed, const N: usize>(
    hart: &mut Hart,
    op: Cursor,
) -> Cursor {
    ready!(hart, op, rounding);
    let file = &mut hart.state.registers.file;
    let mut flags = hart.state.csrs.fflags;
    let result = fp::round_to_integral(F::unboxed(file[op.b()]), rounding, &mut flags);
    file[op.a()] = result.boxed();
    let kept = if TELLS {
        flags
    } else {
        let inexact = hart.state.csrs.fflags.bits() & fp::Flags::NX.bits();
        fp::Flags::from_bits(flags.bits() & !fp::Flags::NX.bits() | inexact)
    };
    hart.state.csrs.fflags = kept;
    proceed!(hart, op, N)
}

/// `fcvtmod.w.d`.
pub(crate) fn float_to_integer_modular<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    ready!(hart, op);
    let file = &mut hart.state.registers.file;
    let result = fp::to_int_modular(file[op.b()], &mut hart.state.csrs.fflags);
    file[op.a()] = i64::from(result).cast_unsigned();
    proceed!(hart, op, N)
}
