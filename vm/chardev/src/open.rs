//! Opens the back ends of [`Backend`], except mux and hub, which need the registry.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::chardev::{Arrival, Port};
use crate::config::{Backend, LogFile};
use crate::connection::Transport;
use crate::error::{Error, Result};
use crate::fd::{AtEnd, FileStream};
use crate::link::{Kind, Link};
use crate::sink::{Ring, Sink};
use crate::{pty, socket, stdio, udp};

/// Opens `backend` and starts what runs it. Must be called within the runtime.
pub(crate) fn backend(port: &Arc<Port>, backend: Backend, log: Option<File>) -> Result<Arc<Link>> {
    match backend {
        Backend::Null => Ok(steady(port, "null", log, Sink(None))),
        Backend::Ringbuf { size } => {
            let ring = Arc::new(Ring::new(size)?);
            let kind = Kind::Ringbuf(Arc::clone(&ring));
            let link = Arc::new(Link::new(kind, "ringbuf", log));
            port.admit_steady(&link, Arrival::steady(Sink(Some(ring)), "ringbuf"));
            Ok(link)
        }
        Backend::File {
            output,
            append,
            input,
        } => Ok(steady(port, "file", log, file(output, append, input)?)),
        Backend::Pipe { path } => Ok(steady(port, "pipe", log, pipe(path)?)),
        Backend::Serial { path } => Ok(steady(port, "serial", log, serial(path)?)),
        Backend::Stdio { signal } => {
            let (claim, stream) = stdio::open(signal)?;
            let link = steady(port, "stdio", log, stream);
            link.guard(claim);
            Ok(link)
        }
        Backend::Pty { link } => pty::open(port, link, log),
        Backend::Socket(config) => socket::open(port, config, log),
        Backend::Udp(config) => Ok(steady(port, "udp", log, udp::open(&config)?)),
        Backend::Mux { chardev } => Err(Error::MuxBase(chardev)),
        Backend::Hub { .. } => Err(Error::HubEmpty),
    }
}

/// Opens the copy of the output.
pub(crate) fn log_file(log: &LogFile) -> Result<File> {
    File::options()
        .write(true)
        .create(true)
        .append(log.append)
        .truncate(!log.append)
        .open(&log.path)
        .map_err(|source| Error::Log {
            path: log.path.clone(),
            source,
        })
}

fn steady(
    port: &Arc<Port>,
    name: &str,
    log: Option<File>,
    transport: impl Transport + 'static,
) -> Arc<Link> {
    let link = Arc::new(Link::new(Kind::Plain, name, log));
    port.admit_steady(&link, Arrival::steady(transport, name));
    link
}

fn file(output: PathBuf, append: bool, input: Option<PathBuf>) -> Result<FileStream> {
    let start = if append {
        OFlags::APPEND
    } else {
        OFlags::TRUNC
    };
    let written = open_path(&output, OFlags::WRONLY | OFlags::CREATE | start)?;
    let read = input
        .map(|path| open_path(&path, OFlags::RDONLY | OFlags::NONBLOCK))
        .transpose()?;
    FileStream::new(read, written, AtEnd::Silence).map_err(|source| Error::Open {
        path: output,
        source,
    })
}

/// Both pipes are opened for reading and writing, so that neither open waits for a peer nor a
/// peer's leaving ends the input.
fn pipe(path: PathBuf) -> Result<FileStream> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK;
    let with = |suffix: &str| {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        open_path(Path::new(&name), flags)
    };
    let (input, output) = match (with(".in"), with(".out")) {
        (Ok(input), Ok(output)) => (input, output),
        _ => {
            let both = open_path(&path, flags)?;
            (reopen(&both, &path)?, both)
        }
    };
    FileStream::new(Some(input), output, AtEnd::Silence)
        .map_err(|source| Error::Open { path, source })
}

fn serial(path: PathBuf) -> Result<FileStream> {
    let line = open_path(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK)?;
    if let Ok(mut mode) = rustix::termios::tcgetattr(&line) {
        mode.make_raw();
        // A device that cannot be made raw is used as it is.
        let _ = rustix::termios::tcsetattr(&line, rustix::termios::OptionalActions::Now, &mode);
    }
    FileStream::new(Some(reopen(&line, &path)?), line, AtEnd::Silence)
        .map_err(|source| Error::Open { path, source })
}

/// A second descriptor: the reactor takes each only once.
fn reopen(fd: &OwnedFd, path: &Path) -> Result<Arc<OwnedFd>> {
    duplicate(fd).map_err(|source| Error::Open {
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn duplicate(fd: impl AsFd) -> io::Result<Arc<OwnedFd>> {
    Ok(Arc::new(rustix::io::fcntl_dupfd_cloexec(fd, 3)?))
}

fn open_path(path: &Path, flags: OFlags) -> Result<Arc<OwnedFd>> {
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::open(path, flags | OFlags::CLOEXEC, mode)
        .map(Arc::new)
        .map_err(|error| Error::Open {
            path: path.to_owned(),
            source: error.into(),
        })
}
