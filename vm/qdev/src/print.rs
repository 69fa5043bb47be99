//! Values as `info qtree` shows them.

use tinamou_qmp::Value;

use crate::Kind;

/// A value the way the human monitor prints it; nothing for kinds that it
/// leaves out.
#[must_use]
pub fn print(kind: Kind, value: &Value) -> Option<String> {
    let text = match (kind, value) {
        (Kind::Link(_) | Kind::Child(_) | Kind::BootIndex, _) => return None,
        (Kind::PciAddress, Value::Int(devfn)) if (0..256).contains(devfn) => {
            format!("{:02x}.{:x}", devfn >> 3, devfn & 7)
        }
        (Kind::PciAddress, _) => "<unset>".to_owned(),
        (Kind::Size | Kind::Size32 | Kind::BlockSize, value) => size(as_u64(value)?),
        (_, Value::Bool(on)) => on.to_string(),
        (_, Value::Int(number)) => format!("{number} ({number:#x})"),
        (_, Value::Uint(number)) => format!("{number} ({number:#x})"),
        (_, Value::String(text)) => format!("\"{text}\""),
        _ => "<null>".to_owned(),
    };
    Some(text)
}

fn as_u64(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Uint(number) => Some(*number),
        _ => None,
    }
}

/// A number of bytes, and the same in the largest unit that leaves at least
/// one before the point, to three significant digits.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let mut unit = 0;
    while unit < 6 && bytes >> (10 * unit) >= 1000 {
        unit += 1;
    }
    let shown = bytes as f64 / (1_u64 << (10 * unit)) as f64;
    let shown = significant(shown);
    format!("{bytes} ({shown} {}B)", UNITS[unit])
}

/// Three significant digits without trailing zeros, as C's `%0.3g`.
fn significant(number: f64) -> String {
    let decimals = match number {
        n if n >= 99.95 => 0,
        n if n >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{number:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printed() {
        let check = |kind, value, expected: Option<&str>| {
            assert_eq!(print(kind, &value).as_deref(), expected, "{value:?}");
        };
        check(Kind::Bool, Value::Bool(true), Some("true"));
        check(Kind::U32, Value::Int(2), Some("2 (0x2)"));
        check(Kind::I32, Value::Int(-1), Some("-1 (0xffffffffffffffff)"));
        check(Kind::Size, Value::Int(4096), Some("4096 (4 KiB)"));
        check(Kind::Size, Value::Int(512), Some("512 (512 B)"));
        check(Kind::Size, Value::Int(0), Some("0 (0 B)"));
        check(
            Kind::Size,
            Value::Int(0x4000_0000),
            Some("1073741824 (1 GiB)"),
        );
        check(Kind::Size, Value::Int(1000), Some("1000 (0.98 KiB)"));
        check(Kind::PciAddress, Value::Int(0x40), Some("08.0"));
        check(Kind::Str, Value::String("a".into()), Some("\"a\""));
        check(Kind::List, Value::Null, Some("<null>"));
        check(Kind::Link("x"), Value::String("a".into()), None);
    }
}
