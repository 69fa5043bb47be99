//! Character devices as the command line and `chardev-add` describe them,
//! turned into what `tinamou-chardev` opens.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::fcntl_dupfd_cloexec;
use tinamou_api as api;
use tinamou_chardev::{
    Backend, Config, InetAddress, LogFile, Role, Socket, SocketAddress, TlsCreds, Udp,
};
use tinamou_qmp::{Error, ErrorClass, Result};

use crate::fds::Fds;
use crate::objects::Objects;
use crate::options::config as options;

/// The wire error for a fault of a character device.
pub fn error(error: tinamou_chardev::Error) -> Error {
    Error::new(ErrorClass::GenericError, error.to_string())
}

/// What `-chardev` asks for.
///
/// # Errors
/// A descriptor it names does not exist, or the back end is not built.
pub fn from_options(chardev: &options::ChardevConfig, tls: &Objects) -> Result<Config> {
    use options::ChardevBackend as B;
    let backend = match &chardev.backend {
        B::Null => Backend::Null,
        B::Ringbuf { size } => Backend::Ringbuf { size: Some(*size) },
        B::Stdio { signal } => Backend::Stdio {
            signal: signal.unwrap_or(true),
        },
        B::Pty { path } => Backend::Pty { link: path.clone() },
        B::File { out, input, append } => Backend::File {
            output: out.clone(),
            append: *append,
            input: input.clone(),
        },
        B::Pipe { path } => Backend::Pipe { path: path.clone() },
        B::Socket(socket) => Backend::Socket(socket_from_options(socket, tls)?),
        B::Mux { chardev } => Backend::Mux {
            chardev: chardev.clone(),
        },
        B::Hub { chardevs } => Backend::Hub {
            chardevs: chardevs.clone(),
        },
        B::Udp { remote, local } => Backend::Udp(Udp {
            remote: inet(remote),
            local: local.as_ref().map(inet),
        }),
        B::Serial { path } => Backend::Serial { path: path.clone() },
    };
    let log = chardev.logfile.as_ref().map(|path| LogFile {
        path: path.clone(),
        append: chardev.logappend,
    });
    Ok(Config { backend, log })
}

fn not_built(kind: &str) -> Error {
    Error::generic(format!("'{kind}' is not a valid char driver name"))
}

fn socket_from_options(socket: &options::SocketConfig, tls: &Objects) -> Result<Socket> {
    use options::SocketAddress as A;
    let address = match &socket.address {
        A::Inet(address) => SocketAddress::Inet(inet(address)),
        A::Unix {
            path,
            is_abstract,
            tight,
        } => unix(path.clone(), *is_abstract, *tight),
        A::Fd(name) => SocketAddress::Fd {
            name: name.clone(),
            fd: inherited(name)?,
        },
    };
    let reconnect = (!socket.reconnect.is_zero()).then_some(socket.reconnect);
    Ok(Socket {
        address,
        role: role(socket.server, socket.wait, reconnect),
        nodelay: socket.nodelay,
        telnet: socket.telnet,
        websocket: socket.websocket,
        tls: credentials(socket.tls.as_deref(), tls)?,
        authorizer: socket.tls_authz.as_ref().map(|id| tls.authorizer(id)),
    })
}

fn credentials(id: Option<&str>, tls: &Objects) -> Result<Option<TlsCreds>> {
    let found = id.map(|id| {
        let missing = || Error::generic(format!("No TLS credentials with id '{id}'"));
        tls.tls_creds(id).ok_or_else(missing)
    });
    found.transpose()
}

fn inet(address: &options::InetAddress) -> InetAddress {
    InetAddress {
        host: address.host.clone(),
        port: address.port.clone(),
        to: address.to,
        ipv4: address.ipv4,
        ipv6: address.ipv6,
    }
}

