//! The negotiation before the first request.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::backend::reason;
use crate::error::{Error, Result};

const MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;

const FIXED_NEWSTYLE: u16 = 1;
const NO_ZEROES: u16 = 2;

const OPT_GO: u32 = 7;
const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_ERROR: u32 = 1 << 31;
const REP_ERR_UNKNOWN: u32 = REP_ERROR | 6;
const INFO_EXPORT: u16 = 0;

const READ_ONLY: u16 = 1 << 1;
const SEND_FLUSH: u16 = 1 << 2;
const SEND_TRIM: u16 = 1 << 5;
const SEND_WRITE_ZEROES: u16 = 1 << 6;

/// Longest reply to an option.
const REPLY_LIMIT: u32 = 64 << 10;

/// What the server tells of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) size: u64,
    flags: u16,
}

impl Export {
    pub(super) fn is_read_only(self) -> bool {
        self.flags & READ_ONLY != 0
    }

    pub(super) fn has_flush(self) -> bool {
        self.flags & SEND_FLUSH != 0
    }

    pub(super) fn has_trim(self) -> bool {
        self.flags & SEND_TRIM != 0
    }

    pub(super) fn has_write_zeroes(self) -> bool {
        self.flags & SEND_WRITE_ZEROES != 0
    }
}

/// Asks for the disk of that name and enters the phase of requests.
pub(super) async fn negotiate<S>(stream: &mut S, name: &str) -> Result<Export>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    exchange(stream, name).await.map_err(|error| match error {
        Failure::Stream(error) => Error::Image(format!("Failed to read data: {}", reason(&error))),
        Failure::Server(text) => Error::Image(text),
    })
}

enum Failure {
    Stream(io::Error),
    Server(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

async fn exchange<S>(stream: &mut S, name: &str) -> Result<Export, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let refuse = |text: &str| Err(Failure::Server(text.to_owned()));
    if stream.read_u64().await? != MAGIC {
        return refuse("Bad initial magic received");
    }
    if stream.read_u64().await? != OPTION_MAGIC {
        return refuse("Server does not support the newstyle negotiation");
    }
    let flags = stream.read_u16().await?;
    if flags & FIXED_NEWSTYLE == 0 {
        return refuse("Server does not support the fixed newstyle negotiation");
    }
    stream
        .write_u32(u32::from(flags & (FIXED_NEWSTYLE | NO_ZEROES)))
        .await?;
    stream.write_all(&go(name)).await?;
    stream.flush().await?;
    let mut export = None;
    loop {
        let (kind, data) = reply(stream).await?;
        match kind {
            REP_ACK => break,
            REP_INFO => export = info(&data).or(export),
            REP_ERR_UNKNOWN => {
                return refuse("Requested export not available");
            }
            kind if kind & REP_ERROR != 0 => {
                let text = String::from_utf8_lossy(&data).into_owned();
                return Err(Failure::Server(format!(
                    "Server refused the export: {text}"
                )));
            }
            _ => {}
        }
    }
    match export {
        Some(export) if export.size <= i64::MAX as u64 => Ok(export),
        Some(_) => refuse("Export is too large"),
        None => refuse("Server did not tell the size of the export"),
    }
}

/// The option that asks for a disk.
fn go(name: &str) -> Vec<u8> {
    let mut option = OPTION_MAGIC.to_be_bytes().to_vec();
    option.extend(OPT_GO.to_be_bytes());
    option.extend((name.len() as u32 + 6).to_be_bytes());
    option.extend((name.len() as u32).to_be_bytes());
    option.extend(name.as_bytes());
    // No more information than what is always given.
    option.extend(0_u16.to_be_bytes());
    option
}

async fn reply<S>(stream: &mut S) -> Result<(u32, Vec<u8>), Failure>
where
    S: AsyncRead + Unpin,
{
    let magic = stream.read_u64().await?;
    let option = stream.read_u32().await?;
    let kind = stream.read_u32().await?;
    let length = stream.read_u32().await?;
    if magic != REPLY_MAGIC || option != OPT_GO || length > REPLY_LIMIT {
        return Err(Failure::Server("Unexpected reply to an option".into()));
    }
    let mut data = vec![0; length as usize];
    stream.read_exact(&mut data).await?;
    Ok((kind, data))
}

fn info(data: &[u8]) -> Option<Export> {
    let (kind, rest) = data.split_first_chunk::<2>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let (flags, _) = rest.split_first_chunk::<2>()?;
    (u16::from_be_bytes(*kind) == INFO_EXPORT).then(|| Export {
        size: u64::from_be_bytes(*size),
        flags: u16::from_be_bytes(*flags),
    })
}
