//! The two interchange formats, and what needs no arithmetic: fields, signs, NaN boxing.

use super::Host;

/// A binary interchange format, implemented by the unsigned integer that holds its bit pattern.
pub trait Format: Copy + Eq + std::fmt::Debug {
    /// The host's type of the same format.
    type Host: Host;

    /// Width of the exponent field.
    const EXP_BITS: u32;
    /// Width of the fraction field.
    const SIG_BITS: u32;

    /// The pattern in the low bits of a `u64`.
    fn to_u64(self) -> u64;
    /// The pattern made of the low bits of `bits`.
    fn from_u64(bits: u64) -> Self;
    /// The value as the host sees it.
    fn host(self) -> Self::Host;
    /// The pattern of a host value.
    fn from_host(value: Self::Host) -> Self;

    /// The exponent field of infinities and NaNs.
    const EXP_MAX: u64 = (1 << Self::EXP_BITS) - 1;
    /// What the exponent field exceeds the exponent by.
    const BIAS: i32 = (1 << (Self::EXP_BITS - 1)) - 1;
    /// The sign bit.
    const SIGN: u64 = 1 << (Self::EXP_BITS + Self::SIG_BITS);
    /// Positive infinity.
    const INFINITY: u64 = Self::EXP_MAX << Self::SIG_BITS;
    /// The fraction field's top bit, which tells quiet NaNs from signalling ones.
    const QUIET: u64 = 1 << (Self::SIG_BITS - 1);
    /// The NaN that every arithmetic operation gives (unpriv "F" §NaN).
    const CANONICAL_NAN: u64 = Self::INFINITY | Self::QUIET;

    /// Whether the sign bit is set.
    #[inline]
    fn is_negative(self) -> bool {
        self.to_u64() & Self::SIGN != 0
    }

    /// The pattern without its sign; ordered as the magnitudes are.
    #[inline]
    fn magnitude(self) -> u64 {
        self.to_u64() & !Self::SIGN
    }

    /// Whether the value is +0 or −0.
    #[inline]
    fn is_zero(self) -> bool {
        self.magnitude() == 0
    }

    /// Whether the value is neither infinite nor a NaN.
    #[inline]
    fn is_finite(self) -> bool {
        self.magnitude() < Self::INFINITY
    }

    /// Whether the value is a NaN of either kind.
    #[inline]
    fn is_nan(self) -> bool {
        self.magnitude() > Self::INFINITY
    }

    /// Whether the value is a signalling NaN.
    #[inline]
    fn is_signalling(self) -> bool {
        self.is_nan() && self.to_u64() & Self::QUIET == 0
    }

    /// Whether a rounded result of this value can have neither overflowed nor been tiny: its exponent is between the
    /// extremes. The smallest normal binade counts as an extreme, for a tiny result may round up into it.
    #[inline]
    fn is_far_from_limits(self) -> bool {
        let exponent = self.magnitude() >> Self::SIG_BITS;
        exponent.wrapping_sub(2) < Self::EXP_MAX - 2
    }
}

impl Format for u32 {
    type Host = f32;
    const EXP_BITS: u32 = 8;
    const SIG_BITS: u32 = 23;

    #[inline]
    fn to_u64(self) -> u64 {
        u64::from(self)
    }

    #[inline]
    fn from_u64(bits: u64) -> Self {
        bits as u32
    }

    #[inline]
    fn host(self) -> f32 {
        f32::from_bits(self)
    }

    #[inline]
    fn from_host(value: f32) -> Self {
        value.to_bits()
    }
}

impl Format for u64 {
    type Host = f64;
    const EXP_BITS: u32 = 11;
    const SIG_BITS: u32 = 52;

    #[inline]
    fn to_u64(self) -> u64 {
        self
    }

    #[inline]
    fn from_u64(bits: u64) -> Self {
        bits
    }

    #[inline]
    fn host(self) -> f64 {
        f64::from_bits(self)
    }

    #[inline]
    fn from_host(value: f64) -> Self {
        value.to_bits()
    }
}

/// `a` with its sign inverted, NaN or not.
#[inline]
pub fn negate<F: Format>(a: F) -> F {
    F::from_u64(a.to_u64() ^ F::SIGN)
}

/// FSGNJ: `a` with the sign of `b`.
#[inline]
pub fn sgnj<F: Format>(a: F, b: F) -> F {
    F::from_u64(a.magnitude() | b.to_u64() & F::SIGN)
}

/// FSGNJN: `a` with the opposite of the sign of `b`.
#[inline]
pub fn sgnjn<F: Format>(a: F, b: F) -> F {
    sgnj(a, negate(b))
}

/// FSGNJX: `a` with the product of both signs.
#[inline]
pub fn sgnjx<F: Format>(a: F, b: F) -> F {
    F::from_u64(a.to_u64() ^ b.to_u64() & F::SIGN)
}

/// A binary32 as a 64-bit register holds it: with all upper bits set (unpriv "D" §NaN boxing).
#[inline]
pub fn box_single(value: u32) -> u64 {
    0xffff_ffff_0000_0000 | u64::from(value)
}

/// The binary32 in a register; the canonical NaN if it is not boxed.
#[inline]
pub fn unbox_single(register: u64) -> u32 {
    if register >> 32 == 0xffff_ffff {
        register as u32
    } else {
        0x7fc0_0000
    }
}