/// What `chardev-add` asks for.
///
/// # Errors
/// A descriptor it names does not exist, or the back end is not built.
pub fn from_api(backend: api::ChardevBackend, fds: &mut Fds, tls: &Objects) -> Result<Config> {
    use api::ChardevBackendBranch as B;
    let (backend, common) = match backend.branch {
        B::File(file) => from_file(file.data),
        B::Socket(socket) => from_socket(socket.data, fds, tls)?,
        B::Pty(pty) => (
            Backend::Pty {
                link: pty.data.path.map(PathBuf::from),
            },
            pty.data.base,
        ),
        B::Pipe(pipe) => (
            Backend::Pipe {
                path: pipe.data.device.into(),
            },
            pipe.data.base,
        ),
        B::Null(null) => (Backend::Null, null.data),
        B::Mux(mux) => (
            Backend::Mux {
                chardev: mux.data.chardev,
            },
            mux.data.base,
        ),
        B::Stdio(stdio) => (
            Backend::Stdio {
                signal: stdio.data.signal.unwrap_or(true),
            },
            stdio.data.base,
        ),
        B::Hub(hub) => (
            Backend::Hub {
                chardevs: hub.data.chardevs,
            },
            hub.data.base,
        ),
        B::Udp(udp) => from_udp(udp.data)?,
        B::Serial(serial) => (
            Backend::Serial {
                path: serial.data.device.into(),
            },
            serial.data.base,
        ),
        B::Ringbuf(ring) | B::Memory(ring) => from_ring(ring.data)?,
        other => {
            return Err(not_built(other.kind().as_str()));
        }
    };
    let log = common.logfile.map(|path| LogFile {
        path: path.into(),
        append: common.logappend.unwrap_or(false),
    });
    Ok(Config { backend, log })
}

fn from_file(file: api::ChardevFile) -> (Backend, api::ChardevCommon) {
    let backend = Backend::File {
        output: file.out.into(),
        append: file.append.unwrap_or(false),
        input: file.r#in.map(PathBuf::from),
    };
    (backend, file.base)
}

fn from_ring(ring: api::ChardevRingbuf) -> Result<(Backend, api::ChardevCommon)> {
    let size = ring.size.map(u64::try_from).transpose();
    let size = size.map_err(|_| error(tinamou_chardev::Error::RingSize))?;
    Ok((Backend::Ringbuf { size }, ring.base))
}

fn from_socket(
    socket: api::ChardevSocket,
    fds: &mut Fds,
    tls: &Objects,
) -> Result<(Backend, api::ChardevCommon)> {
    if socket.tls_authz.is_some() && socket.tls_creds.is_none() {
        return Err(Error::generic(
            "'tls_authz' option requires 'tls_creds' option",
        ));
    }
    if socket.tn3270 == Some(true) {
        let refusal = "'tn3270' is not available in this program";
        return Err(Error::generic(refusal));
    }
    let server = socket.server.unwrap_or(true);
    let milliseconds = reconnect_ms(socket.reconnect, socket.reconnect_ms)?;
    let reconnect = u64::try_from(milliseconds)
        .map_err(|_| Error::generic("'reconnect' option must be non-negative"))?;
    let reconnect = Duration::from_millis(reconnect);
    if server && !reconnect.is_zero() {
        return Err(Error::generic(
            "'reconnect' option is incompatible with socket in server listen mode",
        ));
    }
    let backend = Backend::Socket(Socket {
        address: address(socket.addr, fds)?,
        role: role(
            server,
            socket.wait.unwrap_or(false),
            (!reconnect.is_zero()).then_some(reconnect),
        ),
        nodelay: socket.nodelay.unwrap_or(false),
        telnet: socket.telnet.unwrap_or(false),
        websocket: socket.websocket.unwrap_or(false),
        tls: credentials(socket.tls_creds.as_deref(), tls)?,
        authorizer: socket.tls_authz.as_ref().map(|id| tls.authorizer(id)),
    });
    Ok((backend, socket.base))
}

/// How long to wait before a lost peer is called again, which can be told in two ways; 0 is never.
///
/// # Errors
/// It is told in both.
pub fn reconnect_ms(seconds: Option<i64>, milliseconds: Option<i64>) -> Result<i64> {
    match (seconds, milliseconds) {
        (Some(_), Some(_)) => Err(Error::generic(
            "'reconnect' and 'reconnect-ms' are mutually exclusive",
        )),
        (Some(seconds), None) => Ok(seconds.saturating_mul(1000)),
        (None, milliseconds) => Ok(milliseconds.unwrap_or(0)),
    }
}

