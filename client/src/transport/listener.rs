//! Waiting for servers that connect by themselves (`-qmp …,server=off`).

use super::tcp::Tcp;
use super::unix::{self, Unix};
use super::{Transport, refused, unsupported};
use crate::{Address, Builder, Client, Result};
use std::io;
use std::path::PathBuf;
use tokio::net::{TcpListener, UnixListener};

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
#[derive(Debug)]
pub struct Listener {
    builder: Builder,
    address: Address,
    socket: Socket,
    /// The socket's file, which goes with the listener.
    file: Option<PathBuf>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub(crate) async fn new(address: &Address, builder: Builder) -> Result<Self> {
        let bound = bind(address).await;
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
        let accepted = self.accept_stream().await;
        let stream = accepted.map_err(|error| refused(&self.address, error))?;
        self.builder.clone().over(stream, None).await
    }

    async fn accept_stream(&self) -> io::Result<Box<dyn Transport>> {
        match &self.socket {
            Socket::Unix(socket) => Ok(Box::new(Unix(socket.accept().await?.0))),
            Socket::Tcp(socket) => {
                let (stream, _) = socket.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(Tcp(stream)))
            }
        }
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

async fn bind(address: &Address) -> io::Result<(Socket, Address)> {
    match address {
        Address::Unix(path) => Ok((Socket::Unix(unix::listen(path)?), address.clone())),
        Address::Abstract(name) => {
            Ok((Socket::Unix(unix::listen_abstract(name)?), address.clone()))
        }
        Address::Tcp { host, port } => {
            let socket = TcpListener::bind((&**host, *port)).await?;
            let port = socket.local_addr()?.port();
            let address = Address::Tcp {
                host: host.clone(),
                port,
            };
            Ok((Socket::Tcp(socket), address))
        }
        _ => Err(unsupported("only unix and TCP sockets are listened on")),
    }
}
