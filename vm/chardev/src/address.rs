//! Socket addresses: resolved, bound, connected to and shown.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    getpeername, getsockname, socket_with, sockopt,
};

use crate::config::{InetAddress, SocketAddress};
use crate::error::{Error, Result};
use crate::fd::Polled;
use crate::link::OwnPath;
use crate::vsock;

/// Clients that may wait for a seat.
const BACKLOG: i32 = 128;

/// The sockets of a server.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) sockets: Vec<Polled>,
    pub(crate) name: String,
    pub(crate) path: Option<OwnPath>,
}

/// Binds and listens. Must be called within the runtime.
pub(crate) fn listen(address: SocketAddress) -> Result<Listening> {
    match address {
        SocketAddress::Inet(address) => listen_inet(&address),
        SocketAddress::Unix(path) => listen_unix(path),
        SocketAddress::Abstract { name, tight } => listen_abstract(&name, tight),
        SocketAddress::Vsock { cid, port } => listen_vsock(cid, port),
        SocketAddress::Fd { name, fd } => listen_fd(&name, fd),
    }
}

fn listen_inet(address: &InetAddress) -> Result<Listening> {
    let addresses = resolve(address, true)?;
    let first = addresses[0].port();
    let mut last = io::Error::from(Errno::ADDRINUSE);
    for port in first..=address.to.unwrap_or(first).max(first) {
        match bind_all(&addresses, port) {
            Ok(sockets) => {
                let bound = local(&sockets[0]).map_err(Error::Listen)?;
                let sockets = registered(sockets).map_err(Error::Listen)?;
                let host = if addresses.len() > 1 || address.host.is_empty() {
                    bound.ip().to_string()
                } else {
                    addresses[0].ip().to_string()
                };
                return Ok(Listening {
                    sockets,
                    name: format!("tcp:{host}:{}", bound.port()),
                    path: None,
                });
            }
            Err(error) => last = error,
        }
    }
    Err(Error::Listen(last))
}

/// One socket per address, all on one port.
fn bind_all(addresses: &[SocketAddr], mut port: u16) -> io::Result<Vec<OwnedFd>> {
    let mut sockets = Vec::new();
    for address in addresses {
        let socket = bind_inet(SocketAddr::new(address.ip(), port));
        // A host without IPv6 resolves names to it all the same.
        if !sockets.is_empty() && socket.is_err() && addresses.len() > 1 {
            continue;
        }
        let socket = socket?;
        port = local(&socket)?.port();
        sockets.push(socket);
    }
    Ok(sockets)
}

fn bind_inet(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = stream_socket(family)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn local(socket: &OwnedFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(getsockname(socket)?)?)
}

fn registered(sockets: Vec<OwnedFd>) -> io::Result<Vec<Polled>> {
    sockets
        .into_iter()
        .map(|socket| Polled::new(Arc::new(socket)))
        .collect()
}

fn listen_unix(path: PathBuf) -> Result<Listening> {
    let shown = path.display().to_string();
    let failed = |error: Errno| Error::Bind {
        path: shown.clone(),
        source: error.into(),
    };
    remove_stale(&path);
    let socket = with_unix_address(&path, |address| {
        let socket = stream_socket(AddressFamily::UNIX)?;
        bind(&socket, address)?;
        Ok(socket)
    })?
    .map_err(failed)?;
    let own = OwnPath::new(path);
    rustix::net::listen(&socket, BACKLOG).map_err(failed)?;
    Ok(Listening {
        sockets: registered(vec![socket]).map_err(Error::Listen)?,
        name: format!("unix:{shown}"),
        path: Some(own),
    })
}

/// Removes what an earlier server left; anything but a socket is kept, and binding will fail.
fn remove_stale(path: &Path) {
    let Ok(status) = rustix::fs::lstat(path) else {
        return;
    };
    if FileType::from_raw_mode(status.st_mode) == FileType::Socket {
        // Binding reports a path that stays.
        let _ = std::fs::remove_file(path);
    }
}

/// Calls `act` with the address of `path`. The kernel's addresses hold 107 bytes; a longer path
/// is named through a descriptor of its directory.
fn with_unix_address<T>(
    path: &Path,
    act: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>,
) -> Result<rustix::io::Result<T>> {
    if let Ok(address) = SocketAddrUnix::new(path) {
        return Ok(act(&address));
    }
    let too_long = || Error::PathTooLong(path.display().to_string());
    let (parent, name) = path.parent().zip(path.file_name()).ok_or_else(too_long)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(parent, flags, Mode::empty()) {
        Ok(directory) => directory,
        Err(error) => return Ok(Err(error)),
    };
    let short = Path::new("/proc/self/fd")
        .join(directory.as_raw_fd().to_string())
        .join(name);
    let address = SocketAddrUnix::new(short).map_err(|_| too_long())?;
    Ok(act(&address))
}

