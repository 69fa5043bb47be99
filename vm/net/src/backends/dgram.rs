//! `dgram`: a frame in each datagram.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketFlags, bind, getsockname, socket_with, sockopt};
use tokio::net::{UdpSocket, UnixDatagram};

use super::{Backend, Context};
use crate::cable::Port;
use crate::config::Datagram;
use crate::error::{Error, Result};
use crate::frame::MAX_FRAME;

pub(super) fn open(config: Datagram, port: Port, context: &Context<'_>) -> Result<Backend> {
    let info = match &config {
        Datagram::Udp { local, remote } => format!("udp={local}/{remote}"),
        Datagram::Multicast { group, .. } => format!("mcast={}:{}", group.0, group.1),
        Datagram::Unix { local, remote } => {
            format!("udp={}:{}", local.display(), remote.display())
        }
        Datagram::Fd { name, .. } => format!("fd={name}"),
    };
    open_as(Backend::new("dgram", info, context), config, port, context)
}

/// The same for a back end that shows itself otherwise.
pub(super) fn open_as(
    backend: Backend,
    config: Datagram,
    port: Port,
    context: &Context<'_>,
) -> Result<Backend> {
    let socket = match config {
        Datagram::Udp { local, remote } => Socket::udp(local, remote)?,
        Datagram::Multicast { group, interface } => Socket::multicast(group, interface)?,
        Datagram::Unix { local, remote } => Socket::unix(local, remote)?,
        Datagram::Fd { name, fd } => Socket::passed(&context.id, &name, fd)?,
    };
    backend.tasks.spawn(async move {
        tokio::select! {
            () = receive(&socket, &port) => {}
            () = transmit(&socket, &port) => {}
        }
    });
    Ok(backend)
}

async fn receive(socket: &Socket, port: &Port) {
    let mut buffer = vec![0; MAX_FRAME];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) if length > 0 => port.send(buffer[..length].into()).await,
            // An empty datagram is no frame; an error tells of one that was lost.
            Ok(_) => {}
            Err(error) => tracing::trace!("a datagram was lost: {error}"),
        }
    }
}

async fn transmit(socket: &Socket, port: &Port) {
    loop {
        let frame = port.recv().await;
        // Nobody there, or too long: datagrams get lost.
        if let Err(error) = socket.send(&frame).await {
            tracing::trace!("a datagram was lost: {error}");
        }
    }
}

/// A datagram socket and where it sends to.
enum Socket {
    Udp(UdpSocket, SocketAddr),
    Unix {
        socket: UnixDatagram,
        remote: PathBuf,
        _own: OwnPath,
    },
    ConnectedUdp(UdpSocket),
    ConnectedUnix(UnixDatagram),
}

impl Socket {
    fn udp(local: SocketAddr, remote: SocketAddr) -> Result<Self> {
        let family = match local {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = bound(family, local).map_err(|source| bind_failed(local, source))?;
        Ok(Self::Udp(socket, remote))
    }

    fn multicast(group: (Ipv4Addr, u16), interface: Option<Ipv4Addr>) -> Result<Self> {
        let (address, port) = group;
        if !address.is_multicast() {
            return Err(Error::parameter(format!(
                "specified mcastaddr {address} (0x{:08x}) does not contain a multicast address",
                u32::from(address)
            )));
        }
        let target = SocketAddr::from(group);
        let local = SocketAddr::from((address, port));
        let socket =
            bound(AddressFamily::INET, local).map_err(|source| bind_failed(local, source))?;
        let interface = interface.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let joined = socket
            .join_multicast_v4(address, interface)
            .and_then(|()| socket.set_multicast_loop_v4(true))
            .and_then(|()| Ok(sockopt::set_ip_multicast_if(&socket, &interface)?));
        joined.map_err(|source| {
            Error::host(
                format!("can't add socket to multicast group {address}"),
                source,
            )
        })?;
        Ok(Self::Udp(socket, target))
    }

    fn unix(local: PathBuf, remote: PathBuf) -> Result<Self> {
        // What an earlier process left; binding reports a path that stays.
        let _ = std::fs::remove_file(&local);
        let socket = UnixDatagram::bind(&local).map_err(|source| Error::Bind {
            address: format!("unix={}", local.display()),
            source,
        })?;
        Ok(Self::Unix {
            socket,
            remote,
            _own: OwnPath(local),
        })
    }

    fn passed(id: &str, name: &str, fd: OwnedFd) -> Result<Self> {
        let failed = |source: io::Error| {
            Error::host(format!("{id}: Can't use file descriptor {name}"), source)
        };
        let address = getsockname(&fd).map_err(|error| failed(error.into()))?;
        let family = address.address_family();
        if family == AddressFamily::UNIX {
            let socket = std::os::unix::net::UnixDatagram::from(fd);
            socket.set_nonblocking(true).map_err(failed)?;
            return UnixDatagram::from_std(socket)
                .map(Self::ConnectedUnix)
                .map_err(failed);
        }
        let socket = std::net::UdpSocket::from(fd);
        socket.set_nonblocking(true).map_err(failed)?;
        UdpSocket::from_std(socket)
            .map(Self::ConnectedUdp)
            .map_err(failed)
    }

    async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket, _) | Self::ConnectedUdp(socket) => socket.recv(buffer).await,
            Self::Unix { socket, .. } | Self::ConnectedUnix(socket) => socket.recv(buffer).await,
        }
    }

    async fn send(&self, frame: &[u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket, remote) => socket.send_to(frame, remote).await,
            Self::ConnectedUdp(socket) => socket.send(frame).await,
            Self::Unix { socket, remote, .. } => socket.send_to(frame, remote).await,
            Self::ConnectedUnix(socket) => socket.send(frame).await,
        }
    }
}

/// A socket's path, which goes with it.
struct OwnPath(PathBuf);

impl Drop for OwnPath {
    fn drop(&mut self) {
        // Someone else may be faster.
        let _ = std::fs::remove_file(Path::new(&self.0));
    }
}

fn bound(family: AddressFamily, local: SocketAddr) -> io::Result<UdpSocket> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, rustix::net::SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &local)?;
    UdpSocket::from_std(socket.into())
}

fn bind_failed(local: SocketAddr, source: io::Error) -> Error {
    Error::Bind {
        address: format!("ip={}", local.ip()),
        source,
    }
}
