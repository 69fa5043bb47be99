//! The same operations on integers only, right for every operand, rounding mode and flag.
//!
//! An operation unpacks its operands to `Real`s, computes with those as if without limits (what falls off the end
//! leaves a sticky bit), and packs the result, which is the only place that rounds.

mod real;
mod round;

use super::{Flags, Format, Integer, Rounding};
use real::{Kind, Real};

/// `a + b`.
#[inline(never)]
pub fn add<F: Format>(a: F, b: F, rm: Rounding, flags: &mut Flags) -> F {
    Real::unpack(a).plus(Real::unpack(b), rm).pack(rm, flags)
}

/// `a × b`.
#[inline(never)]
pub fn mul<F: Format>(a: F, b: F, rm: Rounding, flags: &mut Flags) -> F {
    Real::unpack(a).times(Real::unpack(b)).pack(rm, flags)
}

/// `a ÷ b`.
#[inline(never)]
pub fn div<F: Format>(a: F, b: F, rm: Rounding, flags: &mut Flags) -> F {
    let (dividend, divisor) = (Real::unpack(a), Real::unpack(b));
    if matches!(
        (dividend.kind, divisor.kind),
        (Kind::Finite { .. }, Kind::Zero)
    ) {
        flags.raise(Flags::DZ);
    }
    dividend.over(divisor).pack(rm, flags)
}

/// `√a`.
#[inline(never)]
pub fn sqrt<F: Format>(a: F, rm: Rounding, flags: &mut Flags) -> F {
    Real::unpack(a).root().pack(rm, flags)
}

/// `a × b + c` with one rounding.
#[inline(never)]
pub fn mul_add<F: Format>(a: F, b: F, c: F, rm: Rounding, flags: &mut Flags) -> F {
    let product = Real::unpack(a).times(Real::unpack(b));
    product.plus(Real::unpack(c), rm).pack(rm, flags)
}

/// `a` in another format.
#[inline(never)]
pub fn convert<F: Format, G: Format>(a: F, rm: Rounding, flags: &mut Flags) -> G {
    Real::unpack(a).pack(rm, flags)
}

/// `value` as a floating-point number.
#[inline(never)]
pub fn from_int<I: Integer, F: Format>(value: I, rm: Rounding, flags: &mut Flags) -> F {
    let wide = value.widen();
    Real::new(wide < 0, 126, wide.unsigned_abs()).pack(rm, flags)
}

/// FROUNDNX: `a` rounded to an integer of its format; a result of zero keeps the sign.
#[inline(never)]
pub fn round_to_integral<F: Format>(a: F, rm: Rounding, flags: &mut Flags) -> F {
    let real = Real::unpack(a);
    match real.kind {
        Kind::Finite { exp, sig } if exp < F::SIG_BITS as i32 => {
            let (whole, inexact) = round::drop_bits(sig, (126 - exp) as u32, real.negative, rm);
            if inexact {
                flags.raise(Flags::NX);
            }
            Real::new(real.negative, 126, whole).pack(rm, flags)
        }
        _ => real.pack(rm, flags),
    }
}

/// FCVTMOD.W.D: `a` rounded towards zero, modulo 2³²; 0 for infinities and NaNs. The flags are
/// those of a conversion that may not overflow.
#[inline(never)]
pub fn to_int_modular(a: u64, flags: &mut Flags) -> i32 {
    let _: i32 = to_int(a, Rounding::Rtz, flags);
    let real = Real::unpack(a);
    let Kind::Finite { exp, sig } = real.kind else {
        return 0;
    };
    // From 2⁸⁵ on, all bits are above those that count.
    let magnitude = if exp < 85 {
        round::drop_bits(sig, (126 - exp) as u32, false, Rounding::Rtz).0
    } else {
        0
    };
    let result = (magnitude as u32).cast_signed();
    if real.negative {
        result.wrapping_neg()
    } else {
        result
    }
}

/// `a` rounded to an integer; NV and the nearest limit where there is none, NaNs counting as +∞.
#[inline(never)]
pub fn to_int<F: Format, I: Integer>(a: F, rm: Rounding, flags: &mut Flags) -> I {
    let a = Real::unpack(a);
    let (magnitude, inexact) = match a.kind {
        Kind::Zero => (0, false),
        Kind::Finite { exp, sig } if exp <= 64 => {
            round::drop_bits(sig, (126 - exp) as u32, a.negative, rm)
        }
        Kind::Nan { .. } | Kind::Infinite | Kind::Finite { .. } => (1 << 65, false),
    };
    let is_below = a.negative && !matches!(a.kind, Kind::Nan { .. });
    let value = if is_below {
        -(magnitude as i128)
    } else {
        magnitude as i128
    };
    if !(I::MIN..=I::MAX).contains(&value) {
        flags.raise(Flags::NV);
    } else if inexact {
        flags.raise(Flags::NX);
    }
    I::truncate(value.clamp(I::MIN, I::MAX))
}
