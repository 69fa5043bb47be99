//! The messages that a server sends, read without trust in it.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What a server says of itself when a connection begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Greeting {
    /// Its version.
    pub version: VersionInfo,
    /// What may be negotiated, such as `oob`.
    pub capabilities: Vec<String>,
}

/// A server's version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct VersionInfo {
    /// The version of QEMU that it is, or stands for.
    pub qemu: QemuVersion,
    /// Who packaged it; empty if nobody did.
    pub package: String,
}

/// A version number of QEMU. Versions compare as numbers, not as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct QemuVersion {
    /// Raised once a year.
    pub major: i64,
    /// Raised with each release.
    pub minor: i64,
    /// Raised with small changes.
    pub micro: i64,
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// Why a command failed, as the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, thiserror::Error)]
#[serde(default)]
#[error("{desc}")]
pub struct ErrorReply {
    /// What kind of error it is, mostly `GenericError`.
    pub class: String,
    /// The text for a person.
    pub desc: String,
}

/// When something happened, by the server's clock, since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(default)]
pub struct Timestamp {
    /// Whole seconds; -1 if the server could not tell the time.
    pub seconds: i64,
    /// The rest.
    pub microseconds: i64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// What, such as `SHUTDOWN`.
    pub name: String,
    /// When.
    pub timestamp: Timestamp,
    /// The details, if there are any.
    pub data: Option<Box<RawValue>>,
}

/// How a server broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It sent something that is no message.
    #[error("the peer sent what is no QMP message: {excerpt}")]
    Garbage {
        /// How it begins.
        excerpt: String,
    },
    /// It sent a message that is too long.
    #[error("the peer sent a message of more than {limit} bytes")]
    TooLong {
        /// The limit that it exceeds.
        limit: usize,
    },
    /// It refused the negotiation.
    #[error("the peer refused the negotiation: {0}")]
    Negotiation(ErrorReply),
}

/// A message.
pub(super) enum Message<'a> {
    Greeting(Greeting),
    Reply {
        id: Option<Cow<'a, str>>,
        outcome: Result<&'a RawValue, ErrorReply>,
    },
    Event(Event),
}

/// The outer members, of whichever message.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, rename = "return", deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event: Option<Cow<'a, str>>,
    #[serde(default)]
    timestamp: Timestamp,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "QMP")]
    greeting: Option<&'a RawValue>,
}

/// A member that is there, even if it is `null`.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(source: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(source).map(Some)
}

impl<'a> Message<'a> {
    /// Reads a message; `text` is within braces.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, Fault> {
        let envelope: Envelope<'a> =
            serde_json::from_slice(text).map_err(|_| Fault::garbage(text))?;
        let outcome = match envelope {
            Envelope {
                error: Some(error), ..
            } => Err(read_error(error)),
            Envelope {
                value: Some(value), ..
            } => Ok(value),
            Envelope {
                event: Some(event), ..
            } => {
                return Ok(Self::Event(Event {
                    name: event.into_owned(),
                    timestamp: envelope.timestamp,
                    data: envelope.data.map(ToOwned::to_owned),
                }));
            }
            Envelope {
                greeting: Some(greeting),
                ..
            } => {
                let greeting = serde_json::from_str(greeting.get());
                return Ok(Self::Greeting(greeting.map_err(|_| Fault::garbage(text))?));
            }
            _ => return Err(Fault::garbage(text)),
        };
        let id = envelope.id.map(read_id);
        Ok(Self::Reply { id, outcome })
    }
}

/// The ids of our requests are strings. Another one belongs to none of them,
/// and does as its text.
fn read_id(id: &RawValue) -> Cow<'_, str> {
    serde_json::from_str::<&str>(id.get()).map_or_else(
        |_| match serde_json::from_str(id.get()) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(id.get()),
        },
        Cow::Borrowed,
    )
}

/// An error, whatever the server made of it.
fn read_error(error: &RawValue) -> ErrorReply {
    serde_json::from_str(error.get()).unwrap_or_else(|_| ErrorReply {
        class: String::new(),
        desc: error.get().to_owned(),
    })
}
