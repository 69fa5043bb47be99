//! Numbers, sizes and truth values in text.

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

/// A byte count: hexadecimal, or decimal with a unit, and then perhaps with a
/// fraction, which is rounded to whole bytes.
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = skip_blanks(text);
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return digits_only(digits, 16);
    }
    let (number, unit) = match text.char_indices().next_back()? {
        (_, '0'..='9' | '.') => (text, None),
        (at, unit) => (&text[..at], Some(unit.to_ascii_uppercase())),
    };
    let shift = match unit {
        None | Some('B') => 0,
        Some(unit) => 10 * (1 + "KMGTPE".find(unit)?),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let scale = 1_u64 << shift;
    let whole = if whole.is_empty() {
        0
    } else {
        digits_only(whole, 10)?
    };
    whole
        .checked_mul(scale)?
        .checked_add(scaled(fraction, scale)?)
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

/// The digits after the point times `scale`. Single bytes have no fraction.
fn scaled(fraction: &str, scale: u64) -> Option<u64> {
    if fraction.is_empty() {
        return Some(0);
    }
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    if scale == 1 && fraction != 0.0 {
        return None;
    }
    Some((fraction * scale as f64 + 0.5) as u64)
}

/// Sign and magnitude of an integer in C's notation.
fn signed(text: &str) -> Option<(bool, u64)> {
    let text = skip_blanks(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => digits_only(&digits[2..], 16),
        [b'0', _, ..] => digits_only(&digits[1..], 8),
        _ => digits_only(digits, 10),
    };
    Some((negative, magnitude?))
}

/// A number of digits alone: no sign, no blanks.
fn digits_only(digits: &str, radix: u32) -> Option<u64> {
    let digits = Some(digits).filter(|digits| !digits.starts_with('+'))?;
    u64::from_str_radix(digits, radix).ok()
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\x0B', '\x0C', '\r'])
}
