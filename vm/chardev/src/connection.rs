//! One peer of a character device, as its front end sees it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use crate::hangup::Half;
use crate::link::{Seat, lock};

/// A duplex stream of bytes and what came with it. It ends when it is dropped, when the peer
/// leaves, or when the device is yanked, changed or removed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The bytes.
    pub stream: Stream,
    /// File descriptors the peer passed along.
    pub fds: FdInbox,
    /// Who is on the other side, in words for a log.
    pub peer: String,
    /// Behind a mux: whether this front end has the input. A monitor shows its prompt when it
    /// gets it.
    pub focus: Option<watch::Receiver<bool>>,
}

/// What a back end reads from and writes to.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// The bytes of a [`Connection`].
pub struct Stream {
    transport: Box<dyn Transport>,
    seat: Seat,
}

impl Stream {
    pub(crate) fn new(transport: Box<dyn Transport>, seat: Seat) -> Self {
        Self { transport, seat }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seat.hangup().poll(Half::Read, cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.transport).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.seat.hangup().poll(Half::Write, cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = std::task::ready!(Pin::new(&mut self.transport).poll_write(cx, bytes))?;
        self.seat.log(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.seat.hangup().poll(Half::Write, cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// The file descriptors of the last message that had some and that are not yet taken, in its
/// order. What a message leaves is closed when the next one comes, so that no command gets a
/// descriptor meant for another. They are close-on-exec.
#[derive(Debug, Clone, Default)]
pub struct FdInbox(Arc<Mutex<VecDeque<OwnedFd>>>);

impl FdInbox {
    /// Takes the oldest.
    pub fn pop(&self) -> Option<OwnedFd> {
        lock(&self.0).pop_front()
    }

    /// Takes all. A front end that calls this after each read knows which bytes they came with:
    /// a message with descriptors never shares a read with bytes sent after it.
    pub fn take(&self) -> VecDeque<OwnedFd> {
        std::mem::take(&mut *lock(&self.0))
    }

    pub(crate) fn replace(&self, fds: VecDeque<OwnedFd>) {
        *lock(&self.0) = fds;
    }
}
