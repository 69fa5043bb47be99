//! The standard input and output of a child.

use super::Transport;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How much of what a child said last is kept.
const TAIL: usize = 2000;

/// How long a child may take to end after its output has.
const GRACE: Duration = Duration::from_secs(1);

/// A child, which ends with the connection.
struct Exec {
    program: String,
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    last_words: JoinHandle<String>,
}

/// Starts a child.
pub(super) fn start(words: &[String]) -> io::Result<Box<dyn Transport>> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(input), Some(output), Some(errors)) = pipes else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    Ok(Box::new(Exec {
        program: program.clone(),
        child,
        input,
        output,
        last_words: tokio::spawn(keep_tail(errors)),
    }))
}

/// Reads all that a child complains of, and keeps the end of it.
async fn keep_tail(mut errors: ChildStderr) -> String {
    let mut tail = Vec::new();
    while let Ok(1..) = errors.read_buf(&mut tail).await {
        let surplus = tail.len().saturating_sub(TAIL);
        tail.drain(..surplus);
    }
    String::from_utf8_lossy(&tail).trim().to_owned()
}

impl Transport for Exec {
    fn epitaph(&mut self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async {
            let status = timeout(GRACE, self.child.wait()).await.ok()?.ok()?;
            let words = timeout(GRACE, &mut self.last_words).await;
            let words = words.ok().and_then(Result::ok).unwrap_or_default();
            let colon = if words.is_empty() { "" } else { ": " };
            Some(format!("{} ended, {status}{colon}{words}", self.program))
        })
    }
}

impl AsyncRead for Exec {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Exec {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}
