//! `throttle`: limits what passes by those of a group.

use std::ops::Range;
use std::sync::Arc;

use crate::driver::{Driver, Extent, Io, Zeroes};
use crate::node::Edge;
use crate::throttle::{Group, Member};

/// The filter.
#[derive(Debug)]
pub struct Throttle {
    file: Edge,
    group: Member,
}

impl Throttle {
    /// Limits what reaches `file`.
    pub fn new(file: Edge, group: &Arc<Group>) -> Self {
        Self {
            file,
            group: group.join(),
        }
    }

    async fn pass(&self, is_write: bool, bytes: u64) {
        self.group.group().pass(is_write, bytes).await;
    }
}

impl Driver for Throttle {
    fn name(&self) -> &'static str {
        "throttle"
    }

    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> Io<'a> {
        Box::pin(async move {
            self.pass(false, buffer.len() as u64).await;
            self.file.read(offset, buffer).await
        })
    }

    fn write<'a>(&'a self, offset: u64, data: &'a [u8]) -> Io<'a> {
        Box::pin(async move {
            self.pass(true, data.len() as u64).await;
            self.file.write(offset, data).await
        })
    }

    fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> Io<'_> {
        Box::pin(async move {
            self.pass(true, range.end - range.start).await;
            self.file.write_zeroes(range, how).await
        })
    }

    fn discard(&self, range: Range<u64>) -> Io<'_> {
        Box::pin(async move {
            self.pass(true, range.end - range.start).await;
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
