//! The `/fmt` argument, and what is printed by it: values and memory.

use super::cursor::{Cursor, is_blank};
use std::fmt::Write as _;

/// The most memory that one command shows.
const MAX_DUMP: u64 = 1 << 20;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// `o`
    Octal,
    /// `d`
    Decimal,
    /// `u`
    Unsigned,
    /// `x`
    Hexadecimal,
    /// `c`
    Character,
    /// `i`: for memory, disassembled; for values, decimal.
    Instruction,
}

/// How many items, of which size, written how: `/4xw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// How many items.
    pub count: u32,
    /// How they are written.
    pub base: Base,
    /// The size of an item in bytes: 1, 2, 4 or 8.
    pub size: usize,
}

/// What a format does not say is as in the one before it.
pub(super) const DEFAULT: Format = Format {
    count: 1,
    base: Base::Hexadecimal,
    size: 4,
};

/// Reads a format, if there is one.
pub(super) fn read(cursor: &mut Cursor<'_>, last: &mut Format) -> Result<Format, String> {
    cursor.skip_blanks();
    let mut format = Format { count: 1, ..*last };
    if cursor.peek() == Some(b'/') {
        cursor.bump();
        let digits = cursor.take_while(|byte| byte.is_ascii_digit());
        if !digits.is_empty() {
            format.count = digits.parse().unwrap_or(u32::MAX);
        }
        let letters = cursor.take_while(|byte| !is_blank(byte));
        for letter in letters.chars() {
            format.add(letter)?;
        }
    }
    *last = format;
    Ok(format)
}

impl Format {
    fn add(&mut self, letter: char) -> Result<(), String> {
        match letter {
            'o' => self.base = Base::Octal,
            'd' => self.base = Base::Decimal,
            'u' => self.base = Base::Unsigned,
            'x' => self.base = Base::Hexadecimal,
            'c' => self.base = Base::Character,
            'i' => self.base = Base::Instruction,
            'b' => self.size = 1,
            'h' => self.size = 2,
            'w' => self.size = 4,
            'g' | 'L' => self.size = 8,
            _ => return Err(format!("invalid char in format: '{letter}'")),
        }
        Ok(())
    }

    /// A value, as `print` shows it. The size plays no part.
    #[must_use]
    pub fn value(&self, value: i64) -> String {
        match self.base {
            _ if value == 0 && self.base != Base::Character => "0".into(),
            Base::Octal => format!("0{value:o}"),
            Base::Decimal | Base::Instruction => value.to_string(),
            Base::Unsigned => value.cast_unsigned().to_string(),
            Base::Hexadecimal => format!("{value:#x}"),
            Base::Character => character(value.to_le_bytes()[0]),
        }
    }

    /// Memory from `address` on, as `x` shows it. `read` fills the buffer from
    /// an address, unless it cannot be read. Instructions are for the caller:
    /// they are shown as hexadecimal here.
    #[must_use]
    pub fn dump(&self, address: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) -> String {
        let per_line = if self.size == 1 { 8 } else { 16 };
        let mut left = (u64::from(self.count) * self.size as u64).min(MAX_DUMP);
        // The bytes of an item are characters one by one.
        let size = match self.base {
            Base::Character => 1,
            _ => self.size,
        };
        let mut address = address;
        let mut text = String::new();
        while left > 0 {
            let mut line = [0; 16];
            let length = left.min(per_line);
            let line = &mut line[..length as usize];
            // Writing to a string cannot fail.
            let _ = write!(text, "{address:016x}:");
            if !read(address, line) {
                text.push_str(" Cannot access memory\n");
                break;
            }
            for item in line.chunks(size) {
                text.push(' ');
                text.push_str(&self.item(item));
            }
            text.push('\n');
            left -= length;
            address = address.wrapping_add(length);
        }
        text
    }

    /// An item of memory, little-endian, filled up to the width of the widest.
    fn item(&self, bytes: &[u8]) -> String {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let value = u64::from_le_bytes(wide);
        let bits = bytes.len() * 8;
        match self.base {
            Base::Octal => {
                let text = if value == 0 {
                    "0".into()
                } else {
                    format!("0{value:o}")
                };
                format!("{text:>width$}", width = bits.div_ceil(3))
            }
            Base::Decimal | Base::Unsigned => {
                format!("{value:width$}", width = (bits * 10).div_ceil(33))
            }
            Base::Hexadecimal | Base::Instruction => {
                format!("0x{value:0width$x}", width = bits / 4)
            }
            Base::Character => character(wide[0]),
        }
    }
}

