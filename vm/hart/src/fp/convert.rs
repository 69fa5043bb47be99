//! Conversions between formats, and between formats and integers.

use super::{Flags, Format, Host, Integer, Rounding, exact, host_may_decide};

/// `a` in another format.
#[inline]
pub fn convert<F: Format, G: Format>(a: F, rm: Rounding, flags: &mut Flags) -> G {
    let is_widening = G::SIG_BITS > F::SIG_BITS;
    if !a.is_nan() && (is_widening || host_may_decide(rm, *flags)) {
        let value = G::from_host(G::Host::from_f64(a.host().to_f64()));
        if is_widening || value.is_far_from_limits() {
            return value;
        }
    }
    exact::convert(a, rm, flags)
}

/// `value` as a floating-point number.
#[inline]
pub fn from_int<I: Integer, F: Format>(value: I, rm: Rounding, flags: &mut Flags) -> F {
    let wide = value.widen();
    let is_representable = wide.unsigned_abs() >> (F::SIG_BITS + 1) == 0;
    if !is_representable && !host_may_decide(rm, *flags) {
        return exact::from_int(value, rm, flags);
    }
    F::from_host(if I::SIGNED {
        F::Host::from_i64(wide as i64)
    } else {
        F::Host::from_u64(wide as u64)
    })
}

/// `a` rounded to an integer; NV and the nearest limit where there is none, NaNs counting as +∞.
#[inline]
pub fn to_int<F: Format, I: Integer>(a: F, rm: Rounding, flags: &mut Flags) -> I {
    // What C's casts compile to: truncation of a number that fits, from 1 up and short of the top bit.
    let exponent = ((a.magnitude() >> F::SIG_BITS) as u32).wrapping_sub(F::BIAS as u32);
    let has_sign = a.is_negative();
    if rm != Rounding::Rtz || exponent >= I::BITS - 1 || has_sign && !I::SIGNED {
        return exact::to_int(a, rm, flags);
    }
    let implicit = 1 << F::SIG_BITS;
    let fixed = u128::from(a.magnitude() & (implicit - 1) | implicit) << exponent;
    if fixed & u128::from(implicit - 1) != 0 {
        flags.raise(Flags::NX);
    }
    let whole = (fixed >> F::SIG_BITS) as i128;
    I::truncate(if has_sign { -whole } else { whole })
}
