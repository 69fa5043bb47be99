//! Files inside the guest.

use super::{decode, encode};
use crate::qga::{
    GuestFileClose, GuestFileFlush, GuestFileOpen, GuestFileReadCommand, GuestFileWriteCommand,
};
use crate::{Client, Error, Result};
use serde_json::json;

/// How many bytes go over the channel at a time: a reply stays short enough
/// for others to have their turn.
pub const CHUNK: usize = 128 << 10;

/// A file that the agent has open. The agent keeps what is not closed until
/// it ends, so dropping this closes the file.
///
/// ```no_run
/// # async fn example(client: &tinamou_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Write;
/// use tinamou_client::agent::GuestFile;
///
/// let mut log = GuestFile::open(client, "/var/log/messages", "r").await?;
/// let mut copy = std::fs::File::create("messages")?;
/// while let Some(data) = log.read().await? {
///     copy.write_all(&data)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct GuestFile {
    client: Client,
    handle: i64,
    /// The end was reached with what was read last.
    ended: bool,
    closed: bool,
}

impl GuestFile {
    /// Opens a file; `mode` is that of C's `fopen`.
    ///
    /// # Errors
    /// The agent cannot open it, or the call failed.
    pub async fn open(client: &Client, path: &str, mode: &str) -> Result<Self> {
        let mut command = GuestFileOpen::new(path);
        command.mode = Some(mode.to_owned());
        Ok(Self {
            handle: client.call(command).await?,
            client: client.clone(),
            ended: false,
            closed: false,
        })
    }

    /// Reads on, at most [`CHUNK`] bytes; `None` at the end. There may be more
    /// behind it later, if somebody writes.
    ///
    /// Not to be dropped before it is done: what the agent has read by then is
    /// skipped.
    ///
    /// # Errors
    /// The agent cannot read, or the call failed.
    pub async fn read(&mut self) -> Result<Option<Vec<u8>>> {
        if std::mem::take(&mut self.ended) {
            return Ok(None);
        }
        let mut command = GuestFileReadCommand::new(self.handle);
        command.count = Some(CHUNK as i64);
        let read = self.client.call(command).await?;
        let data = decode(&read.buf_b64)?;
        self.ended = read.eof && !data.is_empty();
        Ok(Some(data).filter(|data| !data.is_empty()))
    }

    /// Writes all of `data`.
    ///
    /// # Errors
    /// The agent cannot write, or the call failed.
    pub async fn write(&mut self, data: &[u8]) -> Result<()> {
        for mut rest in data.chunks(CHUNK) {
            while !rest.is_empty() {
                let command = GuestFileWriteCommand::new(self.handle, encode(rest));
                let count = self.client.call(command).await?.count;
                let written = usize::try_from(count).ok().filter(|count| *count > 0);
                let left = written.and_then(|count| rest.get(count..));
                let lie = || Error::Protocol(format!("the agent wrote {count} bytes"));
                rest = left.ok_or_else(lie)?;
            }
        }
        Ok(())
    }

    /// Closes it, and waits until that is done, whatever comes of it.
    pub async fn close(mut self) {
        self.closed = true;
        let _ = self.client.call(GuestFileClose::new(self.handle)).await;
    }

    /// Closes a file that was written, and tells whether all has arrived.
    ///
    /// # Errors
    /// It has not, or nobody knows.
    pub async fn finish(mut self) -> Result<()> {
        self.client.call(GuestFileFlush::new(self.handle)).await?;
        self.closed = true;
        self.client.call(GuestFileClose::new(self.handle)).await?;
        Ok(())
    }
}

impl Drop for GuestFile {
    fn drop(&mut self) {
        if !self.closed {
            let arguments = json!({"handle": self.handle});
            self.client.post("guest-file-close", &arguments);
        }
    }
}

/// Reads a whole file of the guest, of at most `limit` bytes: it is the
/// guest's to say how long a file is.
///
/// # Errors
/// The agent cannot read it, the call failed, or it is longer.
pub async fn read(client: &Client, path: &str, limit: usize) -> Result<Vec<u8>> {
    let mut file = GuestFile::open(client, path, "r").await?;
    let mut bytes = Vec::new();
    while let Some(data) = file.read().await? {
        if data.len() > limit - bytes.len() {
            let text = format!("{path} has more than {limit} bytes");
            return Err(Error::usage(text));
        }
        bytes.extend(data);
    }
    Ok(bytes)
}

/// Writes a file of the guest, in place of one that may be there.
///
/// # Errors
/// The agent cannot write it, or the call failed.
pub async fn write(client: &Client, path: &str, data: &[u8]) -> Result<()> {
    let mut file = GuestFile::open(client, path, "w").await?;
    file.write(data).await?;
    file.finish().await
}
