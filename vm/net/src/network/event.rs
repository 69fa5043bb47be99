//! What a network reports.

/// What a network reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A `stream` back end has found its peer.
    StreamConnected {
        /// The back end's id.
        netdev: String,
        /// The peer.
        peer: PeerAddress,
    },
    /// A `stream` back end has lost its peer.
    StreamDisconnected {
        /// The back end's id.
        netdev: String,
    },
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// On the Internet.
    Inet(std::net::SocketAddr),
    /// At a path of this host.
    Unix(String),
    /// Behind a descriptor of that name.
    Fd(String),
}
