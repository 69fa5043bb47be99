//! Rust types of properties.

use std::fmt;
use std::str::FromStr;

use tinamou_qmp::Value;

use crate::Kind;

/// A type that a field of [`properties!`](crate::properties) can have.
pub trait Convert: Sized {
    /// The kind of value it holds unless the declaration says otherwise.
    const KIND: Kind;

    /// Takes a value that was read by a suitable kind.
    fn from_value(value: &Value) -> Option<Self>;

    /// The value as `qom-get` shows it.
    fn to_value(&self) -> Value;
}

macro_rules! integers {
    ($($type:ty, $kind:ident;)*) => {$(
        impl Convert for $type {
            const KIND: Kind = Kind::$kind;

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Int(number) => (*number).try_into().ok(),
                    Value::Uint(number) => (*number).try_into().ok(),
                    _ => None,
                }
            }

            fn to_value(&self) -> Value {
                match i64::try_from(*self) {
                    Ok(number) => Value::Int(number),
                    Err(_) => Value::Uint(*self as u64),
                }
            }
        }
    )*};
}

integers! {
    u8, U8;
    u16, U16;
    u32, U32;
    u64, U64;
    i32, I32;
    i64, I64;
}

impl Convert for bool {
    const KIND: Kind = Kind::Bool;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(on) => Some(*on),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
}

/// Text that may be absent, which reads as empty text.
impl Convert for Option<String> {
    const KIND: Kind = Kind::Str;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text.clone())),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.clone().unwrap_or_default())
    }
}

/// A number of bytes that may be left to the device, which no listing shows.
impl Convert for Option<u64> {
    const KIND: Kind = Kind::Size;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            _ => u64::from_value(value).map(Some),
        }
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, u64::to_value)
    }
}

/// A value of a kind that has no type of its own here.
impl Convert for Value {
    const KIND: Kind = Kind::List;

    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }

    fn to_value(&self) -> Value {
        self.clone()
    }
}

/// On, off, or whatever suits the device best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOffAuto {
    /// As the device likes.
    #[default]
    Auto,
    /// On.
    On,
    /// Off.
    Off,
}

impl OnOffAuto {
    /// Whether it is on, if `auto` means `default`.
    #[must_use]
    pub fn unwrap_or(self, default: bool) -> bool {
        match self {
            Self::Auto => default,
            Self::On => true,
            Self::Off => false,
        }
    }
}

impl Convert for OnOffAuto {
    const KIND: Kind = Kind::ON_OFF_AUTO;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(word) if word == "auto" => Some(Self::Auto),
            Value::String(word) if word == "on" => Some(Self::On),
            Value::String(word) if word == "off" => Some(Self::Off),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        let word = match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        };
        Value::String(word.to_owned())
    }
}

/// The hardware address of a network card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MacAddr(pub [u8; 6]);

/// `52:54:00:12:34:56`, or dashes in place of the colons.
impl FromStr for MacAddr {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = text.as_bytes();
        if bytes.len() != 17 {
            return Err(());
        }
        let mut address = [0; 6];
        for (place, byte) in address.iter_mut().enumerate() {
            let at = place * 3;
            if place < 5 && !matches!(bytes[at + 2], b':' | b'-') {
                return Err(());
            }
            let digit = |at: usize| char::from(bytes[at]).to_digit(16).ok_or(());
            let number = digit(at)? << 4 | digit(at + 1)?;
            *byte = u8::try_from(number).map_err(|_| ())?;
        }
        Ok(Self(address))
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An address, or all zeros for one that is yet to be chosen.
impl Convert for MacAddr {
    const KIND: Kind = Kind::Mac;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.to_string())
    }
}

/// The slot (five bits) and function (three bits) of a PCI device, if they
/// are chosen; the first free slot otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DevFn(pub Option<u8>);

/// `06.0` or `06`, in hexadecimal.
impl FromStr for DevFn {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (slot, function) = text.split_once('.').unwrap_or((text, "0"));
        let number = |text: &str, limit: u8| {
            let digits = text.chars().all(|c| c.is_ascii_hexdigit());
            let number = u8::from_str_radix(text, 16).map_err(|_| ())?;
            (digits && number < limit).then_some(number).ok_or(())
        };
        let (slot, function) = (number(slot, 32)?, number(function, 8)?);
        Ok(Self(Some(slot << 3 | function)))
    }
}

impl Convert for DevFn {
    const KIND: Kind = Kind::PciAddress;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(-1) => Some(Self(None)),
            Value::Int(number) => u8::try_from(*number).ok().map(|number| Self(Some(number))),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Int(self.0.map_or(-1, i64::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        let check = |text: &str, expected: Result<[u8; 6], ()>| {
            assert_eq!(text.parse::<MacAddr>().map(|mac| mac.0), expected, "{text}");
        };
        check("52:54:00:12:34:56", Ok([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        check("52-54-00-12-34-5F", Ok([0x52, 0x54, 0, 0x12, 0x34, 0x5f]));
        check("52:54:00:12:34", Err(()));
        check("52:54:00:12:34:5g", Err(()));
        check("52:54:00:12:34:56:", Err(()));
        check("52:54:00:12:34:é", Err(()));
        assert_eq!(
            MacAddr([1, 2, 3, 4, 5, 0xff]).to_string(),
            "01:02:03:04:05:ff"
        );
    }

    #[test]
    fn pci_addresses() {
        let check = |text: &str, expected: Result<u8, ()>| {
            let expected = expected.map(|devfn| DevFn(Some(devfn)));
            assert_eq!(text.parse::<DevFn>(), expected, "{text}");
        };
        check("6", Ok(0x30));
        check("06.0", Ok(0x30));
        check("1f.7", Ok(0xff));
        check("20", Err(()));
        check("1.8", Err(()));
        check("+1", Err(()));
        check("", Err(()));
        check("1.", Err(()));
    }
}
