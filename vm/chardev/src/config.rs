//! What a character device is asked to be: plain data, already parsed and defaulted by the caller.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use crate::tls::{Authorizer, TlsCreds};

/// One character device: its back end, and the file that receives a copy of the front end's output.
#[derive(Debug)]
pub struct Config {
    /// Where the bytes go to and come from.
    pub backend: Backend,
    /// `logfile`: a copy of everything the front end writes.
    pub log: Option<LogFile>,
}

impl From<Backend> for Config {
    fn from(backend: Backend) -> Self {
        Self { backend, log: None }
    }
}

/// `logfile` and `logappend`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file written to.
    pub path: PathBuf,
    /// Keep what the file holds already.
    pub append: bool,
}

/// The back ends, named as `ChardevBackendKind` names them.
#[derive(Debug)]
#[non_exhaustive]
pub enum Backend {
    /// Output vanishes, input never comes.
    Null,
    /// A stream socket.
    Socket(Socket),
    /// The process's own standard input and output.
    Stdio {
        /// Let the terminal's interrupt characters raise signals.
        signal: bool,
    },
    /// A new pseudoterminal.
    Pty {
        /// A symbolic link to the terminal's name, removed with the device.
        link: Option<PathBuf>,
    },
    /// Output to a file, input optionally from another.
    File {
        /// Where output goes.
        output: PathBuf,
        /// Keep what the output file holds already.
        append: bool,
        /// Where input comes from.
        input: Option<PathBuf>,
    },
    /// Named pipes `PATH.in` and `PATH.out`, or `PATH` for both directions.
    Pipe {
        /// The path without suffix.
        path: PathBuf,
    },
    /// A terminal device of the host.
    Serial {
        /// The device's path.
        path: PathBuf,
    },
    /// The last bytes written are kept in memory.
    Ringbuf {
        /// Bytes kept: a power of two, 65536 unless given.
        size: Option<u64>,
    },
    /// Datagrams to and from one peer.
    Udp(Udp),
    /// One front end talks through several other character devices at once.
    Hub {
        /// Their ids.
        chardevs: Vec<String>,
    },
    /// Up to four front ends share another character device.
    Mux {
        /// The id of the device shared.
        chardev: String,
    },
}

/// A stream socket, either side of it.
#[derive(Debug)]
pub struct Socket {
    /// Where to listen or what to connect to.
    pub address: SocketAddress,
    /// Listen or connect.
    pub role: Role,
    /// `nodelay`: send small TCP segments at once.
    pub nodelay: bool,
    /// Speak the telnet protocol.
    pub telnet: bool,
    /// Encrypt everything.
    pub tls: Option<TlsCreds>,
    /// Which of the peers that showed a certificate may connect; servers only.
    pub authorizer: Option<Authorizer>,
    /// Speak the websocket protocol; servers only.
    pub websocket: bool,
}

/// The ends of a datagram socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp {
    /// Where output is sent, and where input must come from.
    pub remote: InetAddress,
    /// What is bound; whatever fits unless given.
    pub local: Option<InetAddress>,
}

/// The two sides of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// `server=on`.
    Server {
        /// Whoever starts the machine waits for the first client ([`Chardev::connected`]).
        ///
        /// [`Chardev::connected`]: crate::Chardev::connected
        wait: bool,
    },
    /// `server=off`.
    Client {
        /// Connect in the background and again after a loss, this long after each failure.
        reconnect: Option<Duration>,
    },
}

/// `SocketAddressLegacy`, with file descriptors already looked up by name.
#[derive(Debug)]
#[non_exhaustive]
pub enum SocketAddress {
    /// TCP.
    Inet(InetAddress),
    /// A path in the file system.
    Unix(PathBuf),
    /// A name in Linux's abstract name space.
    Abstract {
        /// The name, without the leading zero byte.
        name: Vec<u8>,
        /// Whether the address ends with the name (`tight=on`) or is zero-padded.
        tight: bool,
    },
    /// A socket between host and guests.
    Vsock {
        /// Context id.
        cid: u32,
        /// Port.
        port: u32,
    },
    /// A listening or connected socket made by someone else.
    Fd {
        /// The name or number it was asked for by, as shown by `query-chardev`.
        name: String,
        /// The socket.
        fd: OwnedFd,
    },
}

/// An internet address to resolve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InetAddress {
    /// Host name or number; empty means any address of this host.
    pub host: String,
    /// Port number, or service name.
    pub port: String,
    /// A server tries the ports from `port` to this one.
    pub to: Option<u16>,
    /// `ipv4`: whether IPv4 addresses may be used.
    pub ipv4: Option<bool>,
    /// `ipv6`: whether IPv6 addresses may be used.
    pub ipv6: Option<bool>,
}
