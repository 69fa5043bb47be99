//! What can go wrong in a subcommand.

use std::io;

use crate::Exit;

/// A failure of a subcommand: what is told, and the exit code it gives.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or a file given on it makes no sense.
    #[error("{0}")]
    Usage(String),
    /// There is no server to be tested.
    #[error("{what}: {source}")]
    NoServer {
        /// The address, or the command that should have started it.
        what: String,
        /// What the system says.
        source: io::Error,
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

    /// The exit code that tells scripts of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NoServer { .. } => Exit::NoConnection,
            Self::Io { .. } => Exit::Local,
        }
    }
}
