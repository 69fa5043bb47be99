//! Numbers between unpacking and rounding.

use super::super::{Format, Rounding};

/// A real number, an infinity or a NaN, without limits of range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Real {
    pub(super) negative: bool,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `invalid` if it came of a signalling NaN or of an operation without a value, such as ∞ − ∞.
    Nan {
        invalid: bool,
    },
    Infinite,
    Zero,
    /// `sig · 2^(exp − 126)`, where bit 126 is the highest set bit of `sig`, so the value is in `[2^exp, 2^(exp + 1))`.
    /// Bit 0 is sticky: it stands for itself or for anything below. Operands have at most 53 significant bits and exact
    /// products 106, so it never meets a position where rounding is decided.
    Finite {
        exp: i32,
        sig: u128,
    },
}

impl Real {
    pub(super) fn unpack<F: Format>(bits: F) -> Self {
        let fraction = bits.magnitude() & ((1 << F::SIG_BITS) - 1);
        let field = bits.magnitude() >> F::SIG_BITS;
        let lowest = 1 - F::BIAS + 126 - F::SIG_BITS as i32;
        let negative = bits.is_negative();
        if bits.is_nan() {
            return Self {
                negative,
                kind: Kind::Nan {
                    invalid: bits.is_signalling(),
                },
            };
        }
        if !bits.is_finite() {
            return Self {
                negative,
                kind: Kind::Infinite,
            };
        }
        match field {
            0 => Self::new(negative, lowest, u128::from(fraction)),
            _ => Self::new(
                negative,
                lowest + field as i32 - 1,
                u128::from(fraction | 1 << F::SIG_BITS),
            ),
        }
    }

    /// `sig · 2^(exp − 126)`, brought to the form [`Kind::Finite`] has.
    pub(super) fn new(negative: bool, exp: i32, sig: u128) -> Self {
        let kind = match sig.leading_zeros() {
            128 => Kind::Zero,
            0 => Kind::Finite {
                exp: exp + 1,
                sig: shift_right_sticky(sig, 1),
            },
            zeros => Kind::Finite {
                exp: exp + 1 - zeros as i32,
                sig: sig << (zeros - 1),
            },
        };
        Self { negative, kind }
    }

    /// The sum; `rm` only gives the sign of an exact zero (IEEE 754 §6.3).
    pub(super) fn plus(self, other: Self, rm: Rounding) -> Self {
        let zero = Self {
            negative: rm == Rounding::Rdn,
            kind: Kind::Zero,
        };
        match (self.kind, other.kind) {
            (Kind::Nan { invalid: a }, Kind::Nan { invalid: b }) => Self::nan(a || b),
            (Kind::Nan { .. }, _) => self,
            (_, Kind::Nan { .. }) => other,
            (Kind::Infinite, Kind::Infinite) if self.negative != other.negative => Self::nan(true),
            (Kind::Infinite, _) => self,
            (_, Kind::Infinite) => other,
            (Kind::Zero, Kind::Zero) if self.negative != other.negative => zero,
            (_, Kind::Zero) => self,
            (Kind::Zero, _) => other,
            (Kind::Finite { exp: a, sig: x }, Kind::Finite { exp: b, sig: y }) => {
                let exp = a.max(b);
                let x = shift_right_sticky(x, exp.abs_diff(a));
                let y = shift_right_sticky(y, exp.abs_diff(b));
                if self.negative == other.negative {
                    Self::new(self.negative, exp, x + y)
                } else if x == y {
                    zero
                } else {
                    Self::new(
                        if x > y { self.negative } else { other.negative },
                        exp,
                        x.abs_diff(y),
                    )
                }
            }
        }
    }

    pub(super) fn times(self, other: Self) -> Self {
        let negative = self.negative != other.negative;
        let kind = match (self.kind, other.kind) {
            (Kind::Nan { invalid: a }, Kind::Nan { invalid: b }) => Kind::Nan { invalid: a || b },
            (nan @ Kind::Nan { .. }, _) | (_, nan @ Kind::Nan { .. }) => nan,
            (Kind::Infinite, Kind::Zero) | (Kind::Zero, Kind::Infinite) => {
                Kind::Nan { invalid: true }
            }
            (Kind::Infinite, _) | (_, Kind::Infinite) => Kind::Infinite,
            (Kind::Zero, _) | (_, Kind::Zero) => Kind::Zero,
            (Kind::Finite { exp: a, sig: x }, Kind::Finite { exp: b, sig: y }) => {
                return Self::new(negative, a + b, (x >> 63) * (y >> 63));
            }
        };
        Self { negative, kind }
    }

    pub(super) fn over(self, divisor: Self) -> Self {
        let negative = self.negative != divisor.negative;
        let kind = match (self.kind, divisor.kind) {
            (Kind::Nan { invalid: a }, Kind::Nan { invalid: b }) => Kind::Nan { invalid: a || b },
            (nan @ Kind::Nan { .. }, _) | (_, nan @ Kind::Nan { .. }) => nan,
            (Kind::Infinite, Kind::Infinite) | (Kind::Zero, Kind::Zero) => {
                Kind::Nan { invalid: true }
            }
            (Kind::Infinite, _) | (_, Kind::Zero) => Kind::Infinite,
            (Kind::Zero, _) | (_, Kind::Infinite) => Kind::Zero,
            (Kind::Finite { exp: a, sig: x }, Kind::Finite { exp: b, sig: y }) => {
                // A quotient of 63 or 64 bits, the remainder sticky below it.
                let (x, y) = (x, y >> 63);
                let sig = (x / y) << 1 | u128::from(x % y != 0);
                return Self::new(negative, a - b + 62, sig);
            }
        };
        Self { negative, kind }
    }

    pub(super) fn root(self) -> Self {
        match self.kind {
            Kind::Nan { .. } | Kind::Zero => self,
            _ if self.negative => Self::nan(true),
            Kind::Infinite => self,
            Kind::Finite { exp, sig } => {
                // value = square · 2^(even − 126), with `even` the exponent made even by moving one bit.
                let square = sig << (exp & 1);
                let even = exp & !1;
                let root = square.isqrt();
                let sig = root << 1 | u128::from(root * root != square);
                Self::new(false, even / 2 + 62, sig)
            }
        }
    }

    fn nan(invalid: bool) -> Self {
        Self {
            negative: false,
            kind: Kind::Nan { invalid },
        }
    }
}

/// `sig >> count`, where bits shifted out leave a one in bit 0.
fn shift_right_sticky(sig: u128, count: u32) -> u128 {
    match count {
        0 => sig,
        1..128 => sig >> count | u128::from(sig << (128 - count) != 0),
        _ => u128::from(sig != 0),
    }
}
