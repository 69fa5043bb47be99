//! Ethernet frames.

use std::ops::Deref;

/// The longest frame there can be: an IPv6 jumbo of what segmentation offload makes, with the
/// headers before it.
pub const MAX_FRAME: usize = 68 * 1024;

/// An Ethernet frame, from the destination address to the end of the payload; the check
/// sequence is not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    bytes: Vec<u8>,
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes }
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
