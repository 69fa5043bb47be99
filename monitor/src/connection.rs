//! What a transport hands to a monitor.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// One client: a duplex stream of bytes and what came with it.
pub struct Connection {
    /// The bytes. The end of the stream is the client's end of input; dropping
    /// it ends the connection.
    pub stream: Box<dyn Stream>,
    /// Where file descriptors arrive that the client passes along, if the
    /// transport carries any.
    pub fds: Option<Arc<dyn FdInbox>>,
    /// Who the client is, for the log.
    pub peer: String,
    /// Where several front ends share one transport: whether this one has the
    /// input now. A readline monitor shows its prompt when it gets it.
    pub focus: Option<watch::Receiver<bool>>,
}

/// A duplex stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// File descriptors that were received and not yet taken.
pub trait FdInbox: Send + Sync {
    /// Takes the oldest.
    fn pop(&self) -> Option<OwnedFd>;
}

impl Connection {
    /// A connection over a stream that carries nothing but bytes.
    pub fn new(stream: impl Stream + 'static, peer: impl Into<String>) -> Self {
        Self {
            stream: Box::new(stream),
            fds: None,
            peer: peer.into(),
            focus: None,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
