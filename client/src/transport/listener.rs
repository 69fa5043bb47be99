//! Waiting for servers that connect by themselves (`-qmp …,server=off`).

use super::tcp::Tcp;
use super::unix::{self, Unix};
#[cfg(target_os = "linux")]
use super::vsock::VsockListener;
use super::{Foreign, Tls, Transport, refused, unsupported};
use crate::{Address, Builder, Client, Result, Stream};
use std::fmt;
use std::io;
use std::path::PathBuf;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Where servers connect to.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> tinamou_client::Result<()> {
/// use tinamou_client::Client;
///
/// let listener = Client::listen(&"tcp:127.0.0.1:0".parse()?).await?;
/// println!("start QEMU with -qmp {}", listener.address());
/// // let client = listener.accept().await?;
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    builder: Builder,
    address: Address,
    socket: Socket,
    /// The socket's file, which goes with the listener.
    file: Option<PathBuf>,
}

enum Socket {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    Unix(UnixListener),
    #[cfg(target_os = "linux")]
    Vsock(VsockListener),
}

impl Listener {
    pub(crate) async fn new(address: &Address, builder: Builder) -> Result<Self> {
        let bound = bind(address, &builder).await;
        let (socket, address) = bound.map_err(|error| refused(address, error))?;
        let file = match &address {
            Address::Unix(path) => Some(path.clone()),
            _ => None,
        };
        Ok(Self {
            builder,
            address,
            socket,
            file,
        })
    }

    /// Where it listens: with the port that was found, if any would do.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for a server, and negotiates with it. There is no deadline on
    /// the first; dropping the future is safe.
    ///
    /// # Errors
    /// Who connected does not answer in time, or is no QMP server.
    pub async fn accept(&self) -> Result<Client> {
        let stream = self.accept_transport().await?;
        self.builder.clone().over(stream, None).await
    }

    /// Waits for a server, and leaves it at that: nothing is read or written.
    /// Dropping the future is safe.
    ///
    /// # Errors
    /// Who connected makes no TLS of it, or nobody can connect any more.
    pub async fn accept_stream(&self) -> Result<Stream> {
        Ok(Stream::new(self.accept_transport().await?))
    }

    async fn accept_transport(&self) -> Result<Box<dyn Transport>> {
        let accepted = self.try_accept().await;
        accepted.map_err(|error| refused(&self.address, error))
    }

    async fn try_accept(&self) -> io::Result<Box<dyn Transport>> {
        match &self.socket {
            Socket::Unix(socket) => Ok(Box::new(Unix::new(socket.accept().await?.0)?)),
            Socket::Tcp(socket) => Ok(Box::new(Tcp(accept_tcp(socket).await?))),
            Socket::Tls(socket, tls) => {
                let handshake = tls.accept(accept_tcp(socket).await?);
                let shaken = timeout(self.builder.deadlines.connect, handshake).await;
                Ok(Box::new(Foreign(shaken??)))
            }
            #[cfg(target_os = "linux")]
            Socket::Vsock(socket) => socket.accept().await,
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Gone already, then somebody else tidied up.
            let _ = std::fs::remove_file(file);
        }
    }
}

async fn accept_tcp(socket: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = socket.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Listens; where, with the port that was found if any would do.
async fn bind(address: &Address, builder: &Builder) -> io::Result<(Socket, Address)> {
    let mut bound = address.clone();
    let socket = match &mut bound {
        Address::Unix(path) => Socket::Unix(unix::listen(path)?),
        Address::Abstract(name) => Socket::Unix(unix::listen_abstract(name)?),
        Address::Tcp { host, port } => Socket::Tcp(bind_tcp(host, port).await?),
        Address::Tls { host, port } => {
            let acceptor = builder.tls.as_ref().and_then(Tls::acceptor);
            let needed = || unsupported("listening over TLS needs a certificate and its key");
            Socket::Tls(bind_tcp(host, port).await?, acceptor.ok_or_else(needed)?)
        }
        #[cfg(target_os = "linux")]
        Address::Vsock { cid, port } => Socket::Vsock(VsockListener::bind(*cid, *port)?),
        _ => return Err(unsupported("this is no address to listen on")),
    };
    Ok((socket, bound))
}

async fn bind_tcp(host: &str, port: &mut u16) -> io::Result<TcpListener> {
    let socket = TcpListener::bind((host, *port)).await?;
    *port = socket.local_addr()?.port();
    Ok(socket)
}
