//! What a driver can do wrong with a ring, and what a device answers to it.

use tinamou_memory::Fault;

/// Why a device cannot go on: it gets `DEVICE_NEEDS_RESET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A ring, a descriptor table or a buffer is not in RAM.
    #[error("not guest RAM: {0}")]
    Memory(#[from] Fault),
    /// The driver made more chains available than the ring holds.
    #[error("guest moved avail index from {from} to {to}")]
    AvailableIndex {
        /// The device's place in the ring.
        from: u16,
        /// The index the driver wrote.
        to: u16,
    },
    /// A chain begins or goes on outside the descriptor table.
    #[error("descriptor {0} is outside the table")]
    DescriptorIndex(u16),
    /// A chain with more descriptors than its table.
    #[error("looped descriptor")]
    Loop,
    /// A chain with more segments than the limit.
    #[error("too many descriptors in a chain")]
    TooLong,
    /// More chains are under way than the ring has descriptors.
    #[error("more chains are under way than the ring holds")]
    Crowded,
    /// A readable buffer after a writable one.
    #[error("incorrect order for descriptors")]
    Order,
    /// A buffer of no bytes.
    #[error("zero sized buffers are not allowed")]
    Empty,
    /// An indirect table of no, or of broken, descriptors.
    #[error("invalid size for indirect buffer table: {0:#x}")]
    IndirectSize(u32),
    /// An indirect table inside another.
    #[error("nested indirect descriptor table")]
    NestedIndirect,
    /// What the device says is wrong with a request.
    #[error("{0}")]
    Request(&'static str),
}
