//! Byte streams to a server: how to get one, and what it must be able to do.

mod descriptor;
mod exec;
mod listener;
mod tcp;
mod tls;
mod unix;
#[cfg(target_os = "linux")]
mod vsock;

pub use listener::Listener;
pub use tls::Tls;

use crate::builder::Builder;
use crate::error::Stage;
use crate::{Address, Error, Result};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// A byte stream to a server.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {
    /// Whether descriptors can go along.
    fn carries_fds(&self) -> bool {
        false
    }

    /// Writes bytes, with descriptors alongside the first of them.
    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        _bytes: &[u8],
        _fds: &[OwnedFd],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    /// What is known of the end of the other side, after it has ended.
    fn epitaph(&mut self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }
}

/// A stream that the embedder made.
pub(crate) struct Foreign<S>(pub(crate) S);

/// Passes reading and writing on to a field.
macro_rules! through {
    ($outer:ty, $($generics:tt)*) => {
        impl $($generics)* tokio::io::AsyncRead for $outer {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().0).poll_read(cx, buffer)
            }
        }

        impl $($generics)* tokio::io::AsyncWrite for $outer {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().0).poll_flush(cx)
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
            }
        }
    };
}
pub(crate) use through;

through!(Foreign<S>, <S: AsyncRead + AsyncWrite + Unpin>);

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Transport for Foreign<S> {}

/// Connects, within the deadline.
pub(crate) async fn connect(address: &Address, builder: &Builder) -> Result<Box<dyn Transport>> {
    let after = builder.deadlines.connect;
    let connected = timeout(after, dial(address, builder)).await;
    let stream = connected.map_err(|_| Error::Unresponsive {
        stage: Stage::Connect,
        after,
        command: String::new(),
    })?;
    stream.map_err(|error| refused(address, error))
}

pub(crate) fn refused(address: &Address, error: io::Error) -> Error {
    Error::Refused {
        address: address.to_string(),
        source: error.into(),
    }
}

async fn dial(address: &Address, builder: &Builder) -> io::Result<Box<dyn Transport>> {
    match address {
        Address::Unix(path) => unix::connect(path).await,
        Address::Abstract(name) => unix::connect_abstract(name).await,
        Address::Tcp { host, port } => Ok(Box::new(tcp::Tcp(tcp::connect(host, *port).await?))),
        Address::Tls { host, port } => {
            let Some(tls) = &builder.tls else {
                return Err(unsupported("TLS needs the certificate of an authority"));
            };
            let stream = tcp::connect(host, *port).await?;
            Ok(Box::new(Foreign(tls.wrap(stream, host).await?)))
        }
        #[cfg(target_os = "linux")]
        Address::Vsock { cid, port } => vsock::connect(*cid, *port).await,
        #[cfg(not(target_os = "linux"))]
        Address::Vsock { .. } => Err(unsupported("vsock is Linux's")),
        Address::Fd(fd) => descriptor::inherited(*fd),
        Address::Exec(words) => exec::start(words),
    }
}

fn unsupported(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, text)
}
