//! Ethernet frames, and what their sender has left for the receiver to do.

use std::ops::Deref;

/// The longest frame there can be: the longest IP packet that segmentation offload makes, with
/// the headers before it.
pub const MAX_FRAME: usize = 68 * 1024;

/// An Ethernet frame, from the destination address to the end of the payload; the check
/// sequence is not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    bytes: Vec<u8>,
    /// What is still to be done to it.
    pub offload: Offload,
}

/// Work that the sender of a frame has left to the receiver. A cable does it on the way to a
/// port that does not [accept](crate::Port::accept) such frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// A checksum is to be filled in.
    pub checksum: Option<Checksum>,
    /// The payload is to be spread over several packets.
    pub segments: Option<Segments>,
}

impl Offload {
    /// Nothing is left to do.
    pub const NONE: Self = Self {
        checksum: None,
        segments: None,
    };
}

/// The Internet checksum of `bytes[start..]` belongs at `start + offset`, where the sum of the
/// pseudo-header already is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Where summing begins.
    pub start: u16,
    /// Where the result belongs, counted from there.
    pub offset: u16,
}

/// One long TCP packet stands for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Over which protocol.
    pub kind: SegmentKind,
    /// Bytes of payload in each packet.
    pub size: u16,
    /// The packet takes part in explicit congestion notification.
    pub ecn: bool,
}

/// What is segmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
}

/// What a port takes as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepts {
    /// Frames whose checksum is to be filled in.
    pub checksum: bool,
    /// Long packets of TCP over IPv4.
    pub tcp4: bool,
    /// Long packets of TCP over IPv6.
    pub tcp6: bool,
}

impl Accepts {
    /// Everything.
    pub const ALL: Self = Self {
        checksum: true,
        tcp4: true,
        tcp6: true,
    };

    /// Whether a frame may be handed over as it is.
    pub(crate) fn takes(self, offload: Offload) -> bool {
        let segments = match offload.segments.map(|segments| segments.kind) {
            None => true,
            Some(SegmentKind::Tcp4) => self.tcp4,
            Some(SegmentKind::Tcp6) => self.tcp6,
        };
        segments && (self.checksum || offload.checksum.is_none())
    }
}

impl Frame {
    /// A frame with work left to do.
    pub fn with_offload(bytes: Vec<u8>, offload: Offload) -> Self {
        Self { bytes, offload }
    }

    /// The bytes alone.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            offload: Offload::NONE,
        }
    }
}

impl From<&[u8]> for Frame {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
