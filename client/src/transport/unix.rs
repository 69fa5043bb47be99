//! Unix sockets, with files, without, and with long paths.

use super::descriptor::{Descriptor, Short};
use super::{Transport, unsupported};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, sendmsg};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};

/// What a path may have at most; the field ends with a NUL.
const LONGEST_PATH: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

/// The most descriptors that Linux takes with one message (SCM_MAX_FD).
pub(crate) const MOST_FDS: usize = 253;

/// Without a signal when the peer has left. Elsewhere Rust's programs ignore
/// that signal, unless they undo it.
#[cfg(target_os = "linux")]
const QUIETLY: SendFlags = SendFlags::NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const QUIETLY: SendFlags = SendFlags::empty();

/// How long to wait for room in a listener's queue before asking again.
const QUEUE_FULL: Duration = Duration::from_millis(10);

/// A unix socket.
pub(super) struct Unix(pub(super) Descriptor);

impl Unix {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        Descriptor::new(stream.into_std()?.into()).map(Self)
    }
}

impl AsyncRead for Unix {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read_with(cx, buffer, Short::Drained)
    }
}

impl AsyncWrite for Unix {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut self.get_mut().0;
        this.poll_write_with(cx, |fd| rustix::net::send(fd, bytes, QUIETLY))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = rustix::net::shutdown(self.0.fd(), Shutdown::Write);
        Poll::Ready(Ok(shutdown?))
    }
}

impl Transport for Unix {
    fn carries_fds(&self) -> bool {
        true
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        fds: &[OwnedFd],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_with(cx, |fd| send(fd, bytes, fds))
    }
}

fn send(socket: &OwnedFd, bytes: &[u8], fds: &[OwnedFd]) -> rustix::io::Result<usize> {
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::INVAL);
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, QUIETLY)
}

/// Connects to a socket with a file.
pub(super) async fn connect(path: &Path) -> io::Result<Box<dyn Transport>> {
    // The descriptor that a short name leads through must live as long.
    let (path, _guard) = short(path)?;
    patiently(&path).await
}

/// Connects to a socket without a file.
pub(super) async fn connect_abstract(name: &str) -> io::Result<Box<dyn Transport>> {
    if !cfg!(target_os = "linux") {
        return Err(unsupported("abstract sockets are Linux's"));
    }
    // tokio takes a path that begins with NUL as an abstract name.
    patiently(Path::new(&format!("\0{name}"))).await
}

/// Connects, and waits while the listener's queue is full, as it is when the
/// server hangs or is stopped. The caller's deadline ends that.
async fn patiently(path: &Path) -> io::Result<Box<dyn Transport>> {
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(Box::new(Unix::new(stream)?)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(QUEUE_FULL).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Listens on a socket with a file, in place of one that nobody listens on.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    let (path, _guard) = short_new(path)?;
    match UnixListener::bind(&path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(&path) => {
            std::fs::remove_file(&path)?;
            UnixListener::bind(&path)
        }
        other => other,
    }
}

/// Listens on a socket without a file.
pub(super) fn listen_abstract(name: &str) -> io::Result<UnixListener> {
    if !cfg!(target_os = "linux") {
        return Err(unsupported("abstract sockets are Linux's"));
    }
    UnixListener::bind(Path::new(&format!("\0{name}")))
}

/// Whether a socket's file was left behind.
fn is_stale(path: &Path) -> bool {
    let call = std::os::unix::net::UnixStream::connect(path);
    call.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Another name for the socket at `path` that fits into an address.
#[cfg(target_os = "linux")]
fn short(path: &Path) -> io::Result<(PathBuf, Option<OwnedFd>)> {
    if path.as_os_str().len() <= LONGEST_PATH {
        return Ok((path.to_owned(), None));
    }
    let (name, socket) = by_descriptor(path)?;
    Ok((name, Some(socket)))
}

/// Another name for the socket to be made at `path` that fits into an address.
#[cfg(target_os = "linux")]
fn short_new(path: &Path) -> io::Result<(PathBuf, Option<OwnedFd>)> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok((path.to_owned(), None));
    };
    if path.as_os_str().len() <= LONGEST_PATH {
        return Ok((path.to_owned(), None));
    }
    let (directory, guard) = by_descriptor(directory)?;
    Ok((directory.join(name), Some(guard)))
}

/// The name by which this process has something open.
#[cfg(target_os = "linux")]
fn by_descriptor(path: &Path) -> io::Result<(PathBuf, OwnedFd)> {
    use rustix::fs::{Mode, OFlags, open};
    use std::os::fd::AsRawFd;

    let fd = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    Ok((format!("/proc/self/fd/{}", fd.as_raw_fd()).into(), fd))
}

/// Without `/proc` there is no other name.
#[cfg(not(target_os = "linux"))]
fn short(path: &Path) -> io::Result<(PathBuf, Option<OwnedFd>)> {
    let length = path.as_os_str().len();
    if length <= LONGEST_PATH {
        return Ok((path.to_owned(), None));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("the path has {length} bytes, and a socket's at most {LONGEST_PATH}"),
    ))
}

#[cfg(not(target_os = "linux"))]
use short as short_new;
