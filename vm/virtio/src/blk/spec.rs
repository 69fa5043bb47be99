//! Numbers of the block device (virtio 1.2 §5.2).

/// Feature bits.
pub mod feature {
    /// The most segments of a request are told.
    pub const SEG_MAX: u64 = 1 << 2;
    /// The geometry is told.
    pub const GEOMETRY: u64 = 1 << 4;
    /// The disk cannot be written.
    pub const RO: u64 = 1 << 5;
    /// The block size is told.
    pub const BLK_SIZE: u64 = 1 << 6;
    /// There are flushes.
    pub const FLUSH: u64 = 1 << 9;
    /// Blocks, alignment and sizes that are best are told.
    pub const TOPOLOGY: u64 = 1 << 10;
    /// The write cache can be turned on and off.
    pub const CONFIG_WCE: u64 = 1 << 11;
    /// There are several queues.
    pub const MQ: u64 = 1 << 12;
    /// There are discards.
    pub const DISCARD: u64 = 1 << 13;
    /// There are writes of zeros.
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

/// Kinds of request.
pub mod request {
    /// Read.
    pub const IN: u32 = 0;
    /// Write.
    pub const OUT: u32 = 1;
    /// Make writes last.
    pub const FLUSH: u32 = 4;
    /// Tell the serial number.
    pub const GET_ID: u32 = 8;
    /// Give storage back.
    pub const DISCARD: u32 = 11;
    /// Write zeros.
    pub const WRITE_ZEROES: u32 = 13;
}

/// How a request ended.
pub mod status {
    /// Well.
    pub const OK: u8 = 0;
    /// Not.
    pub const IOERR: u8 = 1;
    /// It is none that the device knows.
    pub const UNSUPP: u8 = 2;
}

/// Bytes of a sector, the unit of places and lengths.
pub const SECTOR: u64 = 512;
/// Bytes of a request's header.
pub const HEADER: u64 = 16;
/// Bytes of a serial number.
pub const ID_BYTES: usize = 20;
/// Bytes of one range to discard or to zero.
pub const RANGE: u64 = 16;
/// A range of zeros may be given back.
pub const RANGE_UNMAP: u32 = 1;

/// Bytes of the configuration space.
pub const CONFIG: usize = 60;
/// Where the write cache's switch is in it.
pub const CONFIG_WCE: usize = 32;
