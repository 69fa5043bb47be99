//! Asynchronous reading and writing of any file descriptor.

#![expect(
    unsafe_code,
    reason = "the reactor relies on the descriptor staying the same"
)]

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::FdInbox;

/// The most descriptors the kernel passes with one message.
const MOST_FDS: usize = 253;

/// Bytes written at once to a descriptor that might block: what a pipe or terminal that polls as
/// writable takes without blocking.
const SAFE_WRITE: usize = 256;

/// A descriptor registered with the reactor, or one that never blocks and that epoll refuses,
/// such as a regular file.
#[derive(Debug)]
pub(crate) enum Polled {
    Reactor(AsyncFd<Arc<OwnedFd>>),
    Always(Arc<OwnedFd>),
}

impl Polled {
    /// Must be called within the runtime.
    pub(crate) fn new(fd: Arc<OwnedFd>) -> io::Result<Self> {
        // SAFETY: a shared `OwnedFd` names one open descriptor until the registration is gone.
        let registered = unsafe { AsyncFd::register(Arc::clone(&fd)) };
        let error = match registered {
            Ok(registered) => return Ok(Self::Reactor(registered)),
            Err(error) => io::Error::from(error),
        };
        match Errno::from_io_error(&error) {
            Some(Errno::PERM) => Ok(Self::Always(fd)),
            _ => Err(error),
        }
    }

    pub(crate) fn poll_read<T>(
        &self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&OwnedFd) -> rustix::io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let fd = match self {
            Self::Always(fd) => return Poll::Ready(read(fd).map_err(Into::into)),
            Self::Reactor(fd) => fd,
        };
        loop {
            let mut ready = ready!(fd.poll_read_ready(cx))?;
            if let Ok(result) = ready.try_io(|fd| read(fd.get_ref()).map_err(Into::into)) {
                return Poll::Ready(result);
            }
        }
    }

    pub(crate) fn poll_write<T>(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&OwnedFd) -> rustix::io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let fd = match self {
            Self::Always(fd) => return Poll::Ready(write(fd).map_err(Into::into)),
            Self::Reactor(fd) => fd,
        };
        loop {
            let mut ready = ready!(fd.poll_write_ready(cx))?;
            if let Ok(result) = ready.try_io(|fd| write(fd.get_ref()).map_err(Into::into)) {
                return Poll::Ready(result);
            }
        }
    }
}

/// A connected socket, with the descriptors that are passed over it.
#[derive(Debug)]
pub struct SocketStream {
    socket: Polled,
    fds: FdInbox,
}

impl SocketStream {
    /// Must be called within the runtime, with a non-blocking socket.
    pub(crate) fn new(socket: Arc<OwnedFd>, fds: FdInbox) -> io::Result<Self> {
        Ok(Self {
            socket: Polled::new(socket)?,
            fds,
        })
    }
}

impl AsyncRead for SocketStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let free = buffer.initialize_unfilled();
        let count = ready!(
            self.socket
                .poll_read(cx, |socket| receive(socket, free, &self.fds))
        )?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8], fds: &FdInbox) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut buffers = [IoSliceMut::new(buffer)];
    let message = recvmsg(socket, &mut buffers, &mut ancillary, flags)?;
    let rights = ancillary.drain().filter_map(|control| match control {
        RecvAncillaryMessage::ScmRights(received) => Some(received),
        _ => None,
    });
    let received: VecDeque<OwnedFd> = rights.flatten().collect();
    if !received.is_empty() {
        fds.replace(received);
    }
    Ok(message.bytes)
}

impl AsyncWrite for SocketStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        self.socket
            .poll_write(cx, |socket| send(socket, bytes, flags))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Polled::Reactor(socket) = &self.socket {
            // Fails only when the peer has left already.
            let _ = rustix::net::shutdown(socket.get_ref(), rustix::net::Shutdown::Write);
        }
        Poll::Ready(Ok(()))
    }
}

/// What the end of the input means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// Nothing more will be read, but output goes on.
    Silence,
    /// The peer has left.
    Leave,
}

/// Files, pipes and terminals: input from one descriptor, output to another or the same.
#[derive(Debug)]
pub(crate) struct FileStream {
    input: Option<Polled>,
    output: Polled,
    at_end: AtEnd,
    /// The output descriptor is in blocking mode.
    careful: bool,
}

impl FileStream {
    /// Must be called within the runtime.
    pub(crate) fn new(
        input: Option<Arc<OwnedFd>>,
        output: Arc<OwnedFd>,
        at_end: AtEnd,
    ) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&output)?;
        let careful = !flags.contains(rustix::fs::OFlags::NONBLOCK);
        Ok(Self {
            input: input.map(Polled::new).transpose()?,
            output: Polled::new(output)?,
            at_end,
            careful,
        })
    }
}

impl AsyncRead for FileStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(input) = &self.input else {
            return Poll::Pending;
        };
        let free = buffer.initialize_unfilled();
        let count = match ready!(input.poll_read(cx, |fd| rustix::io::read(fd, &mut *free))) {
            // A pseudoterminal without a slave.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => 0,
            result => result?,
        };
        if count == 0 && self.at_end == AtEnd::Silence {
            self.input = None;
            return Poll::Pending;
        }
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FileStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let most = match (&self.output, self.careful) {
            (Polled::Reactor(_), true) => bytes.len().min(SAFE_WRITE),
            _ => bytes.len(),
        };
        self.output
            .poll_write(cx, |fd| rustix::io::write(fd, &bytes[..most]))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
