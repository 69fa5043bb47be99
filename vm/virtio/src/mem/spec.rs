//! Numbers of the memory device (virtio 1.2 §5.15).

/// Feature bits, as masks.
pub mod feature {
    /// Memory that is not plugged must not be touched.
    pub const UNPLUGGED_INACCESSIBLE: u64 = 1 << 1;
}

/// What a driver asks for (§5.15.6).
pub(super) mod request {
    pub const PLUG: u16 = 0;
    pub const UNPLUG: u16 = 1;
    pub const UNPLUG_ALL: u16 = 2;
    pub const STATE: u16 = 3;
    /// Type, padding, address, number of blocks, padding.
    pub const SIZE: usize = 24;
}

/// What it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Response {
    Ack = 0,
    Nack = 1,
    Busy = 2,
    Error = 3,
}

/// Type, padding, state.
pub(super) const RESPONSE_SIZE: u32 = 10;

/// What some blocks are (§5.15.6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum BlockState {
    Plugged = 0,
    Unplugged = 1,
    Mixed = 2,
}

/// The least size of a block; QEMU's limit.
pub const BLOCK_SIZE_MIN: u64 = 1 << 20;
/// The size of a block unless its user chooses another, which is that of a huge page.
pub const BLOCK_SIZE: u64 = 2 << 20;

/// How much further than the requested size the guest may plug. Linux adds memory in sections of
/// 128 MiB, and uses one in part only if all of it is usable.
pub(super) const USABLE_EXTENT: u64 = 2 * (128 << 20);
