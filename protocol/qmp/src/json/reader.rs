//! A stream of messages out of a stream of bytes.

use super::MAX_TEXT;
use super::lexer::{Cursor, Lexer};
use super::message::Message;
use crate::{Error, Result, Value};

/// A buffer above this size is given back once it is empty.
const KEPT: usize = 64 << 10;

/// Reads a stream of JSON values, however it is cut into chunks.
///
/// After an error reading goes on as QEMU does; an error is never the end.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    cursor: Cursor,
    lexer: Lexer,
    message: Message,
}

impl Reader {
    /// A reader at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds input. It is kept until [`read`](Self::read) gets to it.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.cursor.start);
        self.cursor.at -= self.cursor.start;
        self.cursor.start = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next value or error, as soon as it is complete; `None` when the
    /// input so far holds no more.
    pub fn read(&mut self) -> Option<Result<Value>> {
        loop {
            // One byte beyond the limit is enough to know that it is broken.
            let end = self
                .buffer
                .len()
                .min(self.cursor.start.saturating_add(MAX_TEXT + 1));
            let token = self.lexer.next(&self.buffer[..end], &mut self.cursor);
            let text = &self.buffer[self.cursor.start..self.cursor.at];
            let message = match token {
                Some(token) => self.message.add(token, text),
                None if text.len() > MAX_TEXT => {
                    self.lexer.reset();
                    Some(Err(self.message.abandon(Error::json_limit("token size"))))
                }
                // Blanks at the front may have used the limited view up.
                None if end < self.buffer.len() => continue,
                None => return None,
            };
            self.cursor.start = self.cursor.at;
            if message.is_some() {
                return message;
            }
        }
    }

    /// Ends the stream: the value or error that its end completes.
    pub fn finish(&mut self) -> Option<Result<Value>> {
        let text = &self.buffer[self.cursor.start..self.cursor.at];
        let message = self
            .lexer
            .finish()
            .and_then(|token| self.message.add(token, text));
        self.cursor.start = self.cursor.at;
        message.or_else(|| self.message.finish())
    }
}

/// Reads a text that is one JSON value, such as a command-line argument.
///
/// # Errors
/// The text has a fault, or holds no value, or more than one.
pub fn parse(text: &[u8]) -> Result<Value> {
    let mut reader = Reader::new();
    reader.push(text);
    let Some(first) = reader.read().or_else(|| reader.finish()) else {
        return Err(Error::generic("Expecting a JSON value"));
    };
    let first = first?;
    match reader.read().or_else(|| reader.finish()) {
        None => Ok(first),
        Some(second) => Err(second
            .err()
            .unwrap_or_else(|| Error::generic("Expecting at most one JSON value"))),
    }
}
