//! Descriptors: sockets, pipes, terminals; ours, or given to this process.
//!
//! A unix socket tells that it can be written to whenever its peer has read,
//! and each time a client would wake up for nothing, once per call. So only
//! reading is waited for, and room to write only while there is none.

#![expect(
    unsafe_code,
    reason = "a descriptor given by number has no other owner to borrow it from, and the reactor relies on it staying the same"
)]

use super::unix::Unix;
use super::{Transport, tcp};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, getsockname};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Any descriptor that can be waited for.
pub(super) struct Descriptor {
    fd: AsyncFd<OwnedFd>,
    /// A copy of it that is waited for while there is no room to write.
    room: Option<AsyncFd<OwnedFd>>,
}

/// Whether a read that brings less than there is space for shows that nothing
/// is left, which spares the call that would find out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    Drained,
    Perhaps,
}

impl Descriptor {
    /// Takes a descriptor in non-blocking mode.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            fd: register(fd, Interest::READABLE)?,
            room: None,
        })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        self.fd.get_ref()
    }

    /// Waits until a call that takes something from it does not block.
    #[cfg(target_os = "linux")]
    pub(super) async fn read_with<T>(
        &self,
        call: impl Fn(&OwnedFd) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let mut ready = self.fd.readable().await?;
            if let Ok(done) = ready.try_io(|fd| Ok(call(fd.get_ref())?)) {
                return done;
            }
        }
    }

    /// Waits until there is room to write.
    #[cfg(target_os = "linux")]
    pub(super) async fn writable(&self) -> io::Result<()> {
        let room = register(self.fd().try_clone()?, Interest::WRITABLE)?;
        room.writable().await?.retain_ready();
        Ok(())
    }

    /// Reads, and waits first if there is nothing.
    pub(super) fn poll_read_with(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        short: Short,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(cx))?;
            // SAFETY: nothing is written to the space but what is read.
            let space = unsafe { buffer.unfilled_mut() };
            let length = match rustix::io::read(self.fd(), &mut *space) {
                Ok((read, _)) => read.len(),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {
                    ready.clear_ready();
                    continue;
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            };
            if short == Short::Drained && 0 < length && length < space.len() {
                ready.clear_ready();
            }
            // SAFETY: the call has filled this many bytes.
            unsafe { buffer.assume_init(length) };
            buffer.advance(length);
            return Poll::Ready(Ok(()));
        }
    }

    /// Writes by a call that does not block.
    pub(super) fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        call: impl Fn(&OwnedFd) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = match &self.room {
                Some(room) => Some(ready!(room.poll_write_ready(cx))?),
                None => None,
            };
            match call(self.fd.get_ref()) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => match &mut ready {
                    Some(ready) => ready.clear_ready(),
                    None => {
                        let copy = self.fd().try_clone()?;
                        self.room = Some(register(copy, Interest::WRITABLE)?);
                    }
                },
                written => {
                    self.room = None;
                    return Poll::Ready(Ok(written?));
                }
            }
        }
    }
}

fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` that is never taken out names one open descriptor
    // until the registration is gone.
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(registered?)
}

impl AsyncRead for Descriptor {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A terminal gives a line at a time.
        self.poll_read_with(cx, buffer, Short::Perhaps)
    }
}

impl AsyncWrite for Descriptor {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_write_with(cx, |fd| rustix::io::write(fd, bytes))
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
        Some(AddressFamily::UNIX) => Ok(Box::new(Unix(Descriptor::new(fd)?))),
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
