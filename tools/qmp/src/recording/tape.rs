//! The wire of one connection, written down as it is read and written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tinamou_qmp::json::Reader;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Recorder, Redactor, Side};

/// What one connection writes down.
#[derive(Debug)]
pub struct Tape {
    recorder: Arc<Recorder>,
    number: usize,
    redactor: Redactor,
    client: Reader,
    server: Reader,
}

impl Tape {
    /// The tape of a connection; `client` says who has come.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(
        recorder: Arc<Recorder>,
        number: usize,
        client: &str,
        redactor: Redactor,
    ) -> io::Result<Self> {
        recorder.opened(number, client)?;
        Ok(Self {
            recorder,
            number,
            redactor,
            client: Reader::new(),
            server: Reader::new(),
        })
    }

    /// Writes down what came from one side.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn heard(&mut self, from: Side, bytes: &[u8]) -> io::Result<()> {
        let reader = match from {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        reader.push(bytes);
        while let Some(message) = reader.read() {
            match message {
                Ok(message) => {
                    let message = match from {
                        Side::Client => self.redactor.request(message),
                        Side::Server => self.redactor.response(message),
                    };
                    self.recorder.message(self.number, from, message)?;
                }
                Err(error) => self.recorder.text(self.number, from, &error.desc)?,
            }
        }
        Ok(())
    }

    /// Writes down that one side has ended the connection.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn closed(&self, side: Side) -> io::Result<()> {
        self.recorder.closed(self.number, side)
    }
}

/// A client's stream to a server with a tape in it. A tape that cannot be
/// written ends the connection.
#[derive(Debug)]
pub struct Taped<S> {
    stream: S,
    tape: Tape,
    ended: bool,
}

impl<S> Taped<S> {
    /// Puts a tape into a stream.
    pub fn new(stream: S, tape: Tape) -> Self {
        Self {
            stream,
            tape,
            ended: false,
        }
    }
}

impl<S> Drop for Taped<S> {
    fn drop(&mut self) {
        if !self.ended {
            // Nobody is left to be told of a full disk.
            let _ = self.tape.closed(Side::Client);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let new = &buffer.filled()[before..];
        this.tape.heard(Side::Server, new)?;
        if new.is_empty() && !this.ended {
            this.ended = true;
            this.tape.closed(Side::Server)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let count = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.tape.heard(Side::Client, &bytes[..count])?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
