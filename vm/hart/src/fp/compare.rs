//! Comparisons, minimum, maximum and classification: no rounding, and NV the only flag.

use super::{Flags, Format};

/// FEQ: a quiet comparison, invalid for signalling NaNs only.
#[inline]
pub fn eq<F: Format>(a: F, b: F, flags: &mut Flags) -> bool {
    refuse_signalling(a, b, flags);
    a.host() == b.host()
}

/// FLT: a signalling comparison, invalid for any NaN.
#[inline]
pub fn lt<F: Format>(a: F, b: F, flags: &mut Flags) -> bool {
    refuse_nan(a, b, flags);
    a.host() < b.host()
}

/// FLE: a signalling comparison, invalid for any NaN.
#[inline]
pub fn le<F: Format>(a: F, b: F, flags: &mut Flags) -> bool {
    refuse_nan(a, b, flags);
    a.host() <= b.host()
}

/// FLTQ: a quiet comparison, invalid for signalling NaNs only.
#[inline]
pub fn lt_quiet<F: Format>(a: F, b: F, flags: &mut Flags) -> bool {
    refuse_signalling(a, b, flags);
    a.host() < b.host()
}

/// FLEQ: a quiet comparison, invalid for signalling NaNs only.
#[inline]
pub fn le_quiet<F: Format>(a: F, b: F, flags: &mut Flags) -> bool {
    refuse_signalling(a, b, flags);
    a.host() <= b.host()
}

/// FMINM: the smaller value; a NaN where there is one; −0 rather than +0.
#[inline]
pub fn minimum<F: Format>(a: F, b: F, flags: &mut Flags) -> F {
    match a.is_nan() || b.is_nan() {
        true => nan_of(a, b, flags),
        false => min(a, b, flags),
    }
}

/// FMAXM: the larger value; a NaN where there is one; +0 rather than −0.
#[inline]
pub fn maximum<F: Format>(a: F, b: F, flags: &mut Flags) -> F {
    match a.is_nan() || b.is_nan() {
        true => nan_of(a, b, flags),
        false => max(a, b, flags),
    }
}

/// FMIN: the smaller value; a number rather than a NaN; −0 rather than +0.
#[inline]
pub fn min<F: Format>(a: F, b: F, flags: &mut Flags) -> F {
    number_or_nan(a, b, flags).unwrap_or_else(|| if precedes(a, b) { a } else { b })
}

/// FMAX: the larger value; a number rather than a NaN; +0 rather than −0.
#[inline]
pub fn max<F: Format>(a: F, b: F, flags: &mut Flags) -> F {
    number_or_nan(a, b, flags).unwrap_or_else(|| if precedes(a, b) { b } else { a })
}

/// FCLASS: a mask with one bit set (unpriv "F" §FCLASS).
pub fn classify<F: Format>(a: F) -> u64 {
    if a.is_nan() {
        return if a.is_signalling() { 1 << 8 } else { 1 << 9 };
    }
    let is_normal = a.magnitude() >> F::SIG_BITS != 0;
    // From negative infinity inwards; the positive classes mirror it.
    let rank = match (a.is_finite(), is_normal, a.is_zero()) {
        (false, ..) => 0,
        (_, true, _) => 1,
        (_, _, false) => 2,
        (_, _, true) => 3,
    };
    if a.is_negative() {
        1 << rank
    } else {
        1 << (7 - rank)
    }
}

#[inline]
fn refuse_nan<F: Format>(a: F, b: F, flags: &mut Flags) {
    if a.is_nan() || b.is_nan() {
        flags.raise(Flags::NV);
    }
}

#[inline]
fn refuse_signalling<F: Format>(a: F, b: F, flags: &mut Flags) {
    if a.is_signalling() || b.is_signalling() {
        flags.raise(Flags::NV);
    }
}

/// The result of FMINM and FMAXM where there is a NaN.
fn nan_of<F: Format>(a: F, b: F, flags: &mut Flags) -> F {
    refuse_signalling(a, b, flags);
    F::from_u64(F::CANONICAL_NAN)
}

/// The result of FMIN and FMAX where NaNs decide it.
#[inline]
fn number_or_nan<F: Format>(a: F, b: F, flags: &mut Flags) -> Option<F> {
    refuse_signalling(a, b, flags);
    match (a.is_nan(), b.is_nan()) {
        (false, false) => None,
        (false, true) => Some(a),
        (true, false) => Some(b),
        (true, true) => Some(F::from_u64(F::CANONICAL_NAN)),
    }
}

/// Whether the number `a` orders before `b`, −0 being before +0.
#[inline]
fn precedes<F: Format>(a: F, b: F) -> bool {
    a.host() < b.host() || a.is_negative() && !b.is_negative()
}
