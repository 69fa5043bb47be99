//! The four integer types that floating point converts from and to.

/// `i32`, `u32`, `i64` or `u64`.
pub trait Integer: Copy {
    /// Width in bits.
    const BITS: u32;
    /// Whether negative values exist.
    const SIGNED: bool;
    /// The smallest value.
    const MIN: i128;
    /// The largest value, which NaNs convert to.
    const MAX: i128;

    /// The value, widened.
    fn widen(self) -> i128;
    /// The value, of which only the low bits count.
    fn truncate(value: i128) -> Self;
}

macro_rules! impl_integer {
    ($($int:ty),*) => {$(
        impl Integer for $int {
            const BITS: u32 = <$int>::BITS;
            const SIGNED: bool = <$int>::MIN != 0;
            const MIN: i128 = <$int>::MIN as i128;
            const MAX: i128 = <$int>::MAX as i128;

            #[inline]
            fn widen(self) -> i128 {
                i128::from(self)
            }

            #[inline]
            fn truncate(value: i128) -> Self {
                value as Self
            }
        }
    )*};
}

impl_integer!(i32, u32, i64, u64);
