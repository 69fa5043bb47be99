//! Properties as people write them, and their values.

use serde_json::Value;

use crate::Error;
use crate::arguments::{literal, scalar};

/// One property of one object.
#[derive(Debug, PartialEq)]
pub(super) struct Property {
    pub(super) path: String,
    pub(super) name: String,
}

impl Property {
    /// Reads `PATH.PROPERTY`, or `PATH` and `PROPERTY`. The last dot is the
    /// one that counts: names of objects may have some.
    pub(super) fn read(words: &[String]) -> Result<Self, Error> {
        let (path, name) = match words {
            [path, name] => (path.as_str(), name.as_str()),
            [word] => {
                let cut = word.rsplit_once('.');
                cut.filter(|(_, name)| !name.contains('/')).ok_or_else(|| {
                    Error::usage(format!(
                        "'{word}' names no property: expected PATH.PROPERTY"
                    ))
                })?
            }
            _ => return Err(Error::usage("expected PATH.PROPERTY")),
        };
        if path.is_empty() || name.is_empty() {
            return Err(Error::usage(format!(
                "'{path}.{name}' lacks the object or the property"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// What `text` means for a property of type `ty`. A text that does not fit is
/// left to the server to refuse.
pub(super) fn value(text: &str, ty: Option<&str>) -> Value {
    let untyped = || literal::parse(text).unwrap_or_else(|_| Value::from(text));
    let typed = match ty.unwrap_or_default() {
        "string" | "str" => Some(untyped())
            .filter(Value::is_string)
            .or(scalar(text, "string")),
        "bool" | "boolean" => scalar(text, "boolean"),
        "int" | "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64"
        | "size" => scalar(text, "int"),
        _ => None,
    };
    typed.unwrap_or_else(untyped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(words: &[&str], expected: Option<(&str, &str)>) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let property = Property::read(&words).ok();
        let found = property.map(|property| (property.path, property.name));
        let expected = expected.map(|(path, name)| (path.to_owned(), name.to_owned()));
        assert_eq!(found, expected, "{words:?}");
    }

    #[test]
    fn both_spellings_are_read() {
        check(&["/machine.type"], Some(("/machine", "type")));
        check(&["/machine", "type"], Some(("/machine", "type")));
        check(&["/.type"], Some(("/", "type")));
        check(
            &["/a/sifive.plic[0].size"],
            Some(("/a/sifive.plic[0]", "size")),
        );
        check(&["/a/sifive.plic[0]/size"], None);
        check(&["/machine"], None);
        check(&[".type"], None);
        check(&["/machine."], None);
        check(&["/machine", ""], None);
    }

    #[test]
    fn the_type_says_what_a_text_means() {
        for (text, ty, expected) in [
            ("5", Some("string"), json!("5")),
            ("\"5\"", Some("string"), json!("5")),
            ("on", Some("bool"), json!(true)),
            ("512M", Some("size"), json!(512 << 20)),
            ("0x10", Some("uint32"), json!(16)),
            ("much", Some("uint32"), json!("much")),
            ("auto", Some("OnOffAuto"), json!("auto")),
            ("5", None, json!(5)),
            (
                "{\"iops-total\": 1}",
                Some("ThrottleLimits"),
                json!({"iops-total": 1}),
            ),
            ("rtc", None, json!("rtc")),
        ] {
            assert_eq!(value(text, ty), expected, "{text} {ty:?}");
        }
    }
}
