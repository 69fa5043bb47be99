//! Descriptors that this process was given: sockets, pipes, terminals.

#![expect(
    unsafe_code,
    reason = "a descriptor given by number has no other owner to borrow it from, and the reactor relies on it staying the same"
)]

use super::unix::Unix;
use super::{Transport, tcp};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, getsockname};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Any descriptor that can be waited for.
pub(super) struct Descriptor(AsyncFd<OwnedFd>);

impl Descriptor {
    /// Takes a descriptor in non-blocking mode.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` that is never taken out names one open
        // descriptor until the registration is gone.
        let registered = unsafe { AsyncFd::register(fd) };
        Ok(Self(registered.map_err(io::Error::from)?))
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        self.0.writable().await?.retain_ready();
        Ok(())
    }

    /// Waits until a call that takes something from it does not block.
    pub(super) async fn read_with<T>(
        &self,
        call: impl Fn(&OwnedFd) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(done) = ready.try_io(|fd| Ok(call(fd.get_ref())?)) {
                return done;
            }
        }
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        self.0.get_ref()
    }
}

impl AsyncRead for Descriptor {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let free = buffer.initialize_unfilled();
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), free)?));
            if let Ok(read) = read {
                buffer.advance(read?);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Descriptor {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            let written = ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?));
            if let Ok(written) = written {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Descriptor {}

/// A stream over a copy of the descriptor with this number.
pub(super) fn inherited(number: RawFd) -> io::Result<Box<dyn Transport>> {
    let fd = duplicate(number)?;
    rustix::io::ioctl_fionbio(&fd, true)?;
    match family(&fd) {
        Some(AddressFamily::UNIX) => Ok(Box::new(Unix(UnixStream::from_std(fd.into())?))),
        Some(AddressFamily::INET | AddressFamily::INET6) => {
            Ok(Box::new(tcp::Tcp(TcpStream::from_std(fd.into())?)))
        }
        _ => Ok(Box::new(Descriptor::new(fd)?)),
    }
}

/// What kind of socket it is, if it is one.
fn family(fd: &OwnedFd) -> Option<AddressFamily> {
    Some(getsockname(fd).ok()?.address_family())
}

fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: an address holds no negative number, and this one is borrowed
    // for the one call that checks whether it is open.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(fcntl_dupfd_cloexec(fd, 0)?)
}
