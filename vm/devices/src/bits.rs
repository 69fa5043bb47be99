//! One bit per interrupt source, in words of 32.

/// The bit of `source`.
pub(crate) fn test(bits: &[u32], source: usize) -> bool {
    bits[source / 32] >> (source % 32) & 1 != 0
}

/// Makes the bit of `source` what `value` says.
pub(crate) fn assign(bits: &mut [u32], source: usize, value: bool) {
    let mask = 1 << (source % 32);
    if value {
        bits[source / 32] |= mask;
    } else {
        bits[source / 32] &= !mask;
    }
}
