//! What can go wrong, worded as QEMU's users know it.

use std::io;

/// The result of an operation on the network.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal of the registry, or a failure to open a back end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The id is taken.
    #[error("Duplicate ID '{0}'")]
    Exists(String),
    /// There is no back end or card of that name.
    #[error("Device '{0}' not found")]
    NotFound(String),
    /// A port of a hub wants a back end that does not exist.
    #[error("netdev '{0}' not found")]
    NoNetdev(String),
    /// A card or port of a hub wants a back end that another has.
    #[error("netdev '{0}' is in use")]
    InUse(String),
    /// A filter wants a back end that does not exist.
    #[error("Parameter 'netdev' expects a network backend id")]
    NoBackend,
    /// A filter wants a place beside another that does not exist.
    #[error("filter '{0}' not found")]
    NoFilter(String),
    /// A receive filter was asked for of nothing.
    #[error("invalid net client name: {0}")]
    NoClient(String),
    /// A receive filter was asked for of something else than a card.
    #[error("net client({0}) isn't a NIC")]
    NotANic(String),
    /// The card has no receive filter that could be asked for.
    #[error("net client({0}) doesn't support rx-filter querying")]
    NoRxFilter(String),
    /// A socket of a character device's kind.
    #[error(transparent)]
    Socket(#[from] tinamou_chardev::Error),
    /// Parameters that do not go together, or make no sense.
    #[error("{0}")]
    Parameter(String),
    /// An address that cannot be bound.
    #[error("can't bind {address} to socket: {}", plain(.source))]
    Bind {
        /// What was to be bound.
        address: String,
        /// Why it was not.
        source: io::Error,
    },
    /// The host refuses something else.
    #[error("{what}: {}", plain(.source))]
    Host {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn parameter(text: impl Into<String>) -> Self {
        Self::Parameter(text.into())
    }

    pub(crate) fn host(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Host {
            what: what.into(),
            source: source.into(),
        }
    }
}

/// The system's words for an error, without the number Rust adds.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
