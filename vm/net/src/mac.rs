//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Every station.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it names a group of stations (IEEE 802-2014 §8.2.2).
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddress {
    type Err = ();

    /// Six pairs of hexadecimal digits between colons or dashes.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split([':', '-']);
        let mut bytes = [0; 6];
        for byte in &mut bytes {
            let part = parts.next().ok_or(())?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(());
            }
            *byte = u8::from_str_radix(part, 16).map_err(drop)?;
        }
        match parts.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text() {
        let check = |text: &str, expected: Option<[u8; 6]>| {
            assert_eq!(text.parse().ok(), expected.map(MacAddress), "{text}");
        };
        check("52:54:00:12:34:56", Some([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        check("FF-ff-FF-ff-FF-ff", Some([0xff; 6]));
        check("52:54:00:12:34", None);
        check("52:54:00:12:34:56:78", None);
        check("52:54:00:12:34:5", None);
        check("52:54:00:12:34:+6", None);
        check("", None);
        assert_eq!(
            MacAddress([1, 2, 3, 4, 5, 0xab]).to_string(),
            "01:02:03:04:05:ab"
        );
    }
}