fn listen_abstract(name: &[u8], tight: bool) -> Result<Listening> {
    let shown = String::from_utf8_lossy(name).into_owned();
    let address = abstract_address(name, tight)?;
    let socket = stream_socket(AddressFamily::UNIX)
        .and_then(|socket| {
            bind(&socket, &address)?;
            rustix::net::listen(&socket, BACKLOG)?;
            Ok(socket)
        })
        .map_err(|error| Error::Bind {
            path: shown.clone(),
            source: error.into(),
        })?;
    Ok(Listening {
        sockets: registered(vec![socket]).map_err(Error::Listen)?,
        name: abstract_name(&shown, tight),
        path: None,
    })
}

fn listen_vsock(cid: u32, port: u32) -> Result<Listening> {
    let socket = vsock::socket(cid, port, |socket, address| {
        bind(socket, address)?;
        rustix::net::listen(socket, BACKLOG)
    });
    let socket = socket.map_err(|error| Error::Listen(error.into()))?;
    make_nonblocking(&socket).map_err(Error::Listen)?;
    Ok(Listening {
        sockets: registered(vec![socket]).map_err(Error::Listen)?,
        name: format!("vsock:{cid}:{port}"),
        path: None,
    })
}

fn abstract_name(name: &str, tight: bool) -> String {
    let tight = if tight { ",tight=on" } else { "" };
    format!("unix:{name},abstract=on{tight}")
}

fn abstract_address(name: &[u8], tight: bool) -> Result<SocketAddrUnix> {
    let mut padded = name.to_vec();
    if !tight && padded.len() < 107 {
        padded.resize(107, 0);
    }
    SocketAddrUnix::new_abstract_name(&padded)
        .map_err(|_| Error::PathTooLong(String::from_utf8_lossy(name).into_owned()))
}

fn listen_fd(name: &str, fd: OwnedFd) -> Result<Listening> {
    let failed = |source: io::Error| Error::Passed {
        name: name.to_owned(),
        source,
    };
    rustix::net::listen(&fd, BACKLOG).map_err(|error| failed(error.into()))?;
    make_nonblocking(&fd).map_err(failed)?;
    let bound = getsockname(&fd).map_err(|error| failed(error.into()))?;
    let shown = match SocketAddr::try_from(bound.clone()) {
        Ok(inet) => format!("tcp:{}:{}", inet.ip(), inet.port()),
        Err(_) => unix_name(bound),
    };
    Ok(Listening {
        sockets: registered(vec![fd]).map_err(failed)?,
        name: shown,
        path: None,
    })
}

pub(crate) fn make_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?)
}

fn stream_socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::STREAM, flags, None)
}

/// Whom a client calls.
#[derive(Debug)]
pub(crate) struct Target {
    address: SocketAddress,
    /// As `query-chardev` shows it.
    pub(crate) name: String,
    /// As errors show it.
    shown: String,
}

impl Target {
    pub(crate) fn new(address: SocketAddress) -> Result<Self> {
        let (name, shown) = match &address {
            SocketAddress::Inet(inet) => {
                check_families(inet)?;
                let shown = format!("{}:{}", inet.host, inet.port);
                (format!("tcp:{shown}"), shown)
            }
            SocketAddress::Unix(path) => {
                let shown = path.display().to_string();
                (format!("unix:{shown}"), shown)
            }
            SocketAddress::Abstract { name, tight } => {
                let shown = String::from_utf8_lossy(name).into_owned();
                (abstract_name(&shown, *tight), shown)
            }
            SocketAddress::Vsock { cid, port } => {
                let shown = format!("{cid}:{port}");
                (format!("vsock:{shown}"), shown)
            }
            SocketAddress::Fd { name, .. } => (format!("fd:{name}"), name.clone()),
        };
        Ok(Self {
            address,
            name,
            shown,
        })
    }

    /// The host that is called by its name or number.
    pub(crate) fn host(&self) -> Option<&str> {
        match &self.address {
            SocketAddress::Inet(inet) => Some(&inet.host),
            _ => None,
        }
    }

    pub(crate) fn lost(&self, source: io::Error) -> Error {
        Error::Connect {
            address: self.shown.clone(),
            source,
        }
    }

    /// Connects while the caller waits.
    pub(crate) fn connect_now(&self) -> Result<OwnedFd> {
        let SocketAddress::Inet(inet) = &self.address else {
            return self.connect_local();
        };
        let addresses = resolve(inet, false)?;
        let stream = TcpStream::connect(&addresses[..]).map_err(|error| self.lost(error))?;
        stream
            .set_nonblocking(true)
            .map_err(|error| self.lost(error))?;
        Ok(stream.into())
    }

