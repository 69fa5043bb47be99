//! Entries of the tables.

use super::header::Header;

/// The cluster is used once, so that it can be written in place.
pub(super) const COPIED: u64 = 1 << 63;
/// The cluster is packed.
const COMPRESSED: u64 = 1 << 62;
/// The cluster reads as zeros, whatever it holds.
pub(super) const ZERO: u64 = 1;
/// The bits of an offset in the file.
pub(super) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// What a second-level entry says of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapping {
    /// It is not here; it may be behind.
    Unallocated,
    /// It reads as zeros; a cluster may be kept for it.
    Zero {
        /// Where that is.
        host: Option<u64>,
        /// Nobody else uses it.
        alone: bool,
    },
    /// It is here.
    Data {
        /// Where.
        host: u64,
        /// Nobody else uses it.
        alone: bool,
    },
    /// It is here, packed.
    Compressed {
        /// Where, at any byte.
        host: u64,
        /// Bytes to read at most.
        length: u64,
    },
}

impl Mapping {
    /// What an entry means; `None` if it means nothing.
    pub(super) fn decode(entry: u64, header: &Header) -> Option<Self> {
        if entry & COMPRESSED != 0 {
            return Some(Self::compressed(entry, header));
        }
        let (host, alone) = (entry & OFFSET, entry & COPIED != 0);
        if host % header.cluster() != 0 {
            return None;
        }
        let zero = header.version >= 3 && entry & ZERO != 0;
        Some(match (zero, host) {
            (true, 0) => Self::Zero { host: None, alone },
            (true, host) => Self::Zero {
                host: Some(host),
                alone,
            },
            (false, 0) => Self::Unallocated,
            (false, host) => Self::Data { host, alone },
        })
    }

    fn compressed(entry: u64, header: &Header) -> Self {
        let bits = 62 - (header.cluster_bits - 8);
        let host = entry & ((1 << bits) - 1);
        let sectors = (entry & !COMPRESSED & !COPIED) >> bits;
        Self::Compressed {
            host,
            length: (sectors + 1) * 512 - host % 512,
        }
    }

    /// The clusters that the entry keeps in use: where the first is, and how many bytes.
    pub(super) fn occupied(self, cluster: u64) -> Option<(u64, u64)> {
        match self {
            Self::Unallocated | Self::Zero { host: None, .. } => None,
            Self::Zero {
                host: Some(host), ..
            }
            | Self::Data { host, .. } => Some((host, cluster)),
            Self::Compressed { host, length } => Some((host, length)),
        }
    }
}
