//! `raw`: the bytes of the node below, or a window of them.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::driver::{Driver, Extent, Io, Zeroes};
use crate::node::Edge;

/// The image that has no format.
#[derive(Debug)]
pub struct Raw {
    file: Edge,
    /// `offset`
    offset: u64,
    /// `size`, if there is a window.
    window: Option<u64>,
    size: AtomicU64,
}

impl Raw {
    /// All of `file`, which is bound to it as [`Bond::Filtered`](crate::Bond::Filtered).
    pub fn new(file: Edge) -> Self {
        let size = AtomicU64::new(file.size());
        Self {
            file,
            offset: 0,
            window: None,
            size,
        }
    }

    /// The part of `file`, bound as [`Bond::Data`](crate::Bond::Data), from `offset` on, `size` bytes or up to the end.
    ///
    /// # Errors
    /// The file is not that long.
    pub fn window(file: Edge, offset: u64, size: Option<u64>) -> Result<Self, OutOfFile> {
        let rest = file.size().checked_sub(offset).ok_or(OutOfFile::Offset {
            offset,
            file: file.size(),
        })?;
        if let Some(size) = size.filter(|size| *size > rest) {
            return Err(OutOfFile::Size {
                offset,
                size,
                file: file.size(),
            });
        }
        Ok(Self {
            file,
            offset,
            window: size,
            size: AtomicU64::new(size.unwrap_or(rest)),
        })
    }

    fn moved(&self, range: Range<u64>) -> Range<u64> {
        range.start + self.offset..range.end + self.offset
    }
}

/// A window that lies outside of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfFile {
    /// It begins behind the end.
    #[error("Offset ({offset}) cannot be greater than size of the containing file ({file})")]
    Offset {
        /// `offset`
        offset: u64,
        /// The size of the file.
        file: u64,
    },
    /// It ends behind the end.
    #[error(
        "The sum of offset ({offset}) and size ({size}) has to be smaller or equal to the  actual size of the containing file ({file})"
    )]
    Size {
        /// `offset`
        offset: u64,
        /// `size`
        size: u64,
        /// The size of the file.
        file: u64,
    },
}

impl Driver for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn size(&self) -> u64 {
        match self.grows() {
            true => self.file.size(),
            false => self.size.load(Ordering::Acquire),
        }
    }

    fn read<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> Io<'a> {
        Box::pin(self.file.read(offset + self.offset, buffer))
    }

    fn write<'a>(&'a self, offset: u64, data: &'a [u8]) -> Io<'a> {
        Box::pin(async move {
            let done = self.file.write(offset + self.offset, data).await;
            if self.window.is_none() {
                let size = self.file.size().saturating_sub(self.offset);
                self.size.fetch_max(size, Ordering::AcqRel);
            }
            done
        })
    }

    fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> Io<'_> {
        Box::pin(self.file.write_zeroes(self.moved(range), how))
    }

    fn discard(&self, range: Range<u64>) -> Io<'_> {
        Box::pin(self.file.discard(self.moved(range)))
    }

    fn flush(&self) -> Io<'_> {
        Box::pin(self.file.flush())
    }

    fn resize(&self, size: u64) -> Io<'_> {
        Box::pin(async move {
            if self.window.is_some() {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let end = size.checked_add(self.offset);
            let end = end.ok_or(rustix::io::Errno::FBIG)?;
            self.file.resize(end).await?;
            self.size
                .store(self.file.size() - self.offset, Ordering::Release);
            Ok(())
        })
    }

    fn grows(&self) -> bool {
        self.window.is_none() && self.offset == 0 && self.file.grows()
    }

    fn extent(&self, range: Range<u64>) -> Io<'_, Extent> {
        Box::pin(self.file.extent(self.moved(range)))
    }

    fn children(&self) -> Vec<&Edge> {
        vec![&self.file]
    }

    fn filename(&self) -> String {
        self.file.filename()
    }
}
