//! What a node's driver does: bytes at offsets, one driver for each kind of storage, format and
//! filter.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use crate::node::Node;

/// A request under way. It must be run to its end: what was dropped half-way may still reach the
/// disk later.
pub type Io<'a, T = ()> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// What stands behind a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How many bytes from the offset asked about are alike; at least one unless at the end.
    pub length: u64,
    /// Whether this layer has the bytes, rather than one behind it.
    pub allocated: bool,
    /// Whether they are known to be zeros.
    pub zero: bool,
}

/// How zeros are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zeroes {
    /// The storage behind them may be given back.
    pub unmap: bool,
}

/// Numbers that some kinds of storage count beside those of every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Specific {
    /// `file` and `host_device`: discards that worked, that failed, and bytes discarded.
    Discards {
        /// Discards that worked.
        ok: u64,
        /// Discards that failed.
        failed: u64,
        /// Bytes of those that worked.
        bytes: u64,
    },
}

/// One kind of storage, format or filter.
///
/// Ranges have been checked against [`size`](Driver::size), except that a read may go past the end
/// of a file whose length is no multiple of a sector: what lies there reads as zeros.
pub trait Driver: Send + Sync {
    /// The word for it in `driver=`.
    fn name(&self) -> &'static str;

    /// Bytes a disk on top of it has.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset` on.
    fn read<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> Io<'a>;

    /// Puts `data` at `offset`.
    fn write<'a>(&'a self, offset: u64, data: &'a [u8]) -> Io<'a>;

    /// Makes a range read as zeros.
    fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> Io<'_>;

    /// Gives back the storage behind a range; what it reads as afterwards is undefined.
    fn discard(&self, range: Range<u64>) -> Io<'_>;

    /// Makes all that was written before survive a crash of the host.
    fn flush(&self) -> Io<'_>;

    /// Changes [`size`](Driver::size).
    fn resize(&self, size: u64) -> Io<'_>;

    /// What stands behind `range`, as far as it is alike from its start on.
    fn extent(&self, range: Range<u64>) -> Io<'_, Extent> {
        let length = range.end - range.start;
        Box::pin(async move {
            Ok(Extent {
                length,
                allocated: true,
                zero: false,
            })
        })
    }

    /// Writes out what is kept in memory, before the node goes away.
    fn close(&self) -> Io<'_> {
        Box::pin(async { Ok(()) })
    }

    /// The nodes below, by role.
    fn children(&self) -> Vec<Child> {
        Vec::new()
    }

    /// Bytes of the host's storage in use, where that is known.
    fn allocated(&self) -> Option<u64> {
        None
    }

    /// Where the bytes are, as users write it.
    fn filename(&self) -> String;

    /// Numbers of this kind of storage alone.
    fn specific(&self) -> Option<Specific> {
        None
    }
}

/// A node below another.
#[derive(Clone, Debug)]
pub struct Child {
    /// What it is to the node above: `file`, `backing`.
    pub role: &'static str,
    /// The node.
    pub node: Arc<Node>,
}
