//! Recordings of sessions: one JSON object a line.
//!
//! The first line tells what the file is; every other one has the `time` in
//! seconds since, the `connection` it is about, and one of
//!
//! - `opened`: who the client is;
//! - `from` (`client` or `server`) with the `message` that was sent, or with
//!   the `text` of what was none;
//! - `closed`: which side ended it.

mod read;
mod redact;
mod replay;
mod tape;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tinamou_qmp::Value;

pub use read::Recording;
pub use redact::{Redaction, Redactor};
pub use replay::{Replay, Report};
pub use tape::{Tape, Taped};

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// The version of the format.
const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    recording: u32,
    server: String,
    /// Seconds since 1970.
    began: u64,
}

/// Any other line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) time: f64,
    pub(crate) connection: usize,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What a line tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum What {
    Opened { opened: String },
    Message { from: Side, message: Value },
    Text { from: Side, text: String },
    Closed { closed: Side },
}

/// One of the two who talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Who sends commands.
    Client,
    /// Who answers them.
    Server,
}

/// Writes a recording. Every line is complete in the file when its call
/// returns.
#[derive(Debug)]
pub struct Recorder {
    file: Mutex<File>,
    began: Instant,
}

impl Recorder {
    /// Begins a recording of what is said to `server`. Only its owner may
    /// read the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: &Path, server: &str) -> io::Result<Self> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let recorder = Self {
            file: Mutex::new(options.open(path)?),
            began: Instant::now(),
        };
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        recorder.line(&Header {
            recording: FORMAT,
            server: server.to_owned(),
            began: began.unwrap_or_default().as_secs(),
        })?;
        Ok(recorder)
    }

    /// A client has come.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn opened(&self, connection: usize, client: &str) -> io::Result<()> {
        let opened = client.to_owned();
        self.entry(connection, What::Opened { opened })
    }

    /// A message was sent.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn message(&self, connection: usize, from: Side, message: Value) -> io::Result<()> {
        self.entry(connection, What::Message { from, message })
    }

    /// Something was sent that is no message.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn text(&self, connection: usize, from: Side, text: &str) -> io::Result<()> {
        let text = text.to_owned();
        self.entry(connection, What::Text { from, text })
    }

    /// One side has ended the connection.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn closed(&self, connection: usize, closed: Side) -> io::Result<()> {
        self.entry(connection, What::Closed { closed })
    }

    fn entry(&self, connection: usize, what: What) -> io::Result<()> {
        let micros = self.began.elapsed().as_micros();
        self.line(&Entry {
            time: micros as f64 / 1e6,
            connection,
            what,
        })
    }

    fn line(&self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text)
    }
}
