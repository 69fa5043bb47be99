//! Rounding to a format: the only place where precision and range are lost.

use super::super::{Flags, Format, Rounding};
use super::real::{Kind, Real};

impl Real {
    /// The nearest pattern of the format as `rm` sees it.
    pub(super) fn pack<F: Format>(self, rm: Rounding, flags: &mut Flags) -> F {
        let magnitude = match self.kind {
            Kind::Nan { invalid } => {
                if invalid {
                    flags.raise(Flags::NV);
                }
                return F::from_u64(F::CANONICAL_NAN);
            }
            Kind::Infinite => F::INFINITY,
            Kind::Zero => 0,
            Kind::Finite { exp, sig } => round::<F>(self.negative, exp, sig, rm, flags),
        };
        F::from_u64(if self.negative {
            magnitude | F::SIGN
        } else {
            magnitude
        })
    }
}

fn round<F: Format>(negative: bool, exp: i32, sig: u128, rm: Rounding, flags: &mut Flags) -> u64 {
    let precise = 126 - F::SIG_BITS;
    let below_normal = (1 - F::BIAS - exp).max(0) as u32;
    let (kept, inexact) = drop_bits(sig, precise + below_normal, negative, rm);
    // The significand's top bit adds one to the exponent field, and so does a carry out of rounding.
    let field = (exp + F::BIAS - 1).max(0) as u64;
    let magnitude = (field << F::SIG_BITS).saturating_add(kept as u64);
    if field >= F::EXP_MAX || magnitude >= F::INFINITY {
        flags.raise(Flags::OF);
        flags.raise(Flags::NX);
        return overflow::<F>(negative, rm);
    }
    if inexact {
        flags.raise(Flags::NX);
        if is_tiny::<F>(negative, exp, sig, rm) {
            flags.raise(Flags::UF);
        }
    }
    magnitude
}

/// Whether the value is below the normal range even when rounded as if that had no lower end.
fn is_tiny<F: Format>(negative: bool, exp: i32, sig: u128, rm: Rounding) -> bool {
    let lowest = 1 - F::BIAS;
    if exp + 1 != lowest {
        return exp < lowest;
    }
    let (kept, _) = drop_bits(sig, 126 - F::SIG_BITS, negative, rm);
    kept >> (F::SIG_BITS + 1) == 0
}

/// Infinity, or the largest finite number where `rm` points the other way.
fn overflow<F: Format>(negative: bool, rm: Rounding) -> u64 {
    let away = match rm {
        Rounding::Rne | Rounding::Rmm => true,
        Rounding::Rtz => false,
        Rounding::Rdn => negative,
        Rounding::Rup => !negative,
    };
    if away { F::INFINITY } else { F::INFINITY - 1 }
}

/// `sig` without its low `count` bits, rounded, and whether that lost anything. `sig` is below 2¹²⁷, `count` above 0.
pub(super) fn drop_bits(sig: u128, count: u32, negative: bool, rm: Rounding) -> (u128, bool) {
    // Far beyond the significand, all of it is a little something below one half.
    let (sig, count) = if count < 128 {
        (sig, count)
    } else {
        (u128::from(sig != 0), 127)
    };
    let kept = sig >> count;
    let rest = sig & ((1 << count) - 1);
    let half = 1 << (count - 1);
    let up = match rm {
        Rounding::Rne => rest > half || rest == half && kept & 1 == 1,
        Rounding::Rtz => false,
        Rounding::Rdn => negative && rest != 0,
        Rounding::Rup => !negative && rest != 0,
        Rounding::Rmm => rest >= half,
    };
    (kept + u128::from(up), rest != 0)
}