    /// Connects in the background.
    pub(crate) async fn connect(&self) -> io::Result<OwnedFd> {
        let inet = match &self.address {
            SocketAddress::Inet(inet) => inet,
            SocketAddress::Vsock { cid, port } => {
                let (cid, port) = (*cid, *port);
                return tokio::task::spawn_blocking(move || call_vsock(cid, port)).await?;
            }
            _ => return self.connect_local().map_err(io::Error::other),
        };
        let asked = inet.clone();
        let addresses = tokio::task::spawn_blocking(move || resolve(&asked, false))
            .await?
            .map_err(io::Error::other)?;
        let stream = tokio::net::TcpStream::connect(&addresses[..]).await?;
        Ok(stream.into_std()?.into())
    }

    /// Connecting to this host never waits, and to a guest of it not for long.
    fn connect_local(&self) -> Result<OwnedFd> {
        let call = |address: &SocketAddrUnix| {
            let socket = stream_socket(AddressFamily::UNIX)?;
            connect(&socket, address)?;
            Ok(socket)
        };
        let socket = match &self.address {
            SocketAddress::Unix(path) => with_unix_address(path, call)?,
            SocketAddress::Abstract { name, tight } => call(&abstract_address(name, *tight)?),
            SocketAddress::Vsock { cid, port } => {
                return call_vsock(*cid, *port).map_err(|error| self.lost(error));
            }
            SocketAddress::Fd { fd, .. } => rustix::io::fcntl_dupfd_cloexec(fd, 3),
            SocketAddress::Inet(_) => Err(Errno::AFNOSUPPORT),
        };
        let socket = socket.map_err(|error| self.lost(error.into()))?;
        make_nonblocking(&socket).map_err(|error| self.lost(error))?;
        Ok(socket)
    }
}

fn call_vsock(cid: u32, port: u32) -> io::Result<OwnedFd> {
    let socket = vsock::socket(cid, port, |socket, address| connect(socket, address))?;
    make_nonblocking(&socket)?;
    Ok(socket)
}

fn check_families(address: &InetAddress) -> Result<()> {
    if address.ipv4 == Some(false) && address.ipv6 == Some(false) {
        return Err(Error::NoFamily);
    }
    Ok(())
}

/// At least one address.
pub(crate) fn resolve(address: &InetAddress, passive: bool) -> Result<Vec<SocketAddr>> {
    check_families(address)?;
    let failed = |reason: &str| Error::Resolve {
        address: format!("{}:{}", address.host, address.port),
        reason: reason.to_owned(),
    };
    let port: u16 = address
        .port
        .parse()
        .map_err(|_| failed("Servname not supported for ai_socktype"))?;
    let hosts: &[&str] = match (address.host.as_str(), passive) {
        ("", true) => &["0.0.0.0", "::"],
        ("", false) => &["localhost"],
        (host, _) => &[host],
    };
    // One family asked for rules out the other; both asked for, or neither, allow both.
    let (v4, v6) = match (address.ipv4, address.ipv6) {
        (Some(true), None) => (true, false),
        (None, Some(true)) => (false, true),
        (v4, v6) => (v4 != Some(false), v6 != Some(false)),
    };
    let mut addresses = Vec::new();
    for host in hosts {
        let found = (*host, port).to_socket_addrs().map_err(|error| {
            let text = error.to_string();
            let prefix = "failed to lookup address information: ";
            failed(text.strip_prefix(prefix).unwrap_or(&text))
        })?;
        addresses.extend(found.filter(|found| if found.is_ipv4() { v4 } else { v6 }));
    }
    if addresses.is_empty() {
        return Err(failed("Address family for hostname not supported"));
    }
    Ok(addresses)
}

/// The two ends of a connected internet socket, nothing for other sockets.
pub(crate) fn ends(socket: &OwnedFd) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    let Ok(local) = SocketAddr::try_from(getsockname(socket)?) else {
        return Ok(None);
    };
    let peer = getpeername(socket)?.ok_or(Errno::NOTCONN)?;
    Ok(Some((local, SocketAddr::try_from(peer)?)))
}

fn unix_name(address: SocketAddrAny) -> String {
    let Ok(address) = SocketAddrUnix::try_from(address) else {
        return "unix:".to_owned();
    };
    let bytes = address
        .path_bytes()
        .or_else(|| address.abstract_name())
        .unwrap_or_default();
    format!("unix:{}", String::from_utf8_lossy(bytes))
}
