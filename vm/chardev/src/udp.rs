//! The `udp` back end: datagrams to and from one peer, whose borders mean nothing.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send,
    socket_with,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::address::resolve;
use crate::config::Udp;
use crate::error::{Error, Result};
use crate::fd::Polled;

/// The largest datagram that can come.
const LARGEST: usize = 1 << 16;

/// What one datagram carries to the peer at most.
const MOST: usize = 1472;

/// A socket that has its peer, and what of the last datagram was not read yet.
#[derive(Debug)]
pub(crate) struct UdpStream {
    socket: Polled,
    datagram: Vec<u8>,
    taken: usize,
}

/// Binds and connects. Must be called within the runtime.
pub(crate) fn open(config: &Udp) -> Result<UdpStream> {
    let remote = resolve(&config.remote, false)?[0];
    let local = match &config.local {
        None => None,
        Some(local) => {
            let found = resolve(local, true)?;
            let fitting = found.iter().find(|it| it.is_ipv4() == remote.is_ipv4());
            Some(*fitting.unwrap_or(&found[0]))
        }
    };
    let socket = connected(remote, local).map_err(|error| Error::Connect {
        address: format!("{}:{}", config.remote.host, config.remote.port),
        source: error.into(),
    })?;
    Ok(UdpStream {
        socket: Polled::new(Arc::new(socket)).map_err(Error::Listen)?,
        datagram: Vec::new(),
        taken: 0,
    })
}

fn connected(remote: SocketAddr, local: Option<SocketAddr>) -> rustix::io::Result<OwnedFd> {
    let family = match remote {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    if let Some(local) = local {
        bind(&socket, &local)?;
    }
    connect(&socket, &remote)?;
    Ok(socket)
}

impl AsyncRead for UdpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // An empty datagram must not look like the end of the input.
        while self.taken == self.datagram.len() {
            self.datagram = ready!(self.socket.poll_read(cx, next_datagram))?;
            self.taken = 0;
        }
        let rest = &self.datagram[self.taken..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.taken += count;
        Poll::Ready(Ok(()))
    }
}

fn next_datagram(socket: &OwnedFd) -> rustix::io::Result<Vec<u8>> {
    let mut datagram = vec![0; LARGEST];
    match recv(socket, &mut datagram[..], RecvFlags::DONTWAIT) {
        Ok((count, _)) => datagram.truncate(count),
        // What was sent earlier found nobody; the peer may still come.
        Err(Errno::CONNREFUSED) => datagram.clear(),
        Err(error) => return Err(error),
    }
    datagram.shrink_to_fit();
    Ok(datagram)
}

impl AsyncWrite for UdpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let datagram = &bytes[..bytes.len().min(MOST)];
        self.socket.poll_write(cx, |socket| {
            match send(socket, datagram, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                // As with any datagram that gets lost.
                Err(Errno::CONNREFUSED) => Ok(datagram.len()),
                result => result,
            }
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