/// A character constant.
fn character(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".into(),
        b'\\' => r"'\\'".into(),
        b'\n' => r"'\n'".into(),
        b'\r' => r"'\r'".into(),
        b' '..=b'~' => format!("'{}'", char::from(byte)),
        _ => format!(r"'\x{byte:02x}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> Result<Format, String> {
        read(&mut Cursor::new(text), &mut DEFAULT.clone())
    }

    #[test]
    fn values_print_as_in_qemu() {
        for (fmt, value, text) in [
            ("/x", 255, "0xff"),
            ("/x", -1, "0xffffffffffffffff"),
            ("/x", 0, "0"),
            ("/xb", 300, "0x12c"),
            ("/d", -1, "-1"),
            ("/i", 5, "5"),
            ("/u", -1, "18446744073709551615"),
            ("/o", 8, "010"),
            ("/o", 0, "0"),
            ("/o", -1, "01777777777777777777777"),
            ("/c", 65, "'A'"),
            ("/c", 10, r"'\n'"),
            ("/c", 39, r"'\''"),
            ("/c", 92, r"'\\'"),
            ("/c", 0, r"'\x00'"),
            ("/c", 200, r"'\xc8'"),
        ] {
            assert_eq!(format(fmt).expect(fmt).value(value), text, "{fmt} {value}");
        }
    }

    /// The start of the boot code of QEMU's board.
    const MEMORY: [u8; 24] = [
        0x97, 0x02, 0, 0, 0x13, 0x86, 0x82, 0x02, 0x73, 0x25, 0x40, 0xf1, 0x83, 0xb5, 0x02, 0x02,
        0x83, 0xb2, 0x82, 0x01, 0, 0, 0, 0,
    ];

    #[test]
    fn memory_prints_as_in_qemu() {
        for (fmt, text) in [
            ("/4xb", "0000000000001000: 0x97 0x02 0x00 0x00\n"),
            ("/4xh", "0000000000001000: 0x0297 0x0000 0x8613 0x0282\n"),
            (
                "/2xg",
                "0000000000001000: 0x0282861300000297 0x0202b583f1402573\n",
            ),
            (
                "/2xL",
                "0000000000001000: 0x0282861300000297 0x0202b583f1402573\n",
            ),
            (
                "/3dw",
                "0000000000001000:        663   42108435 4047512947\n",
            ),
            (
                "/3ow",
                "0000000000001000:       01227  0240503023 036120022563\n",
            ),
            (
                "/5cb",
                "0000000000001000: '\\x97' '\\x02' '\\x00' '\\x00' '\\x13'\n",
            ),
            (
                "/2cw",
                "0000000000001000: '\\x97' '\\x02' '\\x00' '\\x00' '\\x13' '\\x86' '\\x82' '\\x02'\n",
            ),
            ("/3ob", "0000000000001000: 0227  02   0\n"),
            ("/2db", "0000000000001000: 151   2\n"),
            (
                "/3xbw",
                "0000000000001000: 0x00000297 0x02828613 0xf1402573\n",
            ),
            (
                "/9xb",
                "0000000000001000: 0x97 0x02 0x00 0x00 0x13 0x86 0x82 0x02\n0000000000001008: 0x73\n",
            ),
            ("/0x", ""),
        ] {
            let read = |address: u64, line: &mut [u8]| {
                let start = address as usize - 0x1000;
                line.copy_from_slice(&MEMORY[start..start + line.len()]);
                true
            };
            assert_eq!(format(fmt).expect(fmt).dump(0x1000, read), text, "{fmt}");
        }
    }

    #[test]
    fn memory_that_cannot_be_read_ends_the_dump() {
        let text = format("/20xw").expect("a format").dump(0x10, |_, _| false);
        assert_eq!(text, "0000000000000010: Cannot access memory\n");
        let endless = format("/99999999999xb").expect("a format");
        let text = endless.dump(0, |_, _| true);
        assert_eq!(text.lines().count() as u64, MAX_DUMP / 8);
    }

    #[test]
    fn what_is_not_said_is_as_before() {
        let mut last = DEFAULT;
        let mut say = |text: &str| read(&mut Cursor::new(text), &mut last).expect(text);
        assert_eq!(say("/3db").count, 3);
        let format = say(" 5");
        assert_eq!(
            (format.count, format.base, format.size),
            (1, Base::Decimal, 1)
        );
        assert_eq!(say("/ 5").base, Base::Decimal);
    }

    #[test]
    fn a_letter_that_means_nothing_is_named() {
        for (fmt, letter) in [("/t", 't'), ("//", '/'), ("/-1xb", '-'), ("/2xl", 'l')] {
            let fault = format!("invalid char in format: '{letter}'");
            assert_eq!(format(fmt), Err(fault));
        }
    }
}
