//! IEEE 754-2008 arithmetic as the F and D extensions need it, bit for bit.
//!
//! Values are plain bit patterns: `u32` is binary32 and `u64` binary64, and every function is generic over [`Format`].
//! Rounding is an argument, exceptions accrue in [`Flags`], NaN results are canonical, and tininess is detected after
//! rounding (unpriv "F" §NaN, §Subnormal).
//!
//! Each operation has two faces. The one here is inline and uses the host's arithmetic whenever that is provably the
//! same, flags included; otherwise it calls its namesake in [`exact`], which works on integers only.
//!
//! The host decides nothing unless the rounding mode is [`Rounding::Rne`] and `NX` is set already: then inexactness
//! needs no detection, and what remains (overflow, underflow, invalid, division by zero) shows in the result's exponent.

mod compare;
mod convert;
pub mod exact;
mod format;
mod host;
mod integer;

pub use compare::{classify, eq, le, le_quiet, lt, lt_quiet, max, maximum, min, minimum};
pub use convert::{convert, from_int, to_int};
pub use exact::{round_to_integral, to_int_modular};
pub use format::{Format, box_single, negate, sgnj, sgnjn, sgnjx, unbox_single};
pub use host::Host;
pub use integer::Integer;

/// A rounding mode, numbered as in the `rm` field and `frm` (unpriv "F" §fcsr).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rounding {
    /// To nearest, ties to even.
    Rne = 0,
    /// Towards zero.
    Rtz = 1,
    /// Down, towards −∞.
    Rdn = 2,
    /// Up, towards +∞.
    Rup = 3,
    /// To nearest, ties to the larger magnitude.
    Rmm = 4,
}

impl Rounding {
    /// The mode that `rm` encodes: 5 and 6 are reserved, and 7 ("dynamic") is for the caller to look up.
    #[inline]
    pub fn from_bits(rm: u8) -> Option<Self> {
        Some(match rm {
            0 => Self::Rne,
            1 => Self::Rtz,
            2 => Self::Rdn,
            3 => Self::Rup,
            4 => Self::Rmm,
            _ => return None,
        })
    }
}

/// The accrued exceptions, laid out as `fflags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// Inexact.
    pub const NX: Self = Self(1 << 0);
    /// Underflow: tiny after rounding, and inexact.
    pub const UF: Self = Self(1 << 1);
    /// Overflow.
    pub const OF: Self = Self(1 << 2);
    /// Division of a finite number by zero.
    pub const DZ: Self = Self(1 << 3);
    /// Invalid operation.
    pub const NV: Self = Self(1 << 4);

    /// The flags in the low five bits of `fflags`; higher bits are dropped.
    #[inline]
    pub fn from_bits(fflags: u8) -> Self {
        Self(fflags & 0x1f)
    }

    /// The value of `fflags`.
    #[inline]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `flags` are set.
    #[inline]
    pub fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Sets `flags`; flags never clear themselves.
    #[inline]
    pub fn raise(&mut self, flags: Self) {
        self.0 |= flags.0;
    }
}

/// `a + b`.
#[inline]
pub fn add<F: Format>(a: F, b: F, rm: Rounding, flags: &mut Flags) -> F {
    if host_may_decide(rm, *flags) {
        let sum = F::from_host(a.host() + b.host());
        // A tiny sum is always exact, so only infinities and NaNs need a second look.
        if sum.is_finite() {
            return sum;
        }
    }
    exact::add(a, b, rm, flags)
}

/// `a - b`.
#[inline]
pub fn sub<F: Format>(a: F, b: F, rm: Rounding, flags: &mut Flags) -> F {
    add(a, negate(b), rm, flags)
}

/// `a × b`.
#[inline]
pub fn mul<F: Format>(a: F, b: F, rm: Rounding, flags: &mut Flags) -> F {
    if host_may_decide(rm, *flags) {
        let product = F::from_host(a.host() * b.host());
        if product.is_far_from_limits() || product.is_zero() && (a.is_zero() || b.is_zero()) {
            return product;
        }
    }
    exact::mul(a, b, rm, flags)
}

/// `a ÷ b`.
#[inline]
pub fn div<F: Format>(a: F, b: F, rm: Rounding, flags: &mut Flags) -> F {
    if host_may_decide(rm, *flags) {
        let quotient = F::from_host(a.host() / b.host());
        if quotient.is_far_from_limits() || quotient.is_zero() && a.is_zero() {
            return quotient;
        }
    }
    exact::div(a, b, rm, flags)
}

/// `√a`.
#[inline]
pub fn sqrt<F: Format>(a: F, rm: Rounding, flags: &mut Flags) -> F {
    if host_may_decide(rm, *flags) {
        let root = F::from_host(a.host().sqrt());
        if root.is_finite() {
            return root;
        }
    }
    exact::sqrt(a, rm, flags)
}

/// `a × b + c` with one rounding; FMSUB, FNMSUB and FNMADD [`negate`] their operands first.
#[inline]
pub fn mul_add<F: Format>(a: F, b: F, c: F, rm: Rounding, flags: &mut Flags) -> F {
    if host_may_decide(rm, *flags) {
        let sum = F::from_host(a.host().mul_add(b.host(), c.host()));
        if sum.is_far_from_limits() {
            return sum;
        }
    }
    exact::mul_add(a, b, c, rm, flags)
}

#[inline]
fn host_may_decide(rm: Rounding, flags: Flags) -> bool {
    rm == Rounding::Rne && flags.contains(Flags::NX)
}
