//! `nbd`: a disk of an NBD server, over TCP or a Unix socket.
//!
//! The protocol is that of the NBD project's `doc/proto.md`: fixed newstyle negotiation with
//! `NBD_OPT_GO`, then simple replies. A lost connection is made anew when the next request comes.

mod connection;
mod handshake;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use tinamou_api as api;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::backend::reason;
use crate::driver::{Driver, Io, Zeroes};
use crate::error::{Error, Result};
use connection::{Connection, Request};
use handshake::Export;

/// Longest piece of data in one request.
const PIECE: usize = 2 << 20;

/// How long a server may take to answer to the connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long after a failure to try again.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the disk is.
#[derive(Clone, Debug)]
pub struct Options {
    /// `server`
    pub server: api::SocketAddress,
    /// `export`
    pub export: String,
    /// `reconnect-delay`: how long requests wait for a lost connection.
    pub reconnect_delay: Duration,
    /// `open-timeout`: how long to try at first.
    pub open_timeout: Duration,
}

/// A connected disk.
pub struct Nbd {
    options: Options,
    export: Export,
    size: AtomicU64,
    /// Held while a connection is being made, so that only one is.
    connection: Mutex<Option<Connection>>,
}

impl Nbd {
    /// Connects to the server.
    ///
    /// # Errors
    /// Nobody is there, or the server does not have the disk.
    pub async fn open(options: Options) -> Result<Self> {
        let until = Instant::now() + options.open_timeout;
        let (connection, export) = loop {
            match connect(&options).await {
                Ok(connected) => break connected,
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        Ok(Self {
            options,
            export,
            size: AtomicU64::new(export.size - export.size % 512),
            connection: Mutex::new(Some(connection)),
        })
    }

    /// Whether the server refuses writes.
    pub fn is_read_only(&self) -> bool {
        self.export.is_read_only()
    }

    /// Sends a request, over a new connection if the old one is lost.
    async fn request(&self, request: Request, data: &[u8]) -> io::Result<Vec<u8>> {
        let until = Instant::now() + self.options.reconnect_delay;
        loop {
            let connection = self.connected(until).await?;
            match connection.request(request, data).await {
                Err(error) if connection.is_lost() && Instant::now() < until => drop(error),
                done => return done,
            }
        }
    }

    async fn connected(&self, until: Instant) -> io::Result<Connection> {
        let mut place = self.connection.lock().await;
        if let Some(connection) = place.as_ref().filter(|connection| !connection.is_lost()) {
            return Ok(connection.clone());
        }
        loop {
            match connect(&self.options).await {
                // A disk of another size is another disk.
                Ok((connection, export)) if export.size == self.export.size => {
                    *place = Some(connection.clone());
                    return Ok(connection);
                }
                Ok(_) => return Err(Errno::IO.into()),
                Err(_) if Instant::now() >= until => return Err(Errno::IO.into()),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

async fn connect(options: &Options) -> Result<(Connection, Export)> {
    let connected = tokio::time::timeout(PATIENCE, connect_now(options)).await;
    let late = || io::Error::from(Errno::TIMEDOUT);
    connected.unwrap_or_else(|_| Err(failed(&options.server, &late())))
}

async fn connect_now(options: &Options) -> Result<(Connection, Export)> {
    use api::SocketAddressBranch as Address;
    let failed = |error: io::Error| failed(&options.server, &error);
    match &options.server.branch {
        Address::Unix(unix) => {
            let stream = UnixStream::connect(&unix.path).await.map_err(failed)?;
            start(stream, &options.export).await
        }
        Address::Inet(inet) => {
            let address = format!("{}:{}", inet.base.host, inet.base.port);
            let stream = TcpStream::connect(&address).await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            start(stream, &options.export).await
        }
        _ => Err(Error::Image(
            "NBD servers are reached by inet or unix addresses".into(),
        )),
    }
}

async fn start<S>(mut stream: S, name: &str) -> Result<(Connection, Export)>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let export = handshake::negotiate(&mut stream, name).await?;
    Ok((Connection::new(stream), export))
}

fn failed(server: &api::SocketAddress, error: &io::Error) -> Error {
    let name = address(server);
    Error::Image(format!("Failed to connect to '{name}': {}", reason(error)))
}

fn address(server: &api::SocketAddress) -> String {
    use api::SocketAddressBranch as Address;
    match &server.branch {
        Address::Unix(unix) => unix.path.clone(),
        Address::Inet(inet) => format!("{}:{}", inet.base.host, inet.base.port),
        Address::Vsock(vsock) => format!("{}:{}", vsock.cid, vsock.port),
        Address::Fd(fd) => fd.str.clone(),
    }
}

impl Driver for Nbd {
    fn name(&self) -> &'static str {
        "nbd"
    }

    fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    fn read<'a>(&'a self, mut offset: u64, buffer: &'a mut [u8]) -> Io<'a> {
        Box::pin(async move {
            for piece in buffer.chunks_mut(PIECE) {
                let request = Request::read(offset, piece.len() as u32);
                piece.copy_from_slice(&self.request(request, &[]).await?);
                offset += piece.len() as u64;
            }
            Ok(())
        })
    }

    fn write<'a>(&'a self, mut offset: u64, data: &'a [u8]) -> Io<'a> {
        Box::pin(async move {
            for piece in data.chunks(PIECE) {
                let request = Request::write(offset, piece.len() as u32);
                self.request(request, piece).await?;
                offset += piece.len() as u64;
            }
            Ok(())
        })
    }

    fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> Io<'_> {
        Box::pin(async move {
            if !self.export.has_write_zeroes() {
                let zeroes = vec![0; PIECE];
                for (offset, length) in pieces(range, PIECE as u64) {
                    self.write(offset, &zeroes[..length as usize]).await?;
                }
                return Ok(());
            }
            for (offset, length) in pieces(range, 1 << 30) {
                let request = Request::write_zeroes(offset, length, how.unmap);
                self.request(request, &[]).await?;
            }
            Ok(())
        })
    }

    fn discard(&self, range: Range<u64>) -> Io<'_> {
        Box::pin(async move {
            if !self.export.has_trim() {
                return Err(io::ErrorKind::Unsupported.into());
            }
            for (offset, length) in pieces(range, 1 << 30) {
                self.request(Request::trim(offset, length), &[]).await?;
            }
            Ok(())
        })
    }

    fn flush(&self) -> Io<'_> {
        Box::pin(async move {
            if self.export.has_flush() {
                self.request(Request::flush(), &[]).await?;
            }
            Ok(())
        })
    }

    fn resize(&self, size: u64) -> Io<'_> {
        let fits = size <= self.size();
        Box::pin(async move {
            match fits {
                true => Ok(()),
                false => Err(io::ErrorKind::Unsupported.into()),
            }
        })
    }

    fn describe(&self, _: &mut api::BlockNodeInfo) {}

    fn filename(&self) -> String {
        use api::SocketAddressBranch as Address;
        let export = &self.options.export;
        let slash = if export.is_empty() { "" } else { "/" };
        match &self.options.server.branch {
            Address::Unix(unix) => format!("nbd+unix://{slash}{export}?socket={}", unix.path),
            _ => format!("nbd://{}{slash}{export}", address(&self.options.server)),
        }
    }
}

impl fmt::Debug for Nbd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nbd")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A range in pieces: offset and length of each.
fn pieces(range: Range<u64>, most: u64) -> impl Iterator<Item = (u64, u32)> {
    let mut offset = range.start;
    std::iter::from_fn(move || {
        let length = most.min(range.end.saturating_sub(offset));
        let piece = (offset, length as u32);
        offset += length;
        (length > 0).then_some(piece)
    })
}
