//! A raw connection: bytes out as the check wants them, messages in, every
//! wait with a deadline.

mod scanner;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::observed::Observed;
use crate::target::Stream;
use scanner::{Piece, Scanner};

/// The longest message that is read. QEMU's own schema has 200 KiB.
const LONGEST: usize = 64 << 20;

/// How long the end of a line may come after its message.
const LINE_END: Duration = Duration::from_millis(500);

/// Between bytes that shall arrive apart.
const APART: Duration = Duration::from_millis(1);

/// Lines of the conversation kept for the report.
const REMEMBERED: usize = 12;

/// Characters of each of them.
const REMEMBERED_WIDTH: usize = 160;

/// Why a connection did not give what was waited for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("cannot send: {0}")]
    Send(io::Error),
    #[error("nothing comes within {0:?}")]
    Silence(Duration),
    #[error("the server closed the connection")]
    Closed,
    #[error("what the server sent is no JSON object ({why}): {text}")]
    Garbage { text: String, why: String },
    #[error("a message has more than {LONGEST} bytes")]
    TooLong,
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    chunks: Receiver<Vec<u8>>,
    scanner: Scanner,
    patience: Duration,
    closed: bool,
    negotiated: bool,
    observed: Observed,
    events: Vec<Value>,
    remembered: VecDeque<String>,
}

impl Wire {
    pub(crate) fn new(
        stream: Stream,
        patience: Duration,
        observed: Observed,
    ) -> Result<Self, WireError> {
        let set_up = || -> io::Result<Receiver<Vec<u8>>> {
            stream.set_write_timeout(patience)?;
            // What a server sends while nobody looks is limited by this.
            let (sender, chunks) = sync_channel(1024);
            let source = stream.try_clone()?;
            thread::Builder::new()
                .name("wire".to_owned())
                .spawn(move || drain(source, &sender))?;
            Ok(chunks)
        };
        let chunks = set_up().map_err(WireError::Connect)?;
        Ok(Self {
            stream,
            chunks,
            scanner: Scanner::default(),
            patience,
            closed: false,
            negotiated: false,
            observed,
            events: Vec::new(),
            remembered: VecDeque::new(),
        })
    }

    /// Sends bytes in one piece.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.remember("->", bytes);
        self.write(bytes)
    }

    /// Sends bytes one at a time.
    pub(crate) fn dribble(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.remember("->", bytes);
        for byte in bytes.chunks(1) {
            self.write(byte)?;
            thread::sleep(APART);
        }
        Ok(())
    }

    /// Sends a JSON value as a line.
    pub(crate) fn send_json(&mut self, request: &Value) -> Result<(), WireError> {
        self.send(format!("{request}\n").as_bytes())
    }

    /// Says that no more will be sent.
    pub(crate) fn half_close(&mut self) -> Result<(), WireError> {
        self.remember("->", b"(end of stream)");
        self.stream
            .shutdown(Shutdown::Write)
            .map_err(WireError::Send)
    }

    /// The next message of any kind.
    pub(crate) fn message(&mut self) -> Result<Value, WireError> {
        let piece = self.piece(self.patience)?;
        self.remember("<-", &piece.text);
        self.observed.line(&piece.text, &piece.end);
        let message = parse(&piece.text)?;
        self.observed.message(&message, self.negotiated);
        if message.get("event").is_some() {
            self.events.push(message.clone());
        }
        Ok(message)
    }

    /// The next message that is no event.
    pub(crate) fn reply(&mut self) -> Result<Value, WireError> {
        loop {
            let message = self.message()?;
            if message.get("event").is_none() {
                return Ok(message);
            }
        }
    }

    /// Sends a request and takes the next reply for its own.
    pub(crate) fn call(&mut self, request: &Value) -> Result<Value, WireError> {
        self.send_json(request)?;
        self.reply()
    }

    /// Waits for the end of the stream; gives what came before it.
    pub(crate) fn rest(&mut self) -> Result<Vec<Value>, WireError> {
        let mut messages = Vec::new();
        loop {
            match self.message() {
                Ok(message) => messages.push(message),
                Err(WireError::Closed) => return Ok(messages),
                Err(error) => return Err(error),
            }
        }
    }

    /// The events that came so far, once.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    /// From here on the server may send events.
    pub(crate) fn set_negotiated(&mut self) {
        self.negotiated = true;
    }

    /// The last lines of the conversation.
    pub(crate) fn conversation(&self) -> Vec<String> {
        self.remembered.iter().cloned().collect()
    }

    /// Forgets the conversation, since another check begins.
    pub(crate) fn begin(&mut self) {
        self.remembered.clear();
        self.events.clear();
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.stream.write_all(bytes).map_err(WireError::Send)
    }

    fn piece(&mut self, patience: Duration) -> Result<Piece, WireError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(piece) = self.scanner.next() {
                return Ok(piece);
            }
            if self.scanner.pending().len() > LONGEST {
                return Err(WireError::TooLong);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let whole = self.scanner.is_whole();
            let wait = if whole { left.min(LINE_END) } else { left };
            match self.chunks.recv_timeout(wait) {
                Ok(bytes) => self.scanner.push(&bytes),
                Err(_) if whole => return self.scanner.unterminated().ok_or(WireError::Closed),
                Err(RecvTimeoutError::Timeout) => return Err(WireError::Silence(patience)),
                Err(RecvTimeoutError::Disconnected) => return Err(self.end()),
            }
        }
    }

    /// What the end of the stream means.
    fn end(&mut self) -> WireError {
        self.closed = true;
        let pending = self.scanner.pending();
        if pending.is_empty() {
            return WireError::Closed;
        }
        WireError::Garbage {
            text: shorten(pending),
            why: "it breaks off".to_owned(),
        }
    }

    fn remember(&mut self, direction: &str, bytes: &[u8]) {
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        let line = format!("{direction} {}", shorten(bytes));
        self.remembered.push_back(line);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Ends the reading thread as well. The peer may have gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Reads until the stream ends or nobody takes what was read.
fn drain(mut source: Stream, sender: &SyncSender<Vec<u8>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length) = source.read(&mut buffer) {
        if length == 0 || sender.send(buffer[..length].to_vec()).is_err() {
            return;
        }
    }
}

fn parse(text: &[u8]) -> Result<Value, WireError> {
    let garbage = |why: String| WireError::Garbage {
        text: shorten(text),
        why,
    };
    let value: Value = serde_json::from_slice(text).map_err(|error| garbage(error.to_string()))?;
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(garbage("it is another value".to_owned())),
    }
}

/// Bytes as one short line of text.
pub(crate) fn shorten(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes.trim_ascii_end().iter().take(REMEMBERED_WIDTH) {
        match byte {
            b' '..=b'~' => text.push(char::from(byte)),
            b'\n' => text.push('⏎'),
            _ => text.push_str(&format!("<{byte:02X}>")),
        }
    }
    if bytes.len() > REMEMBERED_WIDTH {
        text.push_str(&format!("… ({} bytes)", bytes.len()));
    }
    text
}
