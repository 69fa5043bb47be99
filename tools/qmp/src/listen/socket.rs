//! Unix sockets: names of any length, descriptors that come along, and who
//! is at the other end.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{UnixListener, UnixStream};

use super::Process;

/// The most descriptors that the kernel passes with one message.
const MOST_FDS: usize = 253;

/// What a socket's name may have at most; the field ends with a NUL.
const LONGEST_PATH: usize = 107;

/// Listens at a path.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    let stale = std::fs::symlink_metadata(path).is_ok_and(|status| status.file_type().is_socket());
    if stale {
        refuse_served(path)?;
        std::fs::remove_file(path)?;
    }
    if path.as_os_str().len() <= LONGEST_PATH {
        return UnixListener::bind(path);
    }
    bind_long(path)
}

/// Refuses to take a socket from a server that serves it.
fn refuse_served(path: &Path) -> io::Result<()> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(_) => Ok(()),
    }
}

/// Names a path that does not fit through a descriptor of its directory.
#[cfg(target_os = "linux")]
fn bind_long(path: &Path) -> io::Result<UnixListener> {
    use rustix::fs::{Mode, OFlags, open};
    use std::os::fd::AsRawFd as _;

    let parts = path.parent().zip(path.file_name());
    let (parent, name) = parts.ok_or(io::ErrorKind::InvalidInput)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open(parent, flags, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
    UnixListener::bind(short.join(name))
}

/// Without `/proc` there is no other name.
#[cfg(not(target_os = "linux"))]
fn bind_long(_: &Path) -> io::Result<UnixListener> {
    Err(io::ErrorKind::InvalidInput.into())
}

/// Listens at a name without a file.
pub(super) fn bind_abstract(name: &str) -> io::Result<UnixListener> {
    // A path that begins with NUL is an abstract name.
    UnixListener::bind(format!("\0{name}"))
}

/// Who is at the other end.
pub(super) fn process(stream: &UnixStream) -> Option<Process> {
    let credentials = stream.peer_cred().ok()?;
    Some(Process {
        pid: credentials.pid().unwrap_or(0),
        uid: credentials.uid(),
        gid: credentials.gid(),
    })
}

/// The descriptors of the last message that had any. What a message leaves is
/// closed when the next ones come, so that no command gets another's.
#[derive(Clone, Debug, Default)]
pub struct FdInbox(Arc<Mutex<VecDeque<OwnedFd>>>);

impl FdInbox {
    /// Takes the oldest.
    #[must_use]
    pub fn pop(&self) -> Option<OwnedFd> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// Whether none waits to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let fds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fds.is_empty()
    }

    fn replace(&self, fds: VecDeque<OwnedFd>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fds;
    }
}

/// A unix socket that keeps the descriptors it receives.
#[derive(Debug)]
pub(super) struct Passing {
    socket: UnixStream,
    fds: FdInbox,
}

impl Passing {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            fds: FdInbox::default(),
        }
    }

    pub(super) fn fds(&self) -> FdInbox {
        self.fds.clone()
    }
}

impl AsyncRead for Passing {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            let free = buffer.initialize_unfilled();
            let received = self
                .socket
                .try_io(Interest::READABLE, || receive(&self.socket, free));
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok((count, fds)) => {
                    buffer.advance(count);
                    if !fds.is_empty() {
                        self.fds.replace(fds);
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

fn receive(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, VecDeque<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut buffers = [IoSliceMut::new(buffer)];
    let message = recvmsg(socket, &mut buffers, &mut ancillary, CLOSED_ON_EXEC)?;
    let rights = ancillary.drain().filter_map(|control| match control {
        RecvAncillaryMessage::ScmRights(received) => Some(received),
        _ => None,
    });
    let fds: VecDeque<OwnedFd> = rights.flatten().collect();
    #[cfg(not(target_os = "linux"))]
    for fd in &fds {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok((message.bytes, fds))
}

/// Programs that are started must not inherit what is received.
#[cfg(target_os = "linux")]
const CLOSED_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;

/// Elsewhere that takes a call of its own.
#[cfg(not(target_os = "linux"))]
const CLOSED_ON_EXEC: RecvFlags = RecvFlags::empty();

impl AsyncWrite for Passing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
