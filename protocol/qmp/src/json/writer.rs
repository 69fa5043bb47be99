//! Output as QEMU writes it: ASCII only, blanks after `:` and `,`, doubles
//! with 17 digits, lines ended by CR LF.

use super::scalar::is_noncharacter;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use std::io::{self, Write};

/// How output is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// On one line.
    #[default]
    Compact,
    /// Broken into lines and indented (`pretty=on`).
    Pretty,
}

/// The JSON text of `value`.
///
/// # Errors
/// `value` has a map whose keys are no strings, or fails by itself.
pub fn to_vec<T: Serialize + ?Sized>(value: &T, style: Style) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    append(&mut out, value, style, 0)?;
    Ok(out)
}

/// Appends the JSON text of `value`, which hangs `depth` levels deep in what
/// `out` holds: the return value of a reply hangs at depth 1.
///
/// # Errors
/// As for [`to_vec`]; nothing is appended then.
pub fn append<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
    style: Style,
    depth: usize,
) -> Result<()> {
    let before = out.len();
    let mut serializer = Serializer::with_formatter(&mut *out, Layout { style, depth });
    let result = value.serialize(&mut serializer);
    result.map_err(|error| {
        out.truncate(before);
        Error::generic(error.to_string())
    })
}

struct Layout {
    style: Style,
    depth: usize,
}

impl Layout {
    fn open<W: Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        out.write_all(bracket)
    }

    /// An empty container still breaks the line.
    fn close<W: Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        self.break_line(out)?;
        out.write_all(bracket)
    }

    fn separate<W: Write + ?Sized>(&self, out: &mut W, first: bool) -> io::Result<()> {
        match (first, self.style) {
            (true, _) => {}
            (false, Style::Compact) => out.write_all(b", ")?,
            (false, Style::Pretty) => out.write_all(b",")?,
        }
        self.break_line(out)
    }

    fn break_line<W: Write + ?Sized>(&self, out: &mut W) -> io::Result<()> {
        if self.style == Style::Compact {
            return Ok(());
        }
        out.write_all(b"\r\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"    "))
    }
}

impl Formatter for Layout {
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.separate(out, first)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.separate(out, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_f64<W: Write + ?Sized>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        write_double(out, value)
    }

    fn write_f32<W: Write + ?Sized>(&mut self, out: &mut W, value: f32) -> io::Result<()> {
        write_double(out, f64::from(value))
    }

    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(plain) = rest.bytes().position(|byte| byte >= 0x7F) {
            let (before, special) = rest.split_at(plain);
            out.write_all(before.as_bytes())?;
            let mut characters = special.chars();
            characters
                .next()
                .map_or(Ok(()), |character| write_escaped(out, character))?;
            rest = characters.as_str();
        }
        out.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => out.write_all(br#"\""#),
            CharEscape::ReverseSolidus => out.write_all(br"\\"),
            CharEscape::Solidus => out.write_all(b"/"),
            CharEscape::Backspace => out.write_all(br"\b"),
            CharEscape::FormFeed => out.write_all(br"\f"),
            CharEscape::LineFeed => out.write_all(br"\n"),
            CharEscape::CarriageReturn => out.write_all(br"\r"),
            CharEscape::Tab => out.write_all(br"\t"),
            CharEscape::AsciiControl(byte) => write_unit(out, byte.into()),
        }
    }
}

/// Writes a character beyond printable ASCII. Non-characters are replaced,
/// as QEMU's reader refuses them.
fn write_escaped<W: Write + ?Sized>(out: &mut W, character: char) -> io::Result<()> {
    let shown = if is_noncharacter(character) {
        char::REPLACEMENT_CHARACTER
    } else {
        character
    };
    let mut units = [0; 2];
    shown
        .encode_utf16(&mut units)
        .iter()
        .try_for_each(|&unit| write_unit(out, unit))
}

fn write_unit<W: Write + ?Sized>(out: &mut W, unit: u16) -> io::Result<()> {
    let digit = |shift: u16| b"0123456789ABCDEF"[usize::from(unit >> shift & 0xF)];
    out.write_all(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)])
}

/// Writes a double as C's `%.17g` does: 17 significant digits, without
/// trailing zeros, with an exponent where it is below -4 or above 16.
fn write_double<W: Write + ?Sized>(out: &mut W, value: f64) -> io::Result<()> {
    const DIGITS: i32 = 17;
    // Rust rounds such a text exactly: `-1.2345678901234567e-8`.
    let text = format!("{value:.16e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa
        .strip_prefix('-')
        .map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    out.write_all(sign.as_bytes())?;
    let significant = digits.trim_end_matches('0');
    if !(-4..DIGITS).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(out, "{first}{point}{rest}e{sign}{:02}", exponent.abs());
    }
    if exponent < 0 {
        let zeros = exponent.unsigned_abs() as usize - 1;
        return write!(out, "0.{:0<zeros$}{significant}", "");
    }
    let (whole, fraction) = digits.split_at(exponent as usize + 1);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    write!(out, "{whole}{point}{fraction}")
}
