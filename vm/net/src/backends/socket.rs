//! `socket`: the older notation for TCP and UDP.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{SocketType, sockopt};
use tinamou_chardev::Peer;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::framing::carry;
use super::{Backend, Context, Info, dgram};
use crate::cable::Port;
use crate::config::{Datagram, LegacySocket};
use crate::error::{Error, Result};

/// How long a server pauses when it cannot accept: out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn open(config: LegacySocket, port: Port, context: &Context<'_>) -> Result<Backend> {
    match config {
        LegacySocket::Fd { name, fd } => open_fd(name, fd, port, context),
        LegacySocket::Listen(address) => listen(address, port, context),
        LegacySocket::Connect(address) => {
            let backend = Backend::new("socket", "", context);
            port.set_link(false);
            let info = backend.info();
            backend.tasks.spawn(connect(address, port, info));
            Ok(backend)
        }
        LegacySocket::Multicast { group, interface } => {
            let info = format!("socket: mcast={}:{}", group.0, group.1);
            let config = Datagram::Multicast { group, interface };
            dgram::open_as(Backend::new("socket", info, context), config, port, context)
        }
        LegacySocket::Udp { remote, local } => {
            let info = format!("socket: udp={remote}");
            let config = Datagram::Udp { local, remote };
            dgram::open_as(Backend::new("socket", info, context), config, port, context)
        }
    }
}

fn open_fd(name: String, fd: OwnedFd, port: Port, context: &Context<'_>) -> Result<Backend> {
    let kind = sockopt::socket_type(&fd)
        .map_err(|_| Error::parameter("can't get socket option SO_TYPE"))?;
    let backend = Backend::new("socket", format!("socket: fd={name}"), context);
    match kind {
        SocketType::STREAM => {
            let peer = Peer::new(fd).map_err(|error| cannot_use(&name, error))?;
            let info = backend.info();
            backend.tasks.spawn(async move {
                // Lost or ended, there is no way back to it.
                let _ = carry(peer.stream, &port).await;
                port.set_link(false);
                info.set("");
            });
            Ok(backend)
        }
        SocketType::DGRAM => dgram::open_as(backend, Datagram::Fd { name, fd }, port, context),
        _ => Err(Error::parameter(format!(
            "socket type={} for fd={name} must be either SOCK_DGRAM or SOCK_STREAM",
            kind.as_raw()
        ))),
    }
}

fn cannot_use(name: &str, error: io::Error) -> Error {
    Error::host(format!("Can't use file descriptor {name}"), error)
}

fn listen(address: SocketAddr, port: Port, context: &Context<'_>) -> Result<Backend> {
    let failed = |source| Error::Bind {
        address: format!("ip={}", address.ip()),
        source,
    };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    let backend = Backend::new("socket", "", context);
    let info = backend.info();
    port.set_link(false);
    backend.tasks.spawn(serve(listener, port, info));
    Ok(backend)
}

async fn serve(listener: TcpListener, port: Port, info: Info) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                run(stream, &port, &info, format!("connection from {peer}")).await
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn connect(address: SocketAddr, port: Port, info: Info) {
    match TcpStream::connect(address).await {
        Ok(stream) => run(stream, &port, &info, format!("connect to {address}")).await,
        Err(error) => tracing::debug!("{address}: {error}"),
    }
}

async fn run(stream: TcpStream, port: &Port, info: &Info, what: String) {
    info.set(format!("socket: {what}"));
    port.set_link(true);
    if let Err(error) = carry(stream, port).await {
        tracing::debug!("{what}: {error}");
    }
    port.set_link(false);
    info.set("");
}
