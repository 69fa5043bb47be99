//! How a connection ends.

use crate::Error;
use std::fmt;
use std::sync::Arc;

/// How a connection ended. That a machine was shut down is an outcome, not an
/// error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Closed {
    /// The server said `SHUTDOWN` and then ended the connection.
    Shutdown {
        /// Whether the guest asked for it.
        guest: bool,
        /// Why, such as `guest-shutdown` or `host-qmp-quit`.
        reason: Option<String>,
    },
    /// The server ended the connection without a word.
    Ended,
    /// [`Client::close`](crate::Client::close) was called, or the last handle dropped.
    Here,
    /// The connection broke, or the server broke the protocol.
    Lost(Arc<Error>),
}

impl Closed {
    /// Whether this is an end that was meant to be: a shutdown, or our own doing.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        matches!(self, Self::Shutdown { .. } | Self::Here)
    }

    /// The error of a command that was under way, or of none.
    pub(crate) fn into_error(self, command: &str) -> Error {
        match self {
            // What broke while connecting is the news, not that it ended.
            Self::Lost(error) if command.is_empty() => Error::clone(&error),
            closed => Error::Disconnected {
                closed,
                command: command.to_owned(),
            },
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown {
                reason: Some(reason),
                ..
            } => write!(f, "the machine was shut down ({reason})"),
            Self::Shutdown { reason: None, .. } => f.write_str("the machine was shut down"),
            Self::Ended => f.write_str("the server ended the connection"),
            Self::Here => f.write_str("the connection was closed here"),
            Self::Lost(error) => write!(f, "{error}"),
        }
    }
}
