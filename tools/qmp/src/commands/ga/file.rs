//! Files inside the guest.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tinamou_client::{Client, Error as ClientError};
use tinamou_interface::qga::{
    GuestFileClose, GuestFileFlush, GuestFileOpen, GuestFileReadCommand, GuestFileWriteCommand,
};

use crate::Error;

/// How much goes over the channel at a time: a reply stays short enough for
/// others to have their turn.
pub(super) const CHUNK: usize = 128 << 10;

/// A file that the agent has open. An agent keeps what is not closed until it
/// ends.
pub(super) struct GuestFile<'a> {
    client: &'a Client,
    handle: i64,
}

/// What was read at once.
pub(super) struct Chunk {
    pub(super) data: Vec<u8>,
    /// Whether the end was reached. More may come if somebody writes.
    pub(super) ended: bool,
}

impl<'a> GuestFile<'a> {
    /// Opens a file: `mode` is that of `fopen`.
    pub(super) async fn open(client: &'a Client, path: &str, mode: &str) -> Result<Self, Error> {
        let mut command = GuestFileOpen::new(path);
        command.mode = Some(mode.to_owned());
        let handle = client.call(command).await?;
        Ok(Self { client, handle })
    }

    /// Reads on.
    pub(super) async fn read(&self) -> Result<Chunk, Error> {
        let mut command = GuestFileReadCommand::new(self.handle);
        command.count = Some(CHUNK as i64);
        let read = self.client.call(command).await?;
        Ok(Chunk {
            data: decode(&read.buf_b64)?,
            ended: read.eof,
        })
    }

    /// Writes all of `data`.
    pub(super) async fn write(&self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            let command = GuestFileWriteCommand::new(self.handle, BASE64_STANDARD.encode(data));
            let count = self.client.call(command).await?.count;
            let written = usize::try_from(count).ok().filter(|count| *count > 0);
            let rest = written.and_then(|count| data.get(count..));
            data = rest.ok_or_else(|| broken(&format!("the agent wrote {count} bytes")))?;
        }
        Ok(())
    }

    /// Closes a file that was written, and tells whether all has arrived.
    pub(super) async fn finish(self) -> Result<(), Error> {
        self.client.call(GuestFileFlush::new(self.handle)).await?;
        self.client.call(GuestFileClose::new(self.handle)).await?;
        Ok(())
    }

    /// Closes it, whatever comes of that.
    pub(super) async fn close(self) {
        let _ = self.client.call(GuestFileClose::new(self.handle)).await;
    }
}

/// Bytes as the agent sends them.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Error> {
    let bytes = BASE64_STANDARD.decode(text);
    bytes.map_err(|error| broken(&format!("the agent's base64: {error}")))
}

fn broken(reason: &str) -> Error {
    ClientError::Protocol(reason.to_owned()).into()
}
