//! What can go wrong when memory is made, mapped or accessed.

/// A failure to make or arrange memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A RAM block of no bytes, or not a multiple of the page size, or beyond the host's reach.
    #[error("a RAM block cannot have {0:#x} bytes")]
    Size(u64),
    /// The host refused the memory.
    #[error("cannot allocate {size:#x} bytes of guest memory")]
    Allocate {
        /// How much was asked for.
        size: u64,
        /// Why the host refused.
        source: std::io::Error,
    },
    /// A region of no bytes, or one that ends beyond the 64-bit address space.
    #[error("region '{name}' at {base:#x} has an impossible size of {size:#x}")]
    Extent {
        /// The region's name.
        name: String,
        /// Where it was to begin.
        base: u64,
        /// How long it was to be.
        size: u64,
    },
    /// Two regions of the same priority claim the same addresses.
    #[error("region '{name}' overlaps region '{other}'")]
    Overlap {
        /// The region being added.
        name: String,
        /// The one already there.
        other: String,
    },
    /// The host could not take back memory the guest gave up.
    #[error("cannot discard guest memory")]
    Discard(#[source] std::io::Error),
    /// Part of a range is not RAM.
    #[error(transparent)]
    Unmapped(Fault),
}

/// An access that nothing answers, or that what is there does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory or device accepts the access at {address:#x}")]
pub struct Fault {
    /// The first address that could not be accessed.
    pub address: u64,
}
