//! The registers and numbers of the device, as QEMU's specification "fw_cfg" has them.

/// Bytes of all registers.
pub const SIZE: u64 = 0x18;
/// The data register, where the selected item is read byte by byte.
pub(super) const DATA: (u64, u64) = (0, 8);
/// The selector.
pub(super) const CONTROL: (u64, u64) = (8, 2);
/// Where a transfer's description is.
pub(super) const DMA: (u64, u64) = (0x10, 8);

/// What the item [`key::SIGNATURE`] holds.
pub(super) const SIGNATURE: &[u8] = b"QEMU";
/// What the register of transfers reads as.
pub(super) const DMA_SIGNATURE: [u8; 8] = *b"QEMU CFG";
/// Bits of the item [`key::ID`]: the plain interface, and the one of transfers.
pub(super) const FEATURES: u32 = 1 | 2;

/// Which items there are.
pub mod key {
    /// That it is this device.
    pub const SIGNATURE: u16 = 0;
    /// Which interfaces it has.
    pub const ID: u16 = 1;
    /// The machine's UUID.
    pub const UUID: u16 = 2;
    /// Whether there is no display (`-nographic`).
    pub const NOGRAPHIC: u16 = 4;
    /// How many harts there are.
    pub const NB_CPUS: u16 = 5;
    /// Whether firmware shall offer a menu.
    pub const BOOT_MENU: u16 = 0xe;
    /// The names of files, and the items they are.
    pub const FILE_DIR: u16 = 0x19;
    /// The first file; the others follow.
    pub(in crate::fw_cfg) const FILE_FIRST: u16 = 0x20;
}

/// Files there can be.
pub const FILES_MAX: usize = 0x20;
/// Bytes of a file's name, the end's mark included.
pub const NAME_SIZE: usize = 56;

/// Bits of a selector that are no part of the item's number: to write it, and that it belongs to
/// the architecture.
pub(super) const WRITE_CHANNEL: u16 = 0x4000;
pub(super) const ARCHITECTURE: u16 = 0x8000;

/// Bits of a transfer's command; above them is what to select.
pub(super) mod command {
    pub const ERROR: u32 = 1;
    pub const READ: u32 = 2;
    pub const SKIP: u32 = 4;
    pub const SELECT: u32 = 8;
    pub const WRITE: u32 = 0x10;
}
