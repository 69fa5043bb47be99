//! What a back end is asked to be: plain data, already parsed and defaulted by the caller.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use tinamou_chardev::SocketAddress;

pub use crate::backends::user::UserConfig;

/// The back ends, named as `NetClientDriver` names them.
#[derive(Debug)]
#[non_exhaustive]
pub enum Config {
    /// Frames over one TCP connection, or in UDP datagrams.
    Socket(LegacySocket),
    /// Frames over a stream socket, each after its length.
    Stream(Stream),
    /// A frame in each datagram.
    Dgram(Datagram),
    /// A network interface of the host.
    Tap(Tap),
    /// One that a helper makes and puts on a bridge.
    Bridge(Bridge),
    /// A network behind the process.
    User(Box<UserConfig>),
    /// A port of a hub.
    Hubport {
        /// Which hub.
        hub: i32,
        /// The back end behind the port; without it a card may be.
        netdev: Option<String>,
    },
}

impl Config {
    /// Its name as a type of back end.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Socket(_) => "socket",
            Self::Stream(_) => "stream",
            Self::Dgram(_) => "dgram",
            Self::Tap(_) => "tap",
            Self::Bridge(_) => "bridge",
            Self::User(_) => "user",
            Self::Hubport { .. } => "hubport",
        }
    }

    /// How many queues it has.
    pub(crate) fn queues(&self) -> usize {
        match self {
            Self::Tap(Tap::Fds(fds)) => fds.len(),
            Self::Tap(Tap::Interface { queues, .. }) => *queues as usize,
            _ => 1,
        }
    }
}

/// `socket`
#[derive(Debug)]
#[non_exhaustive]
pub enum LegacySocket {
    /// `fd=`: a socket someone else made.
    Fd {
        /// What it was called.
        name: String,
        /// The socket.
        fd: OwnedFd,
    },
    /// `listen=`: one peer at a time.
    Listen(SocketAddr),
    /// `connect=`
    Connect(SocketAddr),
    /// `mcast=`: a group that many share.
    Multicast {
        /// The group and its port.
        group: (Ipv4Addr, u16),
        /// `localaddr=`: the interface to use.
        interface: Option<Ipv4Addr>,
    },
    /// `udp=`
    Udp {
        /// Where frames go.
        remote: SocketAddr,
        /// `localaddr=`: where they come to.
        local: SocketAddr,
    },
}

/// `stream`
#[derive(Debug)]
pub struct Stream {
    /// Where to listen or whom to call.
    pub address: SocketAddress,
    /// Listen, serving one peer at a time.
    pub server: bool,
    /// As a client: how long after a loss to call again.
    pub reconnect: Option<Duration>,
}

/// `dgram`
#[derive(Debug)]
#[non_exhaustive]
pub enum Datagram {
    /// UDP between two addresses.
    Udp {
        /// Where frames come to.
        local: SocketAddr,
        /// Where they go.
        remote: SocketAddr,
    },
    /// UDP to a group that many share.
    Multicast {
        /// The group and its port.
        group: (Ipv4Addr, u16),
        /// The interface to use.
        interface: Option<Ipv4Addr>,
    },
    /// Unix datagram sockets.
    Unix {
        /// Where frames come to; the path goes with the back end.
        local: PathBuf,
        /// Where they go.
        remote: PathBuf,
    },
    /// A connected datagram socket someone else made.
    Fd {
        /// What it was called.
        name: String,
        /// The socket.
        fd: OwnedFd,
    },
}

/// `tap`
#[derive(Debug)]
#[non_exhaustive]
pub enum Tap {
    /// `fd=`, `fds=`: an interface someone else opened, once for each queue.
    Fds(Vec<Passed>),
    /// `helper=`: one that a helper makes and puts on a bridge.
    Helper(Bridge),
    /// An interface to be made or opened.
    Interface {
        /// `ifname=`: its name, if the host is not to choose one.
        name: Option<String>,
        /// `script=`: run with the name when the interface is there.
        script: Option<PathBuf>,
        /// `downscript=`: run with the name before it goes.
        downscript: Option<PathBuf>,
        /// `vnet_hdr=`: checksums and segmentation may be left to the host.
        vnet_header: bool,
        /// `sndbuf=`: bytes that wait to be sent.
        send_buffer: Option<u64>,
        /// `queues=`
        queues: u32,
    },
}

/// A descriptor that was passed in.
#[derive(Debug)]
pub struct Passed {
    /// What it was called.
    pub name: String,
    /// The descriptor.
    pub fd: OwnedFd,
}

/// `bridge`
#[derive(Debug)]
pub struct Bridge {
    /// `br=`
    pub bridge: String,
    /// `helper=`: a program, or a command line if there are blanks in it.
    pub helper: String,
}
