//! Byte streams to a server, and how to get one.

mod tcp;
mod unix;

use crate::deadlines::Deadlines;
use crate::error::Stage;
use crate::{Address, Error, Result};
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use std::time::Duration;
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
pub(crate) async fn connect(
    address: &Address,
    deadlines: &Deadlines,
) -> Result<Box<dyn Transport>> {
    let within = deadlines.connect;
    match timeout(within, dial(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(refused(address, error)),
        Err(_) => Err(too_late(within)),
    }
}

fn refused(address: &Address, error: io::Error) -> Error {
    Error::Refused {
        address: address.to_string(),
        source: error.into(),
    }
}

fn too_late(after: Duration) -> Error {
    Error::Unresponsive {
        stage: Stage::Connect,
        after,
        command: String::new(),
    }
}

async fn dial(address: &Address) -> io::Result<Box<dyn Transport>> {
    match address {
        Address::Unix(path) => unix::connect(path).await,
        Address::Abstract(name) => unix::connect_abstract(name).await,
        Address::Tcp { host, port } => tcp::connect(host, *port).await,
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
