//! The back ends without a peer: `null`, and `ringbuf`, which keeps the last bytes in memory.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::{Error, Result};
use crate::link::lock;

/// Bytes kept when no size is given.
const DEFAULT_SIZE: u64 = 65536;

/// The most bytes that may be kept: a ring must not exhaust the host's memory.
const MAX_SIZE: usize = 1 << 30;

/// The bytes; new ones push out the oldest.
#[derive(Debug)]
pub(crate) struct Ring {
    size: usize,
    bytes: Mutex<VecDeque<u8>>,
}

impl Ring {
    /// Zero counts as unset, as in QEMU.
    pub(crate) fn new(size: Option<u64>) -> Result<Self> {
        let size = size.filter(|&size| size != 0).unwrap_or(DEFAULT_SIZE);
        let size = usize::try_from(size)
            .ok()
            .filter(|size| size.is_power_of_two())
            .ok_or(Error::RingSize)?;
        if size > MAX_SIZE {
            return Err(Error::RingTooLarge);
        }
        Ok(Self {
            size,
            bytes: Mutex::default(),
        })
    }

    pub(crate) fn write(&self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(self.size)..];
        let mut ring = lock(&self.bytes);
        let excess = (ring.len() + kept.len()).saturating_sub(self.size);
        ring.drain(..excess);
        ring.extend(kept);
    }

    /// Takes the oldest bytes, at most `count`.
    pub(crate) fn read(&self, count: usize) -> Vec<u8> {
        let mut ring = lock(&self.bytes);
        let count = count.min(ring.len());
        ring.drain(..count).collect()
    }
}

/// The front end's side: output goes to the ring if there is one, input never comes.
#[derive(Debug)]
pub(crate) struct Sink(pub(crate) Option<Arc<Ring>>);

impl AsyncRead for Sink {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(ring) = &self.0 {
            ring.write(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (size, kept) in [
            (None, Some(65536)),
            (Some(0), Some(65536)),
            (Some(4), Some(4)),
        ] {
            assert_eq!(Ring::new(size).ok().map(|ring| ring.size), kept);
        }
        for size in [3, u64::MAX, 65537] {
            let text = Ring::new(Some(size)).unwrap_err().to_string();
            assert_eq!(text, "size of ringbuf chardev must be power of two");
        }
    }

    #[test]
    fn oldest_bytes_give_way() {
        let ring = Ring::new(Some(4)).unwrap();
        ring.write(b"ab");
        ring.write(b"cdef");
        assert_eq!(ring.read(1), b"c");
        ring.write(b"0123456789");
        assert_eq!(ring.read(100), b"6789");
        assert_eq!(ring.read(100), b"");
    }
}
