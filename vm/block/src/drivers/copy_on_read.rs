//! `copy-on-read`: what is read from behind an image is written into it.

use std::io;
use std::ops::Range;

use tokio::sync::RwLock;

use crate::driver::{Driver, Extent, Io, Zeroes};
use crate::node::Edge;

/// The filter.
#[derive(Debug)]
pub struct CopyOnRead {
    file: Edge,
    /// A copy must not undo a write that came between its read and its write.
    copies: RwLock<()>,
}

impl CopyOnRead {
    /// Copies into `file`.
    pub fn new(file: Edge) -> Self {
        Self {
            file,
            copies: RwLock::new(()),
        }
    }

    async fn read_all(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let extent = self
                .file
                .extent(offset..offset + buffer.len() as u64)
                .await?;
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
            let length = length.clamp(1, buffer.len());
            let (part, rest) = buffer.split_at_mut(length);
            match extent.allocated || extent.zero {
                true => self.file.read(offset, part).await?,
                false => self.copy(offset, part).await?,
            }
            offset += length as u64;
            buffer = rest;
        }
        Ok(())
    }

    async fn copy(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let _alone = self.copies.write().await;
        self.file.read(offset, buffer).await?;
        // The read has worked; a copy that fails costs only time.
        let _ = self.file.write(offset, buffer).await;
        Ok(())
    }
}

impl Driver for CopyOnRead {
    fn name(&self) -> &'static str {
        "copy-on-read"
    }

    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> Io<'a> {
        Box::pin(self.read_all(offset, buffer))
    }

    fn write<'a>(&'a self, offset: u64, data: &'a [u8]) -> Io<'a> {
        Box::pin(async move {
            let _no_copy = self.copies.read().await;
            self.file.write(offset, data).await
        })
    }

    fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> Io<'_> {
        Box::pin(async move {
            let _no_copy = self.copies.read().await;
            self.file.write_zeroes(range, how).await
        })
    }

    fn discard(&self, range: Range<u64>) -> Io<'_> {
        Box::pin(async move {
            let _no_copy = self.copies.read().await;
            self.file.discard(range).await
        })
    }

    fn flush(&self) -> Io<'_> {
        Box::pin(self.file.flush())
    }

    fn resize(&self, size: u64) -> Io<'_> {
        Box::pin(self.file.resize(size))
    }

    fn grows(&self) -> bool {
        self.file.grows()
    }

    fn extent(&self, range: Range<u64>) -> Io<'_, Extent> {
        Box::pin(self.file.extent(range))
    }

    fn children(&self) -> Vec<&Edge> {
        vec![&self.file]
    }

    fn filename(&self) -> String {
        self.file.filename()
    }
}
