//! What a node's driver does: bytes at offsets, one driver for each kind of storage, format and
//! filter.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;

use tinamou_api as api;

use crate::error::Error;
use crate::node::{Edge, NodeOptions};
use crate::permission::Claim;

/// A request under way. It must be run to its end: what was dropped half-way may still reach the
/// disk later.
pub type Io<'a, T = ()> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// A change of options under way.
pub type Reopen<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

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

/// An image that contradicts itself, as a driver's error carries it to its node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Corruption {
    /// What is wrong, for people.
    pub message: String,
    /// Where, and how many bytes.
    pub place: Option<(u64, u64)>,
    /// The image is marked as corrupt and closed.
    pub fatal: bool,
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
/// Ranges have been checked against [`size`](Driver::size) unless the driver
/// [grows](Driver::grows).
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

    /// Whether a write behind the end makes it longer, and a read there gives zeros. Disks do not
    /// show this: their ranges are checked before.
    fn grows(&self) -> bool {
        false
    }

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

    /// The nodes below.
    fn children(&self) -> Vec<&Edge> {
        Vec::new()
    }

    /// Whether the node's users may have what they claim together; a file locks itself against
    /// other processes here.
    ///
    /// # Errors
    /// Another process is in the way.
    fn permit(&self, claim: Claim) -> Result<(), Error> {
        let _ = claim;
        Ok(())
    }

    /// Takes other options over. No request is under way.
    fn reopen<'a>(&'a self, options: &'a NodeOptions) -> Reopen<'a> {
        let _ = options;
        Box::pin(async { Ok(()) })
    }

    /// Adds what it has to tell of the image.
    fn describe(&self, info: &mut api::BlockNodeInfo) {
        if let [child] = self.children()[..] {
            let whole = api::BlockNodeInfo { ..info.clone() };
            child.describe(info);
            // These are the child's own.
            info.format_specific = whole.format_specific;
            info.cluster_size = whole.cluster_size;
        }
    }

    /// Where the bytes are, as users write it.
    fn filename(&self) -> String;

    /// Numbers of this kind of storage alone.
    fn specific(&self) -> Option<Specific> {
        None
    }
}
