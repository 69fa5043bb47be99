//! The names in a certificate (RFC 5280 §4.1): common names of its subject.
//!
//! The certificate was verified before, so its form is known to be sound;
//! what does not fit all the same yields no name.

/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0C;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
/// `[0] EXPLICIT`, the version.
const VERSION: u8 = 0xA0;

/// The common names of the certificate's subject.
pub(super) fn names(der: &[u8]) -> Vec<String> {
    subject(der).map(common_names).unwrap_or_default()
}

/// The subject: behind version, serial number, signature, issuer, validity.
fn subject(der: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if let Some((_, rest)) = element(fields, VERSION) {
        fields = rest;
    }
    for _ in 0..4 {
        fields = any(fields)?.2;
    }
    element(fields, SEQUENCE).map(|(subject, _)| subject)
}

fn common_names(mut subject: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while let Some((mut attributes, rest)) = element(subject, SET) {
        subject = rest;
        while let Some((attribute, rest)) = element(attributes, SEQUENCE) {
            attributes = rest;
            names.extend(common_name(attribute));
        }
    }
    names
}

fn common_name(attribute: &[u8]) -> Option<String> {
    let (kind, value) = element(attribute, OBJECT_IDENTIFIER)?;
    let (tag, text, _) = any(value)?;
    let is_text = matches!(tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING);
    (kind == COMMON_NAME && is_text).then(|| String::from_utf8(text.to_vec()).ok())?
}

/// The contents of an element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, contents, rest) = any(der)?;
    (found == tag).then_some((contents, rest))
}

/// The first element: its tag, its contents, and what follows (X.690 §8.1).
fn any(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7F => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            let length = digits
                .iter()
                .fold(0, |length, &digit| length << 8 | usize::from(digit));
            (length, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let contents = parts.concat();
        let mut out = vec![tag, 0x82];
        out.extend(
            u16::try_from(contents.len())
                .expect("it is short")
                .to_be_bytes(),
        );
        out.extend(contents);
        out
    }

    fn certificate(names: &[(&[u8], u8, &str)]) -> Vec<u8> {
        let sets: Vec<Vec<u8>> = names
            .iter()
            .map(|(kind, tag, name)| {
                let kind = der(OBJECT_IDENTIFIER, &[kind]);
                let text = der(*tag, &[name.as_bytes()]);
                der(SET, &[&der(SEQUENCE, &[&kind, &text])])
            })
            .collect();
        let sets: Vec<&[u8]> = sets.iter().map(Vec::as_slice).collect();
        let subject = der(SEQUENCE, &sets);
        let empty = der(SEQUENCE, &[]);
        let fields = [
            &der(VERSION, &[&[2, 1, 2]]),
            &der(2, &[&[1]]),
            &empty,
            &empty,
            &empty,
            &subject,
        ];
        let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_slice()).collect();
        der(SEQUENCE, &[&der(SEQUENCE, &fields)])
    }

    #[test]
    fn finds_common_names_only() {
        let text = certificate(&[
            (&[0x55, 0x04, 0x0A], UTF8_STRING, "Company"),
            (COMMON_NAME, UTF8_STRING, "ops"),
            (COMMON_NAME, PRINTABLE_STRING, "second"),
            (COMMON_NAME, 0x04, "octets"),
        ]);
        assert_eq!(names(&text), ["ops", "second"]);
    }

    #[test]
    fn half_a_certificate_has_no_names() {
        let whole = certificate(&[(COMMON_NAME, UTF8_STRING, "ops")]);
        for length in 0..whole.len() {
            assert_eq!(names(&whole[..length]), Vec::<String>::new());
        }
    }
}
