//! Ports of the network that lead to programs and character devices.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use tinamou_chardev::{Chardevs, Clients};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::rules::GuestTarget;
use super::tcp::HostStream;

/// What a connection of the guest leads to.
pub(super) fn open(target: &GuestTarget, chardevs: &Chardevs) -> io::Result<HostStream> {
    match target {
        GuestTarget::Command(command) => Program::start(command),
        GuestTarget::Chardev(id) => device(id, chardevs),
    }
}

/// A program's standard input and output. It is killed with its connection.
struct Program {
    input: Option<ChildStdin>,
    output: ChildStdout,
    _child: Child,
}

impl Program {
    fn start(command: &str) -> io::Result<HostStream> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let program = Self {
            input: child.stdin.take(),
            output: child.stdout.take().ok_or_else(gone)?,
            _child: child,
        };
        Ok(HostStream::Other(Box::new(program)))
    }
}

impl AsyncRead for Program {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Program {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input = None;
        Poll::Ready(Ok(()))
    }
}

/// A character device, for one connection at a time.
fn device(id: &str, chardevs: &Chardevs) -> io::Result<HostStream> {
    let device = chardevs.find(id).ok_or(io::ErrorKind::NotFound)?;
    let frontend = device.claim(Clients::One).map_err(io::Error::other)?;
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let mut frontend = frontend;
    tokio::spawn(async move {
        if let Some(mut connection) = frontend.accept().await {
            // Either side has left.
            let _ = tokio::io::copy_bidirectional(&mut far, &mut connection.stream).await;
        }
    });
    Ok(HostStream::Other(Box::new(near)))
}
