//! What can go wrong in a subcommand.

use std::io;
use std::time::Duration;

use tinamou_client::{Closed, Stage};

use crate::Exit;

/// A failure of a subcommand: what is told, and the exit code it gives.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or a file given on it makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The server refused, did not answer, or was lost.
    #[error(transparent)]
    Client(#[from] tinamou_client::Error),
    /// An event did not come in time.
    #[error("no {event} within {time:?}")]
    Late {
        /// Which event.
        event: String,
        /// How long it was waited for.
        time: Duration,
    },
    /// What a command began came to a bad end.
    #[error("{what}: {reason}")]
    Failed {
        /// A job's id, or what else it is.
        what: String,
        /// Why, as the server says.
        reason: String,
    },
    /// An event can no longer come.
    #[error("{closed} before {event}")]
    Impossible {
        /// Which event.
        event: String,
        /// How the connection ended.
        closed: Closed,
    },
    /// A file, a pipe or the terminal failed.
    #[error("{what}: {source}")]
    Io {
        /// Which one, for people.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    /// Something on the command line that cannot be meant.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// A closure for `map_err` on the result of an operation on `what`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            what: what.into(),
            source,
        }
    }

    /// What may be behind it, if that is worth a word.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Client(tinamou_client::Error::Unresponsive {
                stage: Stage::Greeting,
                ..
            }) => Some("QEMU serves one client per socket: another may be connected"),
            _ => None,
        }
    }

    /// The exit code that tells scripts of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Client(error) => exit_of(error),
            Self::Failed { .. } => Exit::Refused,
            Self::Late { .. } => Exit::Deadline,
            Self::Impossible { closed, .. } if closed.is_orderly() => Exit::Impossible,
            Self::Impossible { .. } => Exit::Lost,
            Self::Io { .. } => Exit::Local,
        }
    }
}

fn exit_of(error: &tinamou_client::Error) -> Exit {
    use tinamou_client::Error;
    match error {
        Error::Command { .. } => Exit::Refused,
        Error::Address { .. } | Error::Usage(_) => Exit::Usage,
        Error::Refused { .. } | Error::Negotiation(_) => Exit::NoConnection,
        Error::Unresponsive { .. } => Exit::Deadline,
        _ => Exit::Lost,
    }
}
