//! `secret`: a password or key, given in the open, in a file, or encrypted
//! with another secret (AES-256 in CBC mode).

use std::fs;
use std::rc::Rc;

use aes::cipher::{BlockDecryptMut as _, KeyIvInit as _, block_padding::Pkcs7};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tinamou_api as api;
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::Property;

use super::user::UserType;
use crate::commands::machine::reason;

/// The type.
pub const TYPE: UserType = UserType {
    name: "secret",
    parent: "secret_common",
    properties: &[
        ("data", "string", None),
        ("file", "string", None),
        ("format", "QCryptoSecretFormat", None),
        ("iv", "string", None),
        ("keyid", "string", None),
    ],
};

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a block.
const BLOCK: usize = 16;

/// A secret.
pub struct Secret {
    bytes: Vec<u8>,
    options: api::SecretProperties,
}

impl Secret {
    /// Reads a secret; `other` finds the one that it is encrypted with.
    ///
    /// # Errors
    /// It is given twice or not at all, or cannot be read or decrypted.
    pub fn new(
        options: &api::SecretProperties,
        other: impl Fn(&str) -> Option<Rc<Self>>,
    ) -> Result<Self> {
        let mut bytes = load(options)?;
        let base64 = options.base.format == Some(api::QCryptoSecretFormat::Base64);
        if let Some(keyid) = &options.base.keyid {
            let none = || Error::generic(format!("No secret with id '{keyid}'"));
            let key = other(keyid).ok_or_else(none)?;
            bytes = decrypt(&key.bytes, options, bytes)?;
        } else if base64 {
            bytes = decode(&bytes)?;
        }
        Ok(Self {
            bytes,
            options: options.clone(),
        })
    }

    /// What is secret.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn properties(&self) -> Vec<(&'static str, Property)> {
        let text = |text: &Option<String>| {
            Property::constant("string", Value::String(text.clone().unwrap_or_default()))
        };
        let format = self
            .options
            .base
            .format
            .unwrap_or(api::QCryptoSecretFormat::Raw);
        let format = Value::String(format.as_str().to_owned());
        vec![
            ("data", text(&self.options.data)),
            ("file", text(&self.options.file)),
            ("keyid", text(&self.options.base.keyid)),
            ("iv", text(&self.options.base.iv)),
            ("format", Property::constant("QCryptoSecretFormat", format)),
        ]
    }
}

fn load(options: &api::SecretProperties) -> Result<Vec<u8>> {
    match (&options.data, &options.file) {
        (Some(_), Some(_)) => Err(Error::generic("'file' and 'data' are mutually exclusive")),
        (Some(data), None) => Ok(data.clone().into_bytes()),
        (None, Some(path)) => fs::read(path).map_err(|error| {
            let reason = reason(&error);
            Error::generic(format!(
                "Unable to read {path}: Failed to open file \u{201c}{path}\u{201d}: {reason}"
            ))
        }),
        (None, None) => Err(Error::generic("Either 'file' or 'data' must be provided")),
    }
}

/// Decrypts a secret. What is encrypted is in base64 unless the format is raw.
fn decrypt(key: &[u8], options: &api::SecretProperties, input: Vec<u8>) -> Result<Vec<u8>> {
    let Some(iv) = &options.base.iv else {
        return Err(Error::generic("IV is required to decrypt secret"));
    };
    if key.len() != KEY {
        return Err(Error::generic("Key should be 32 bytes in length"));
    }
    let iv = decode(iv.as_bytes())?;
    if iv.len() != BLOCK {
        let length = iv.len();
        return Err(Error::generic(format!(
            "IV should be 16 bytes in length not {length}"
        )));
    }
    let input = if options.base.format == Some(api::QCryptoSecretFormat::Base64) {
        decode(&input)?
    } else {
        input
    };
    if !input.len().is_multiple_of(BLOCK) {
        let length = input.len();
        return Err(Error::generic(format!(
            "Length {length} must be a multiple of block size {BLOCK}"
        )));
    }
    let bad_padding =
        || Error::generic("Incorrect number of padding bytes found on decrypted data");
    let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(key, &iv);
    let cipher = cipher.map_err(|_| bad_padding())?;
    cipher
        .decrypt_padded_vec_mut::<Pkcs7>(&input)
        .map_err(|_| bad_padding())
}

fn decode(text: &[u8]) -> Result<Vec<u8>> {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let shown = String::from_utf8_lossy(&text).into_owned();
    STANDARD
        .decode(&text)
        .map_err(|_| Error::generic(format!("Base64 data '{shown}' is not valid")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(data: &str) -> api::SecretProperties {
        api::SecretProperties {
            base: api::SecretCommonProperties {
                format: None,
                keyid: None,
                iv: None,
            },
            data: Some(data.to_owned()),
            file: None,
        }
    }

    /// A secret in base64.
    fn sealed(data: &str, keyid: Option<&str>, iv: Option<&str>) -> api::SecretProperties {
        api::SecretProperties {
            base: api::SecretCommonProperties {
                format: Some(api::QCryptoSecretFormat::Base64),
                keyid: keyid.map(str::to_owned),
                iv: iv.map(str::to_owned),
            },
            ..secret(data)
        }
    }

    fn check(options: &api::SecretProperties, expected: Result<&[u8], &str>) {
        let key = Secret::new(&secret("01234567890123456789012345678901"), |_| None);
        let key = Rc::new(key.expect("a plain secret"));
        let made = Secret::new(options, |id| (id == "key").then(|| Rc::clone(&key)));
        let made = made.map(|secret| secret.bytes).map_err(|error| error.desc);
        let expected = expected.map(<[u8]>::to_vec).map_err(str::to_owned);
        assert_eq!(made, expected);
    }

    #[test]
    fn secrets_are_plain_or_in_base64() {
        check(&secret("abc"), Ok(b"abc"));
        let base64 = |data| sealed(data, None, None);
        check(&base64("eHk="), Ok(b"xy"));
        check(&base64("!"), Err("Base64 data '!' is not valid"));
    }

    #[test]
    fn a_secret_is_decrypted_with_another() {
        // printf secret | openssl enc -aes-256-cbc -a -K <key> -iv <iv>
        let sealed = |keyid, data, iv| sealed(data, Some(keyid), iv);
        let iv = Some("MDEyMzQ1Njc4OTAxMjM0NQ==");
        check(
            &sealed("key", "LMvmsI7cpf6UmThgt6Uy8g==", iv),
            Ok(b"secret"),
        );
        check(
            &sealed("key", "eHg=", iv),
            Err("Length 2 must be a multiple of block size 16"),
        );
        check(
            &sealed("key", "eHg=", None),
            Err("IV is required to decrypt secret"),
        );
        check(&sealed("no", "eHg=", iv), Err("No secret with id 'no'"));
        let short = Err("IV should be 16 bytes in length not 3");
        check(&sealed("key", "eHg=", Some("MDEy")), short);
    }
}
