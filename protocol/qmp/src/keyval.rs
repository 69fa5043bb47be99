//! The `key=value,…` syntax of the command line.

/// An integer: decimal, `0x` hexadecimal or `0` octal, with a sign.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, magnitude) = signed(text)?;
    if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        magnitude.try_into().ok()
    }
}

/// An unsigned integer, written as for [`integer`]; a minus sign wraps.
pub(crate) fn unsigned(text: &str) -> Option<u64> {
    let (negative, magnitude) = signed(text)?;
    Some(if negative {
        magnitude.wrapping_neg()
    } else {
        magnitude
    })
}

/// A byte count.
pub(crate) fn size(text: &str) -> Option<u64> {
    unsigned(text)
}

/// A truth value.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "on" | "yes" | "true" | "y" => Some(true),
        "off" | "no" | "false" | "n" => Some(false),
        _ => None,
    }
}

/// A finite number.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Sign and magnitude of an integer in C's notation.
fn signed(text: &str) -> Option<(bool, u64)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0B', '\x0C', '\r']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let plain = digits
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !plain {
        return None;
    }
    Some((negative, u64::from_str_radix(digits, radix).ok()?))
}