fn address(legacy: api::SocketAddressLegacy, fds: &mut Fds) -> Result<SocketAddress> {
    use api::SocketAddressLegacyBranch as B;
    Ok(match legacy.branch {
        B::Inet(inet) => SocketAddress::Inet(inet_from_api(inet.data)),
        B::Unix(path) => {
            let is_abstract = path.data.r#abstract.unwrap_or(false);
            unix(path.data.path, is_abstract, path.data.tight.unwrap_or(true))
        }
        B::Fd(fd) => passed_socket(fd.data.str, fds)?,
        B::Vsock(vsock) => SocketAddress::Vsock {
            cid: number("cid", &vsock.data.cid)?,
            port: number("port", &vsock.data.port)?,
        },
    })
}

/// An address of those that carry their members themselves.
///
/// # Errors
/// A descriptor it names does not exist, or a number is none.
pub fn flat_address(address: api::SocketAddress, fds: &mut Fds) -> Result<SocketAddress> {
    use api::SocketAddressBranch as B;
    Ok(match address.branch {
        B::Inet(inet) => SocketAddress::Inet(inet_from_api(inet)),
        B::Unix(path) => {
            let is_abstract = path.r#abstract.unwrap_or(false);
            unix(path.path, is_abstract, path.tight.unwrap_or(true))
        }
        B::Fd(fd) => passed_socket(fd.str, fds)?,
        B::Vsock(vsock) => SocketAddress::Vsock {
            cid: number("cid", &vsock.cid)?,
            port: number("port", &vsock.port)?,
        },
    })
}

fn passed_socket(name: String, fds: &mut Fds) -> Result<SocketAddress> {
    let fd = passed(&name, fds)?;
    Ok(SocketAddress::Fd { name, fd })
}

/// A descriptor by number, or one that a client has passed in, by name.
///
/// # Errors
/// There is none of that name or number.
pub fn passed(name: &str, fds: &mut Fds) -> Result<OwnedFd> {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return inherited(name);
    }
    fds.take(name)
        .map_err(|_| Error::generic(format!("File descriptor named '{name}' has not been found")))
}

fn inet_from_api(inet: api::InetSocketAddress) -> InetAddress {
    InetAddress {
        host: inet.base.host,
        port: inet.base.port,
        to: inet.to,
        ipv4: inet.ipv4,
        ipv6: inet.ipv6,
    }
}

fn number(what: &str, text: &str) -> Result<u32> {
    let number = text.parse();
    number.map_err(|_| Error::generic(format!("Failed to parse {what} '{text}'")))
}

fn from_udp(udp: api::ChardevUdp) -> Result<(Backend, api::ChardevCommon)> {
    let end = |address: api::SocketAddressLegacy| match address.branch {
        api::SocketAddressLegacyBranch::Inet(inet) => Ok(inet_from_api(inet.data)),
        _ => Err(Error::generic("socket type unsupported for datagram")),
    };
    let backend = Backend::Udp(Udp {
        remote: end(udp.remote)?,
        local: udp.local.map(end).transpose()?,
    });
    Ok((backend, udp.base))
}

fn unix(path: String, is_abstract: bool, tight: bool) -> SocketAddress {
    match is_abstract {
        true => SocketAddress::Abstract {
            name: path.into_bytes(),
            tight,
        },
        false => SocketAddress::Unix(path.into()),
    }
}

fn role(server: bool, wait: bool, reconnect: Option<Duration>) -> Role {
    match server {
        true => Role::Server { wait },
        false => Role::Client { reconnect },
    }
}

/// A duplicate of a descriptor that the process was started with.
pub fn inherited(number: &str) -> Result<OwnedFd> {
    let not_open = || Error::generic(format!("File descriptor '{number}' is not open"));
    let raw: RawFd = number.parse().map_err(|_| not_open())?;
    duplicate(raw).map_err(|_| not_open())
}

#[expect(
    unsafe_code,
    reason = "a descriptor given by number has no other owner to borrow it from"
)]
fn duplicate(raw: RawFd) -> std::io::Result<OwnedFd> {
    if raw < 0 {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the number is borrowed for the one call that checks whether it
    // is open; nobody closes descriptors between the check and the copy.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    Ok(fcntl_dupfd_cloexec(fd, 0)?)
}
