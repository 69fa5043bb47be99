//! Values as people write them: JSON, JSON with QEMU's single quotes, and the
//! Python that QEMU's own shell accepts (`True`, `False`, `None`).

use serde_json::Value;

/// Reads a value.
///
/// # Errors
///
/// What is wrong with it, in QEMU's words.
pub fn parse(text: &str) -> Result<Value, String> {
    let value = tinamou_qmp::json::parse(text.as_bytes())
        .or_else(|error| {
            let json = from_python(text);
            tinamou_qmp::json::parse(json.as_bytes()).map_err(|_| error)
        })
        .map_err(|error| error.to_string())?;
    serde_json::to_value(value).map_err(|error| error.to_string())
}

/// Replaces Python's words outside of strings by JSON's, and drops a comma
/// before a closing bracket.
fn from_python(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, replacement) = match first {
            '"' | '\'' => (string(rest, first), None),
            _ if first.is_ascii_alphabetic() => word(rest),
            ',' => (&rest[..1], closes(&rest[1..]).then_some("")),
            _ => (&rest[..first.len_utf8()], None),
        };
        json.push_str(replacement.unwrap_or(token));
        rest = &rest[token.len()..];
    }
    json
}

/// The string at the start of `text`, quotes included.
fn string(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (place, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return &text[..=place],
            _ => {}
        }
    }
    text
}

/// The word at the start of `text`, and JSON's for it.
fn word(text: &str) -> (&str, Option<&'static str>) {
    let end = text
        .find(|character: char| !character.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    let word = &text[..end];
    let json = match word {
        "True" => Some("true"),
        "False" => Some("false"),
        "None" => Some("null"),
        _ => None,
    };
    (word, json)
}

fn closes(text: &str) -> bool {
    text.trim_start().starts_with([']', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_and_python_are_read() {
        for (text, expected) in [
            ("{\"a\": [1, true]}", json!({"a": [1, true]})),
            ("{'a': 'it is'}", json!({"a": "it is"})),
            (
                "{'a': True, 'b': [None, False,]}",
                json!({"a": true, "b": [null, false]}),
            ),
            ("['True', \"None\", True]", json!(["True", "None", true])),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_told() {
        for text in ["{'a': }", "[1", "", "Maybe", "{'a': 'x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
