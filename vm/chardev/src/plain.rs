//! Stream sockets for others than character devices, addressed and named alike.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Poll;

use rustix::net::SocketFlags;

use crate::address::{self, Listening, Target};
use crate::config::SocketAddress;
use crate::connection::FdInbox;
use crate::error::{Error, Result};
use crate::fd::{Polled, SocketStream};

/// A socket that listens. A path in the file system goes with it.
#[derive(Debug)]
pub struct Listener(Listening);

impl Listener {
    /// Binds and listens. Must be called within the runtime.
    ///
    /// # Errors
    /// The address is taken or makes no sense.
    pub fn bind(address: SocketAddress) -> Result<Self> {
        address::listen(address).map(Self)
    }

    /// Where it listens: `tcp:127.0.0.1:4444`, `unix:/path`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The next peer.
    ///
    /// # Errors
    /// The peer is gone already, or the process is out of descriptors.
    pub async fn accept(&self) -> io::Result<Peer> {
        Peer::new(accept(&self.0.sockets).await?)
    }
}

/// Someone to call, again and again if need be.
#[derive(Debug)]
pub struct Caller(Target);

impl Caller {
    /// Calls nobody yet.
    ///
    /// # Errors
    /// Both families of addresses were ruled out.
    pub fn new(address: SocketAddress) -> Result<Self> {
        Target::new(address).map(Self)
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn call(&self) -> Result<Peer, Error> {
        let socket = self.0.connect().await.and_then(Peer::new);
        socket.map_err(|source| self.0.lost(source))
    }
}

/// A connected peer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Peer {
    /// The bytes.
    pub stream: SocketStream,
    /// Its internet address, if it has one.
    pub address: Option<SocketAddr>,
}

impl Peer {
    /// A socket that is connected already. Must be called within the runtime.
    ///
    /// # Errors
    /// It is not connected.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let ends = address::ends(&socket)?;
        address::make_nonblocking(&socket)?;
        Ok(Self {
            stream: SocketStream::new(Arc::new(socket), FdInbox::default())?,
            address: ends.map(|(_, peer)| peer),
        })
    }
}

/// The next client of any of the sockets.
pub(crate) async fn accept(sockets: &[Polled]) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    poll_fn(|cx| {
        for socket in sockets {
            if let Poll::Ready(result) =
                socket.poll_read(cx, |socket| rustix::net::accept_with(socket, flags))
            {
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    })
    .await
}
