//! The values of parameters: booleans, numbers, byte counts, UUIDs, dates.

use super::error::{Error, Result};

const SIZE_HINT: &str = "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n\
                         and exabytes, respectively.";

/// `on` or `off`, in all spellings.
pub(crate) fn boolean(key: &str, text: &str) -> Result<bool> {
    match text {
        "on" | "yes" | "true" | "y" => Ok(true),
        "off" | "no" | "false" | "n" => Ok(false),
        _ => Err(Error::new(format!(
            "Parameter '{key}' expects 'on' or 'off'"
        ))),
    }
}

/// A whole number in C's notation. A negative one wraps around, as `strtoul`
/// has it: QEMU takes `-1` that way.
pub(crate) fn number(key: &str, text: &str) -> Result<u64> {
    match parse_integer(text) {
        Ok(value) => Ok(value),
        Err(Fault::Range) => Err(out_of_range(key, text)),
        Err(Fault::Syntax) => Err(Error::new(format!("Parameter '{key}' expects a number"))),
    }
}

/// A byte count: a number, possibly with a fraction, and a unit.
pub(crate) fn size(key: &str, text: &str) -> Result<u64> {
    match parse_size(text, 'B') {
        Ok(value) => Ok(value),
        Err(Fault::Range) => Err(out_of_range(key, text)),
        Err(Fault::Syntax) => {
            let message = format!("Parameter '{key}' expects a non-negative number below 2^64");
            Err(Error::new(message).hint(SIZE_HINT))
        }
    }
}

/// What can be wrong with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Range,
    Syntax,
}

/// Reads an integer as C's `strtoul` with base 0 does, to the end of `text`.
pub(crate) fn parse_integer(text: &str) -> Result<u64, Fault> {
    let trimmed = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(Fault::Syntax);
    }
    let value = u64::from_str_radix(digits, radix).map_err(|_| Fault::Range)?;
    Ok(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// Reads a byte count; `unit` is the one that holds when none is written.
pub(crate) fn parse_size(text: &str, unit: char) -> Result<u64, Fault> {
    if let Some(magnitude) = text.strip_prefix('-') {
        return Err(parse_size(magnitude, unit).map_or_else(|fault| fault, |_| Fault::Range));
    }
    if text.starts_with("0x") || text.starts_with("0X") {
        return parse_integer(text);
    }
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    let scale = scale(suffix, unit).ok_or(Fault::Syntax)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if digits.trim_matches('.').is_empty() || fraction.contains('.') {
        return Err(Fault::Syntax);
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let whole: u64 = whole.parse().map_err(|_| Fault::Range)?;
    let bytes = u128::from(whole) * u128::from(scale) + u128::from(part_of(fraction, scale)?);
    u64::try_from(bytes).map_err(|_| Fault::Range)
}

/// The fraction `0.digits` of `scale`, rounded to the nearest byte.
fn part_of(digits: &str, scale: u64) -> Result<u64, Fault> {
    if digits.is_empty() {
        return Ok(0);
    }
    if scale == 1 {
        return Err(Fault::Syntax);
    }
    // More digits than these change nothing that counts.
    let digits = &digits[..digits.len().min(18)];
    let numerator: u128 = digits.parse().map_err(|_| Fault::Syntax)?;
    let denominator = 10_u128.pow(u32::try_from(digits.len()).unwrap_or(18));
    let part = (numerator * u128::from(scale) + denominator / 2) / denominator;
    Ok(u64::try_from(part).unwrap_or(scale))
}

fn scale(suffix: &str, default: char) -> Option<u64> {
    let mut letters = suffix.chars();
    let letter = letters.next().unwrap_or(default);
    if letters.next().is_some() {
        return None;
    }
    let shift = match letter.to_ascii_uppercase() {
        'B' => 0,
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        'P' => 50,
        'E' => 60,
        _ => return None,
    };
    Some(1 << shift)
}

fn out_of_range(key: &str, text: &str) -> Error {
    Error::new(format!(
        "Value '{text}' is out of range for parameter '{key}'"
    ))
}

/// A UUID in its usual form.
pub(crate) fn uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|&dash| bytes[dash] != b'-') {
        return None;
    }
    let mut digits = bytes
        .iter()
        .filter(|&&b| b != b'-')
        .map(|&b| char::from(b).to_digit(16));
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    digits.next().is_none().then_some(uuid)
}

/// Seconds since 1970 of `2006-06-17T16:01:21` or `2006-06-17`, in UTC.
pub(crate) fn datetime(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "0:0:0"));
    let [year, month, day] = fields(date, '-')?;
    let [hour, minute, second] = fields(time, ':')?;
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    valid.then(|| ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn fields(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse::<u32>().ok());
    let fields = [parts.next()??, parts.next()??, parts.next()??];
    (parts.next().is_none() && fields[0] <= 9999).then(|| fields.map(i64::from))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in
/// March here, so that the leap day is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text, expected| assert_eq!(parse_size(text, 'M'), expected, "{text}");
        check("512", Ok(512 << 20));
        check("512k", Ok(512 << 10));
        check("1.5G", Ok(3 << 29));
        check("1b", Ok(1));
        check("0x10", Ok(16));
        check("16E", Err(Fault::Range));
        check("-5", Err(Fault::Range));
        check("99999999999999999999", Err(Fault::Range));
        check("1.5B", Err(Fault::Syntax));
        check("512X", Err(Fault::Syntax));
        check("512kB", Err(Fault::Syntax));
        check("", Err(Fault::Syntax));
        check(".5G", Ok(1 << 29));
        check(".", Err(Fault::Syntax));
        check("k", Err(Fault::Syntax));
    }

    #[test]
    fn integers() {
        let check = |text, expected| assert_eq!(parse_integer(text), expected, "{text}");
        check("12", Ok(12));
        check("0x1f", Ok(31));
        check("017", Ok(15));
        check("0", Ok(0));
        check("-1", Ok(u64::MAX));
        check("+7", Ok(7));
        check("08", Err(Fault::Syntax));
        check("1a", Err(Fault::Syntax));
        check("", Err(Fault::Syntax));
        check("99999999999999999999", Err(Fault::Range));
    }

    #[test]
    fn dates() {
        assert_eq!(datetime("1970-01-01"), Some(0));
        assert_eq!(datetime("2006-06-17T16:01:21"), Some(1_150_560_081));
        assert_eq!(datetime("2000-02-29T00:00:00"), Some(951_782_400));
        assert_eq!(datetime("2000-13-01"), None);
        assert_eq!(datetime("foo"), None);
    }

    #[test]
    fn uuids() {
        let uuid = uuid("550e8400-e29b-41d4-a716-446655440000").map(|bytes| bytes[..3].to_vec());
        assert_eq!(uuid, Some(vec![0x55, 0x0e, 0x84]));
        for wrong in [
            "",
            "foo",
            "550e8400-e29b-41d4-a716-44665544000g",
            "550e8400e29b41d4a716446655440000",
        ] {
            assert_eq!(super::uuid(wrong), None, "{wrong}");
        }
    }
}
