//! Whom a certificate is for, written as GnuTLS writes it, which is what QEMU's users compare
//! with: `C=GB,O=Example Home,CN=laptop`, in the certificate's own order (RFC 4514 otherwise).
//!
//! Only as much of DER (X.690) is read as leads to the name.

use std::fmt::Write as _;

/// The subject of a certificate, unless it makes no sense.
pub(crate) fn subject(certificate: &[u8]) -> Option<String> {
    let mut certificate = Der(Der(certificate).expect(SEQUENCE)?);
    let mut fields = Der(certificate.expect(SEQUENCE)?);
    if fields.0.first() == Some(&VERSION) {
        fields.next()?;
    }
    // Serial number, signature, issuer, validity (RFC 5280 §4.1).
    for _ in 0..4 {
        fields.next()?;
    }
    name(fields.expect(SEQUENCE)?)
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]`: which version a certificate has.
const VERSION: u8 = 0xa0;

/// Names of attributes, by the encoding of their object identifiers.
const ATTRIBUTES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "surName"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "street"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 13], "description"),
    (&[0x55, 4, 15], "businessCategory"),
    (&[0x55, 4, 17], "postalCode"),
    (&[0x55, 4, 41], "name"),
    (&[0x55, 4, 42], "givenName"),
    (&[0x55, 4, 43], "initials"),
    (&[0x55, 4, 44], "generationQualifier"),
    (&[0x55, 4, 46], "dnQualifier"),
    (&[0x55, 4, 65], "pseudonym"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1],
        "UID",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "EMAIL"),
];

/// Elements one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag, its content, and both with the length between them.
    fn next(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let all = self.0;
        let (&tag, rest) = all.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            0..=0x7f => first.into(),
            // More than four bytes of length are no certificate's.
            0x81..=0x84 => {
                let (bytes, after) = rest.split_at_checked((first & 0x7f).into())?;
                rest = after;
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content, &all[..all.len() - rest.len()]))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, content, _) = self.next()?;
        (tag == wanted).then_some(content)
    }
}

/// Relative names joined by commas, the attributes of one by plus signs.
fn name(content: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut relatives = Der(content);
    while !relatives.0.is_empty() {
        let mut separator = if text.is_empty() { "" } else { "," };
        let mut attributes = Der(relatives.expect(SET)?);
        while !attributes.0.is_empty() {
            let mut attribute = Der(attributes.expect(SEQUENCE)?);
            let kind = attribute.expect(OBJECT_IDENTIFIER)?;
            let (tag, value, whole) = attribute.next()?;
            text.push_str(separator);
            separator = "+";
            let known = ATTRIBUTES.iter().find(|(encoded, _)| *encoded == kind);
            match (known, decode(tag, value)) {
                (Some((_, name)), Some(value)) => {
                    let _ = write!(text, "{name}={}", escape(&value));
                }
                (Some((_, name)), None) => {
                    let _ = write!(text, "{name}=#{}", hex(whole));
                }
                (None, _) => {
                    let _ = write!(text, "{}=#{}", dotted(kind)?, hex(whole));
                }
            }
        }
    }
    Some(text)
}

/// The text in a value that is one.
fn decode(tag: u8, value: &[u8]) -> Option<String> {
    const UTF8: u8 = 0x0c;
    const PRINTABLE: u8 = 0x13;
    const TELETEX: u8 = 0x14;
    const IA5: u8 = 0x16;
    const BMP: u8 = 0x1e;
    match tag {
        UTF8 | PRINTABLE | TELETEX | IA5 => String::from_utf8(value.to_vec()).ok(),
        BMP if value.len().is_multiple_of(2) => {
            let units = value.chunks_exact(2);
            let units: Vec<_> = units
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// RFC 4514 §2.4, as GnuTLS does it.
fn escape(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, letter) in value.char_indices() {
        let escaped = match letter {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => at == 0 || at == last,
            '#' => at == 0,
            _ => false,
        };
        if escaped {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An object identifier in figures (X.690 §8.19).
fn dotted(encoded: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut number = 0u64;
    for byte in encoded {
        number = number.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let (first, rest) = numbers.split_first()?;
    let top = (first / 40).min(2);
    let mut text = format!("{top}.{}", first - 40 * top);
    for number in rest {
        let _ = write!(text, ".{number}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut element = vec![tag];
        match u8::try_from(content.len()) {
            Ok(length @ 0..=0x7f) => element.push(length),
            _ => element.extend([0x82, (content.len() >> 8) as u8, content.len() as u8]),
        }
        element.extend(content);
        element
    }

    fn attribute(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let content = [element(OBJECT_IDENTIFIER, kind), element(tag, value)].concat();
        element(SEQUENCE, &content)
    }

    fn common_name(value: &str) -> Vec<u8> {
        attribute(&[0x55, 4, 3], 0x0c, value.as_bytes())
    }

    /// A certificate with that subject and nothing that makes sense beside it.
    fn certificate(relatives: &[Vec<u8>]) -> Vec<u8> {
        let name: Vec<_> = relatives
            .iter()
            .flat_map(|attributes| element(SET, attributes))
            .collect();
        let fields = [
            element(VERSION, &[2, 1, 2]),
            element(2, &[1]),
            element(SEQUENCE, &[]),
            element(SEQUENCE, &[0; 200]),
            element(SEQUENCE, &[]),
            element(SEQUENCE, &name),
        ];
        element(SEQUENCE, &element(SEQUENCE, &fields.concat()))
    }

    /// What GnuTLS says of certificates with these subjects.
    #[test]
    fn names_are_written_as_by_gnutls() {
        let check = |relatives: &[Vec<u8>], expected: &str| {
            assert_eq!(subject(&certificate(relatives)).as_deref(), Some(expected));
        };
        let country = attribute(&[0x55, 4, 6], 0x13, b"GB");
        let unit = attribute(&[0x55, 4, 11], 0x0c, b"b");
        let wide = attribute(&[0x55, 4, 10], 0x1e, &[0, b'a', 0x20, 0xac]);
        check(&[], "");
        check(&[country.clone(), common_name("a")], "C=GB,CN=a");
        check(
            &[country, [common_name("a"), unit].concat()],
            "C=GB,CN=a+OU=b",
        );
        check(&[common_name("a=b,c+d\\")], r"CN=a=b\,c\+d\\");
        check(&[common_name(" #x ")], r"CN=\ #x\ ");
        check(&[common_name("#y\"<>;é")], "CN=\\#y\\\"\\<\\>\\;é");
        check(&[common_name("x y  z ")], r"CN=x y  z\ ");
        check(&[wide], "O=a€");
        let unknown = attribute(&[0x2a, 3, 4], 0x0c, b"hello");
        check(&[unknown], "1.2.3.4=#0c0568656c6c6f");
        let unstructured = attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 2], 0x0c, b"u");
        check(&[unstructured], "1.2.840.113549.1.9.2=#0c0175");
        let email = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
        check(&[attribute(&email, 0x16, b"e@f")], "EMAIL=e@f");
    }

    #[test]
    fn nonsense_has_no_name() {
        let whole = certificate(&[common_name("a")]);
        for length in 0..whole.len() {
            assert_eq!(subject(&whole[..length]), None, "{length}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut broken = whole.clone();
                broken[at] = byte;
                // Whatever it says, it is said.
                let _ = subject(&broken);
            }
        }
    }
}
