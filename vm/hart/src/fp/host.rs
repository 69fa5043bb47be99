//! The host's own floating point, which rounds to nearest even.

use std::ops::{Add, Div, Mul};

/// `f32` or `f64`.
pub trait Host:
    Copy + PartialOrd + Add<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The square root.
    fn sqrt(self) -> Self;
    /// `self × factor + addend` with one rounding.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The value in binary64, which holds every binary32 exactly.
    fn to_f64(self) -> f64;
    /// The nearest value to a binary64.
    fn from_f64(value: f64) -> Self;
    /// The nearest value to a signed integer of at most 64 bits.
    fn from_i64(value: i64) -> Self;
    /// The nearest value to an unsigned integer of at most 64 bits.
    fn from_u64(value: u64) -> Self;
}

macro_rules! impl_host {
    ($($float:ty),*) => {$(
        impl Host for $float {
            #[inline]
            fn sqrt(self) -> Self {
                self.sqrt()
            }

            #[inline]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                self.mul_add(factor, addend)
            }

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline]
            fn from_f64(value: f64) -> Self {
                value as Self
            }

            #[inline]
            fn from_i64(value: i64) -> Self {
                value as Self
            }

            #[inline]
            fn from_u64(value: u64) -> Self {
                value as Self
            }
        }
    )*};
}

impl_host!(f32, f64);
