//! Commands and events as types of a client: what generated bindings
//! implement, and what anyone may implement for a command of their own.
//!
//! The types are plain serde. A reply is read from its text with [`decode`],
//! which is tolerant as the types are: what a newer server adds is kept where
//! there is room for it and ignored where there is none.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A command: the value is its arguments, and serialises to an object.
pub trait TypedCommand: Serialize {
    /// The name on the wire.
    const NAME: &'static str;
    /// Whether it may be run out of band.
    const ALLOW_OOB: bool = false;
    /// Whether a success is answered at all.
    const SUCCESS_RESPONSE: bool = true;
    /// What a success returns.
    type Return: DeserializeOwned;
}

/// An event: the value is its data.
pub trait TypedEvent: DeserializeOwned {
    /// The name on the wire.
    const NAME: &'static str;
}

/// What a command returns that returns nothing, and the data of an event
/// without data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// A text that is not what its type says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", at(.path))]
pub struct DecodeError {
    /// Where in the text, such as `[0].image.format`; empty for all of it.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

fn at(path: &str) -> String {
    match path.is_empty() {
        true => String::new(),
        false => format!("{path}: "),
    }
}

/// Reads a value from the JSON text of a reply or an event's data.
///
/// # Errors
/// The text is not what the type says.
pub fn decode<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|error| DecodeError {
        path: String::new(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_is_wrong() {
        assert_eq!(decode::<Empty>("{\"new\": 1}"), Ok(Empty {}));
        let error = decode::<Vec<u8>>("7").expect_err("it is no list");
        assert!(error.to_string().starts_with("invalid type"), "{error}");
    }
}
