//! Floating-point instructions over [`crate::fp`].
//!
//! Every handler first looks whether `mstatus.FS` is dirty already; if not, [`Hart::turn_float_on`]
//! makes it so, or traps, and comes back.

use super::proceed;
use crate::Hart;
use crate::code::Cursor;
use crate::fp::{self, Flags, Format, Integer, Rounding};

/// A format as a register holds it.
pub(crate) trait Boxed: Format {
    fn unboxed(register: u64) -> Self;
    fn boxed(self) -> u64;
    /// The raw bits, sign-extended: `fmv.x.w`, `fmv.x.d`.
    fn moved_out(register: u64) -> u64;
    fn moved_in(value: u64) -> u64;
}

impl Boxed for u32 {
    #[inline(always)]
    fn unboxed(register: u64) -> Self {
        fp::unbox_single(register)
    }

    #[inline(always)]
    fn boxed(self) -> u64 {
        fp::box_single(self)
    }

    fn moved_out(register: u64) -> u64 {
        register as i32 as i64 as u64
    }

    fn moved_in(value: u64) -> u64 {
        fp::box_single(value as u32)
    }
}

impl Boxed for u64 {
    #[inline(always)]
    fn unboxed(register: u64) -> Self {
        register
    }

    #[inline(always)]
    fn boxed(self) -> u64 {
        self
    }

    fn moved_out(register: u64) -> u64 {
        register
    }

    fn moved_in(value: u64) -> u64 {
        value
    }
}

/// An integer as a register holds it.
pub(crate) trait Whole: Integer {
    fn from_register(value: u64) -> Self;
    /// 32-bit results are sign-extended, unsigned ones too (unpriv "RV64F").
    fn to_register(self) -> u64;
}

macro_rules! whole {
    ($($integer:ty => $signed:ty),*) => {$(
        impl Whole for $integer {
            #[inline(always)]
            fn from_register(value: u64) -> Self {
                value as Self
            }

            #[inline(always)]
            fn to_register(self) -> u64 {
                i64::from(self as $signed) as u64
            }
        }
    )*};
}
whole!(i32 => i32, u32 => i32, i64 => i64, u64 => i64);

/// An operation of two operands with rounding.
pub(crate) trait Rounded {
    fn apply<F: Format>(a: F, b: F, rounding: Rounding, flags: &mut Flags) -> F;
}

macro_rules! rounded {
    ($($name:ident $function:ident;)*) => {$(
        pub(crate) struct $name;
        impl Rounded for $name {
            #[inline(always)]
            fn apply<F: Format>(a: F, b: F, rounding: Rounding, flags: &mut Flags) -> F {
                fp::$function(a, b, rounding, flags)
            }
        }
    )*};
}
rounded! {
    AddF add;
    SubF sub;
    MulF mul;
    DivF div;
}

/// An operation of two operands that needs no rounding.
pub(crate) trait Plain {
    fn apply<F: Format>(a: F, b: F, flags: &mut Flags) -> F;
}

macro_rules! plain {
    ($($name:ident |$a:ident, $b:ident, $flags:pat_param| $value:expr;)*) => {$(
        pub(crate) struct $name;
        impl Plain for $name {
            #[inline(always)]
            fn apply<F: Format>($a: F, $b: F, $flags: &mut Flags) -> F {
                $value
            }
        }
    )*};
}
plain! {
    Sgnj |a, b, _| fp::sgnj(a, b);
    Sgnjn |a, b, _| fp::sgnjn(a, b);
    Sgnjx |a, b, _| fp::sgnjx(a, b);
    MinF |a, b, flags| fp::min(a, b, flags);
    MaxF |a, b, flags| fp::max(a, b, flags);
    MinimumF |a, b, flags| fp::minimum(a, b, flags);
    MaximumF |a, b, flags| fp::maximum(a, b, flags);
}

/// A comparison.
pub(crate) trait Relation {
    fn holds<F: Format>(a: F, b: F, flags: &mut Flags) -> bool;
}

macro_rules! relation {
    ($($name:ident $function:ident;)*) => {$(
        pub(crate) struct $name;
        impl Relation for $name {
            #[inline(always)]
            fn holds<F: Format>(a: F, b: F, flags: &mut Flags) -> bool {
                fp::$function(a, b, flags)
            }
        }
    )*};
}
relation! {
    Eq eq;
    Lt lt;
    Le le;
    LtQuiet lt_quiet;
    LeQuiet le_quiet;
}

/// Which signs a fused multiplication turns: of the product, of the addend.
pub(crate) trait Signs {
    const PRODUCT: bool;
    const ADDEND: bool;
}

macro_rules! signs {
    ($($name:ident $product:literal $addend:literal;)*) => {$(
        pub(crate) struct $name;
        impl Signs for $name {
            const PRODUCT: bool = $product;
            const ADDEND: bool = $addend;
        }
    )*};
}
signs! {
    Madd false false;
    Msub false true;
    Nmsub true false;
    Nmadd true true;
}

/// The rounding mode of an op: its own, or the one in `frm`, which may be none.
#[inline(always)]
pub(super) fn rounding(hart: &Hart, op: Cursor) -> Option<Rounding> {
    match op.imm() as u8 {
        0 => Some(Rounding::Rne),
        7 => hart.rounding,
        other => Rounding::from_bits(other),
    }
}

