//! Commands and events as types of a client: what generated bindings
//! implement, and what anyone may implement for a command of their own.
//!
//! The types are plain serde. A reply is read from its text with [`decode`],
//! which is tolerant as the types are: what a newer server adds is kept where
//! there is room for it (unknown values of enumerations, unknown branches of
//! unions, unknown events) and ignored where there is none (unknown members).
//! [`decode_strict`] refuses all of that. Both say where in the text a fault
//! is.

mod decode;
mod empty;
mod enumeration;
mod events;
mod hook;
mod tagged;
#[cfg(test)]
mod tests;
mod text;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use enumeration::{Enumeration, enumeration, from_name};
#[doc(hidden)]
pub use serde;
/// Any JSON value.
pub use serde_json::Value;
pub use tagged::{
    Alternate, Read, Remaining, Tagged, alternate, branch, no_members, present, required, tagged,
    unknown,
};

/// A JSON object.
pub type Object = serde_json::Map<String, Value>;

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

/// Any event of a schema. [`events!`](crate::events) makes such types.
pub trait AnyEvent: Sized {
    /// Reads an event from its name and the JSON text of its data, which is
    /// `{}` for an event without.
    ///
    /// # Errors
    /// The data are not the event's.
    fn read(name: &str, data: &str, strictness: Strictness) -> Result<Self, DecodeError>;

    /// The event's name on the wire.
    fn name(&self) -> &str;
}

/// What a command returns that returns nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// How unknown members, values and branches are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// They are kept or ignored.
    #[default]
    Tolerant,
    /// They are faults.
    Strict,
}

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
    decode_as(text, Strictness::Tolerant)
}

/// Like [`decode`], and what the type does not know is an error.
///
/// # Errors
/// The text is not what the type says, or says more.
pub fn decode_strict<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    decode_as(text, Strictness::Strict)
}

/// Reads a value, as strictly as told.
///
/// # Errors
/// The text is not what the type says.
pub fn decode_as<T: DeserializeOwned>(
    text: &str,
    strictness: Strictness,
) -> Result<T, DecodeError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let mut place = decode::Place::new(strictness == Strictness::Strict);
    let value = T::deserialize(decode::At {
        inner: &mut json,
        place: &mut place,
    });
    value
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| DecodeError {
            path: place.path(),
            reason: reason(&error),
        })
}

/// Judges an event that is not known.
///
/// # Errors
/// That is found wrong.
pub fn unknown_event(name: &str, strictness: Strictness) -> Result<(), DecodeError> {
    match strictness {
        Strictness::Tolerant => Ok(()),
        Strictness::Strict => Err(DecodeError {
            path: String::new(),
            reason: format!("unknown event '{name}'"),
        }),
    }
}

/// What an error says, without the column: a path tells more.
fn reason(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if error.line() > 0
        && let Some(end) = text.rfind(" at line ")
    {
        text.truncate(end);
    }
    text
}
