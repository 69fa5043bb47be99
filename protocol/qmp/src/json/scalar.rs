//! From the text of a token to its value: keywords, numbers, strings.

use super::lexer::Token;
use crate::{Error, Result, Value};

/// The value of a token that stands alone.
pub(super) fn value(token: Token, text: &[u8]) -> Result<Value> {
    match token {
        Token::String => string(text).map(Value::String),
        Token::Integer => Ok(integer(text)),
        Token::Float => Ok(Value::Double(double(text))),
        Token::Keyword => keyword(text),
        _ => Err(Error::json("expecting value")),
    }
}

/// `text` as characters, with U+FFFD for each sequence that is no UTF-8.
pub(super) fn lossy(mut text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    while !text.is_empty() {
        let (character, length) = decode(text);
        out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
        text = &text[length..];
    }
    out
}

fn keyword(text: &[u8]) -> Result<Value> {
    match text {
        b"null" => Ok(Value::Null),
        b"true" => Ok(Value::Bool(true)),
        b"false" => Ok(Value::Bool(false)),
        _ => {
            // QEMU formats parse errors into a buffer of 1024 bytes.
            let mut message = format!("invalid keyword '{}'", lossy(text));
            message.truncate(1023);
            Err(Error::json(&message))
        }
    }
}

/// An integer beyond 64 bits becomes a double.
fn integer(text: &[u8]) -> Value {
    let text = ascii(text);
    let signed = text.parse().map(Value::Int);
    let integer = signed.or_else(|_| text.parse().map(Value::Uint));
    integer.unwrap_or_else(|_| Value::Double(double(text.as_bytes())))
}

/// The nearest double; beyond its range that is an infinity.
fn double(text: &[u8]) -> f64 {
    ascii(text)
        .parse()
        .expect("the lexer lets only numbers through")
}

fn ascii(text: &[u8]) -> &str {
    str::from_utf8(text).expect("the lexer lets only ASCII into numbers")
}

/// The content of a quoted string.
fn string(text: &[u8]) -> Result<String> {
    let body = &text[1..text.len() - 1];
    if body.is_ascii() && !body.contains(&b'\\') {
        return Ok(ascii(body).to_owned());
    }
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while !rest.is_empty() {
        let plain = rest
            .iter()
            .position(|&byte| byte == b'\\' || byte >= 0x80)
            .unwrap_or(rest.len());
        out.push_str(ascii(&rest[..plain]));
        rest = &rest[plain..];
        let (character, length) = match rest {
            [] => break,
            // An escape may take in the closing quote, and shows it then.
            [b'\\', ..] => escape(&text[text.len() - 1 - rest.len()..])?,
            _ => match decode(rest) {
                (Some(character), length) => (character, length),
                (None, _) => return Err(Error::json("invalid UTF-8 sequence in string")),
            },
        };
        out.push(character);
        rest = &rest[length..];
    }
    Ok(out)
}

/// The character that an escape sequence means, and the sequence's length.
fn escape(text: &[u8]) -> Result<(char, usize)> {
    let character = match text.get(1) {
        Some(b'u') => return unicode_escape(text),
        Some(&(b'"' | b'\'' | b'\\' | b'/')) => char::from(text[1]),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{C}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        _ => return Err(Error::json("invalid escape sequence in string")),
    };
    Ok((character, 2))
}

fn unicode_escape(text: &[u8]) -> Result<(char, usize)> {
    let (code, length) = match (hex4(text), text.get(6..).and_then(hex4)) {
        (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
            (Some(0x1_0000 + ((high & 0x3FF) << 10 | low & 0x3FF)), 12)
        }
        (code, _) => (code, 6),
    };
    match code.and_then(character) {
        Some(character) => Ok((character, length)),
        None => {
            let shown = lossy(&text[..length.min(text.len())]);
            Err(Error::json(&format!(
                "{shown} is not a valid Unicode character"
            )))
        }
    }
}

/// The number in `\uXXXX` at the start of `text`.
fn hex4(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    digits.iter().try_fold(0, |number, &digit| {
        Some(number << 4 | char::from(digit).to_digit(16)?)
    })
}

/// The character of a code point; surrogates and non-characters are none.
fn character(code: u32) -> Option<char> {
    char::from_u32(code).filter(|&character| !is_noncharacter(character))
}

/// U+FDD0 to U+FDEF, and the last two code points of each plane.
pub(super) fn is_noncharacter(character: char) -> bool {
    matches!(character, '\u{FDD0}'..='\u{FDEF}') || u32::from(character) & 0xFFFE == 0xFFFE
}

/// Decodes the sequence at the start of `bytes`, which is not empty: its
/// character if it is valid, and its length. A sequence counts as its first
/// byte and as many continuation bytes as that promises. `C0 80` is U+0000.
fn decode(bytes: &[u8]) -> (Option<char>, usize) {
    let first = bytes[0];
    let promised = match first.leading_ones() as usize {
        0 => return (Some(char::from(first)), 1),
        ones @ 2..=6 => ones,
        _ => return (None, 1),
    };
    let mut code = u32::from(first) & (0x7F >> promised);
    for length in 1..promised {
        match bytes.get(length) {
            Some(&byte) if byte & 0xC0 == 0x80 => code = code << 6 | u32::from(byte & 0x3F),
            _ => return (None, length),
        }
    }
    let least = [0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000][promised - 2];
    let overlong = code < least && !(code == 0 && promised == 2);
    (character(code).filter(|_| !overlong), promised)
}
