//! Listening where [`Address`] says: who comes, by which stream, and with
//! which descriptors.

mod certificate;
mod socket;
mod tls;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tinamou_client::Address;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;

pub use socket::FdInbox;
use socket::Passing;
pub use tls::TlsFiles;

use crate::Error;

/// How long a client may take to show its certificate.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A socket that listens.
pub struct Listener {
    socket: Socket,
    /// As the command line has it, with the port that was chosen.
    name: String,
    /// A file that goes with the listener.
    _path: Option<OwnPath>,
}

enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
    Tls(TcpListener, Arc<ServerConfig>),
}

/// Someone who came.
pub struct Arrival {
    socket: Accepted,
}

enum Accepted {
    Unix(tokio::net::UnixStream),
    Tcp(TcpStream, SocketAddr),
    Tls(TcpStream, SocketAddr, TlsAcceptor),
}

/// A client that is connected.
pub struct Connected {
    /// The bytes.
    pub stream: Box<dyn Stream>,
    /// The descriptors that come along.
    pub fds: FdInbox,
    /// Who it is.
    pub peer: Peer,
}

/// What is known about who is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The address it came from, where it has one.
    pub address: Option<SocketAddr>,
    /// The process at the other end of a unix socket.
    pub process: Option<Process>,
    /// The names in its certificate: the common name first.
    pub names: Vec<String>,
}

/// A process, as the kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id; zero if it is none of this name space.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.names.first() {
            write!(f, "{name} at ")?;
        }
        match (self.address, self.process) {
            (Some(address), _) => write!(f, "{address}"),
            (None, Some(Process { pid, uid, gid })) => write!(f, "pid {pid} uid {uid} gid {gid}"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

/// A file that is removed with its owner.
#[derive(Debug)]
struct OwnPath(PathBuf);

impl Drop for OwnPath {
    fn drop(&mut self) {
        // Someone else may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds and listens. A socket that an earlier server left in the file
    /// system is replaced.
    ///
    /// # Errors
    /// The address is taken, or is none to listen at, or needs TLS and has none.
    pub async fn bind(address: &Address, tls: Option<&TlsFiles>) -> Result<Self, Error> {
        let failed = |source| Error::Io {
            what: format!("listening at {address}"),
            source,
        };
        let mut name = address.to_string();
        let mut own = None;
        let socket = match address {
            Address::Unix(path) => {
                let socket = socket::bind(path).map_err(failed)?;
                own = Some(OwnPath(path.clone()));
                Socket::Unix(socket)
            }
            Address::Abstract(name) => Socket::Unix(socket::bind_abstract(name).map_err(failed)?),
            Address::Tcp { host, port } | Address::Tls { host, port } => {
                let listener = TcpListener::bind((host.as_str(), *port));
                let listener = listener.await.map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                match address {
                    Address::Tcp { .. } => {
                        name = format!("tcp:{bound}");
                        Socket::Tcp(listener)
                    }
                    _ => {
                        name = format!("tls:{bound}");
                        let tls =
                            tls.ok_or_else(|| Error::usage(format!("{address} needs --tls DIR")))?;
                        Socket::Tls(listener, tls.server()?)
                    }
                }
            }
            _ => return Err(Error::usage(format!("nobody can listen at {address}"))),
        };
        Ok(Self {
            socket,
            name,
            _path: own,
        })
    }

    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the next who comes. Dropping the future loses nobody.
    ///
    /// # Errors
    /// It left again, or this process has no descriptors to spare.
    pub async fn accept(&self) -> io::Result<Arrival> {
        let socket = match &self.socket {
            Socket::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Accepted::Tcp(stream, address)
            }
            Socket::Tls(listener, config) => {
                let (stream, address) = listener.accept().await?;
                Accepted::Tls(stream, address, Arc::clone(config).into())
            }
        };
        Ok(Arrival { socket })
    }
}

impl Arrival {
    /// Learns who it is; over TLS it shakes hands first.
    ///
    /// # Errors
    /// It cannot say, or takes too long.
    pub async fn identify(self) -> io::Result<Connected> {
        match self.socket {
            Accepted::Unix(stream) => {
                let peer = Peer {
                    process: socket::process(&stream),
                    ..Peer::default()
                };
                let stream = Passing::new(stream);
                Ok(Connected {
                    fds: stream.fds(),
                    stream: Box::new(stream),
                    peer,
                })
            }
            Accepted::Tcp(stream, address) => {
                stream.set_nodelay(true)?;
                Ok(Connected::remote(Box::new(stream), address, Vec::new()))
            }
            Accepted::Tls(stream, address, acceptor) => {
                stream.set_nodelay(true)?;
                let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
                let shown = stream.get_ref().1.peer_certificates();
                let own = shown.and_then(|chain| chain.first());
                let names = own.map_or_else(Vec::new, |own| certificate::names(own));
                Ok(Connected::remote(Box::new(stream), address, names))
            }
        }
    }
}

impl Connected {
    fn remote(stream: Box<dyn Stream>, address: SocketAddr, names: Vec<String>) -> Self {
        Self {
            stream,
            fds: FdInbox::default(),
            peer: Peer {
                address: Some(address),
                names,
                ..Peer::default()
            },
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.name).finish()
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").finish_non_exhaustive()
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
