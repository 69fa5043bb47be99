//! What can go wrong, told apart by what a caller would do about it.

use crate::Closed;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tinamou_qmp::client::ErrorReply;
use tinamou_qmp::typed::DecodeError;

/// What a fallible step of a client returns.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Where a deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Making the connection.
    Connect,
    /// The greeting of the server.
    Greeting,
    /// The negotiation of capabilities.
    Negotiation,
    /// The synchronisation with a guest agent.
    Synchronisation,
    /// The reply to a command.
    Call,
    /// An event that was waited for.
    Event,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Greeting => "the greeting",
            Self::Negotiation => "the negotiation",
            Self::Synchronisation => "the synchronisation",
            Self::Call => "the reply",
            Self::Event => "the event",
        })
    }
}

/// Why something failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address cannot be read.
    #[error("'{address}' is no address: {reason}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody is at the address, or we are not let in.
    #[error("cannot connect to {address}: {source}")]
    Refused {
        /// The address.
        address: String,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A deadline passed. The connection is as good as before: a late reply
    /// will be dropped.
    #[error("{}", unresponsive(*stage, *after, command))]
    Unresponsive {
        /// What was waited for.
        stage: Stage,
        /// How long.
        after: Duration,
        /// The command, if it was about one.
        command: String,
    },
    /// The connection ended before the reply came.
    #[error("{}", disconnected(closed, command))]
    Disconnected {
        /// How.
        closed: Closed,
        /// The command, if one was under way.
        command: String,
    },
    /// The server is none, or refused the negotiation.
    #[error("negotiation failed: {0}")]
    Negotiation(String),
    /// The server broke the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The child that we talked to has ended: how, and what it said last.
    #[error("{0}")]
    Child(String),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// The command failed, as the server says.
    #[error("{desc}")]
    Command {
        /// What kind of error it is, mostly `GenericError`.
        class: String,
        /// The text for a person.
        desc: String,
        /// The command.
        command: String,
        /// The request's id on the wire.
        id: String,
        /// How long it took.
        elapsed: Duration,
    },
    /// What a recipe was for did not come about.
    #[error("{what}: {reason}")]
    Failed {
        /// What it was for, such as `job mirror0`.
        what: String,
        /// Why.
        reason: String,
    },
    /// The reply or event does not have the form that was asked for.
    #[error("{}: {reason}", place(of, path))]
    Decode {
        /// The command or event.
        of: String,
        /// Where in the reply.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// What was to be sent cannot be, or not over this connection.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// The class of a command's error: `Some("DeviceNotFound")`.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        match self {
            Self::Command { class, .. } => Some(class),
            _ => None,
        }
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    pub(crate) fn decode(of: &str, error: DecodeError) -> Self {
        Self::Decode {
            of: of.to_owned(),
            path: error.path,
            reason: error.reason,
        }
    }

    pub(crate) fn command(reply: ErrorReply, command: &str, id: String, elapsed: Duration) -> Self {
        Self::Command {
            class: reply.class,
            desc: reply.desc,
            command: command.to_owned(),
            id,
            elapsed,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

fn unresponsive(stage: Stage, after: Duration, command: &str) -> String {
    match command {
        "" => format!("no answer within {after:?}: waited for {stage}"),
        _ => format!("no answer within {after:?}: waited for {stage} to {command}"),
    }
}

fn disconnected(closed: &Closed, command: &str) -> String {
    match command {
        "" => closed.to_string(),
        _ => format!("{closed} while {command} was under way"),
    }
}

fn place(of: &str, path: &str) -> String {
    match path {
        "" | "." => of.to_owned(),
        _ => format!("{of}: {path}"),
    }
}
