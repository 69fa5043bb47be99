//! Bytes on their way to a client.

use crate::connection::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};

/// What is to be written, and how much of it has been.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn append(&mut self, bytes: Vec<u8>) {
        if self.is_empty() {
            self.bytes = bytes;
            self.written = 0;
            return;
        }
        // Moving what waits is worth it only now and then.
        if self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        self.bytes.extend_from_slice(&bytes);
    }

    /// Writes once. Pending as well while there is nothing to write.
    pub(crate) fn poll_write(
        &mut self,
        stream: &mut Box<dyn Stream>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Pending;
        }
        let rest = &self.bytes[self.written..];
        match ready!(Pin::new(stream).poll_write(cx, rest))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => {
                self.written += count;
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Writes everything, then ends the stream.
    pub(crate) async fn close(&mut self, stream: &mut Box<dyn Stream>) -> io::Result<()> {
        stream.write_all(&self.bytes[self.written..]).await?;
        stream.flush().await?;
        stream.shutdown().await
    }
}
