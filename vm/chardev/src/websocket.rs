//! The server's side of the websocket protocol (RFC 6455), as a pipe of bytes: binary messages
//! whose borders mean nothing.

mod frame;
mod handshake;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Transport;
use frame::{Decoder, Message};

/// Bytes read at once, and written in one frame.
const CHUNK: usize = 4096;

/// Output that may wait before input does: a peer that asks and never reads stops itself.
const WAITING: usize = 16 * CHUNK;

/// A transport with frames spoken over it.
pub(crate) struct WebSocket<T> {
    inner: T,
    decoder: Decoder,
    /// Received, but not decoded yet.
    raw: Vec<u8>,
    /// Whole frames on their way to the peer.
    outgoing: Vec<u8>,
    ended: bool,
}

impl<T: Transport> WebSocket<T> {
    /// Greets a client.
    ///
    /// # Errors
    /// It does not speak the protocol.
    pub(crate) async fn accept(mut inner: T) -> io::Result<Self> {
        let raw = handshake::accept(&mut inner).await?;
        Ok(Self {
            inner,
            decoder: Decoder::default(),
            raw,
            outgoing: Vec::new(),
            ended: false,
        })
    }

    /// Takes messages apart until there is data or nothing left.
    fn decode(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        while !self.ended && buffer.remaining() > 0 {
            let Some((used, message)) = self.decoder.next(&self.raw, buffer)? else {
                return Ok(());
            };
            self.raw.drain(..used);
            match message {
                Message::Data => {}
                Message::Ping(payload) => frame::encode(frame::PONG, &payload, &mut self.outgoing),
                Message::Close(payload) => {
                    frame::encode(frame::CLOSE, &payload, &mut self.outgoing);
                    self.ended = true;
                }
            }
        }
        Ok(())
    }

    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.outgoing))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> AsyncRead for WebSocket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            self.decode(buffer)?;
            let drained = self.drain(cx)?;
            if self.ended || buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if self.outgoing.len() > WAITING {
                ready!(drained);
            }
            let mut chunk = [0; CHUNK];
            let mut received = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut received))?;
            match received.filled() {
                [] => self.ended = true,
                bytes => self.raw.extend_from_slice(bytes),
            }
        }
    }
}

impl<T: Transport> AsyncWrite for WebSocket<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.drain(cx))?;
        let count = bytes.len().min(CHUNK);
        frame::encode(frame::BINARY, &bytes[..count], &mut self.outgoing);
        // What the socket does not take now leaves when it is next polled.
        let _ = self.drain(cx)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            self.ended = true;
            frame::encode(frame::CLOSE, &[], &mut self.outgoing);
        }
        ready!(self.drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