/// The second source register, above the rounding mode in the immediate.
#[inline(always)]
fn second(op: Cursor) -> usize {
    usize::from((op.imm() >> 8) as u8)
}

/// Traps or turns on unless floating point is ready, and finds the rounding mode.
macro_rules! ready {
    ($hart:ident, $op:ident) => {
        if !$hart.float_on {
            return $hart.turn_float_on($op);
        }
    };
    ($hart:ident, $op:ident, $rounding:ident) => {
        ready!($hart, $op);
        let Some($rounding) = rounding($hart, $op) else {
            return $hart.raise_illegal($op);
        };
    };
}
pub(super) use ready;

pub(crate) fn float_rounded<O: Rounded, F: Boxed, const N: usize>(
    hart: &mut Hart,
    op: Cursor,
) -> Cursor {
    ready!(hart, op, rounding);
    let file = &mut hart.state.registers.file;
    let (a, b) = (F::unboxed(file[op.b()]), F::unboxed(file[second(op)]));
    let result = O::apply(a, b, rounding, &mut hart.state.csrs.fflags);
    file[op.a()] = result.boxed();
    proceed!(hart, op, N)
}

pub(crate) fn float_sqrt<F: Boxed, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    ready!(hart, op, rounding);
    let file = &mut hart.state.registers.file;
    let result = fp::sqrt(
        F::unboxed(file[op.b()]),
        rounding,
        &mut hart.state.csrs.fflags,
    );
    file[op.a()] = result.boxed();
    proceed!(hart, op, N)
}

pub(crate) fn float_fused<S: Signs, F: Boxed, const N: usize>(
    hart: &mut Hart,
    op: Cursor,
) -> Cursor {
    ready!(hart, op, rounding);
    let file = &mut hart.state.registers.file;
    let third = usize::from((op.imm() >> 16) as u8);
    let (a, b) = (F::unboxed(file[op.b()]), F::unboxed(file[second(op)]));
    let c = F::unboxed(file[third]);
    let a = if S::PRODUCT { fp::negate(a) } else { a };
    let c = if S::ADDEND { fp::negate(c) } else { c };
    let result = fp::mul_add(a, b, c, rounding, &mut hart.state.csrs.fflags);
    file[op.a()] = result.boxed();
    proceed!(hart, op, N)
}

pub(crate) fn float_plain<O: Plain, F: Boxed, const N: usize>(
    hart: &mut Hart,
    op: Cursor,
) -> Cursor {
    ready!(hart, op);
    let file = &mut hart.state.registers.file;
    let (a, b) = (F::unboxed(file[op.b()]), F::unboxed(file[second(op)]));
    file[op.a()] = O::apply(a, b, &mut hart.state.csrs.fflags).boxed();
    proceed!(hart, op, N)
}

pub(crate) fn float_compare<R: Relation, F: Boxed, const N: usize>(
    hart: &mut Hart,
    op: Cursor,
) -> Cursor {
    ready!(hart, op);
    let file = &mut hart.state.registers.file;
    let (a, b) = (F::unboxed(file[op.b()]), F::unboxed(file[second(op)]));
    file[op.a()] = R::holds(a, b, &mut hart.state.csrs.fflags).into();
    proceed!(hart, op, N)
}

pub(crate) fn float_convert<F: Boxed, G: Boxed, const N: usize>(
    hart: &mut Hart,
    op: Cursor,
) -> Cursor {
    ready!(hart, op, rounding);
    let file = &mut hart.state.registers.file;
    let from = F::unboxed(file[op.b()]);
    let result: G = fp::convert(from, rounding, &mut hart.state.csrs.fflags);
    file[op.a()] = result.boxed();
    proceed!(hart, op, N)
}

pub(crate) fn float_to_integer<I: Whole, F: Boxed, const N: usize>(
    hart: &mut Hart,
    op: Cursor,
) -> Cursor {
    ready!(hart, op, rounding);
    let file = &mut hart.state.registers.file;
    let from = F::unboxed(file[op.b()]);
    let result: I = fp::to_int(from, rounding, &mut hart.state.csrs.fflags);
    file[op.a()] = result.to_register();
    proceed!(hart, op, N)
}

pub(crate) fn float_from_integer<I: Whole, F: Boxed, const N: usize>(
    hart: &mut Hart,
    op: Cursor,
) -> Cursor {
    ready!(hart, op, rounding);
    let file = &mut hart.state.registers.file;
    let from = I::from_register(file[op.b()]);
    let result: F = fp::from_int(from, rounding, &mut hart.state.csrs.fflags);
    file[op.a()] = result.boxed();
    proceed!(hart, op, N)
}

pub(crate) fn float_to_bits<F: Boxed, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    ready!(hart, op);
    let file = &mut hart.state.registers.file;
    file[op.a()] = F::moved_out(file[op.b()]);
    proceed!(hart, op, N)
}

pub(crate) fn float_from_bits<F: Boxed, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    ready!(hart, op);
    let file = &mut hart.state.registers.file;
    file[op.a()] = F::moved_in(file[op.b()]);
    proceed!(hart, op, N)
}

pub(crate) fn float_classify<F: Boxed, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    ready!(hart, op);
    let file = &mut hart.state.registers.file;
    file[op.a()] = fp::classify(F::unboxed(file[op.b()]));
    proceed!(hart, op, N)
}
