//! Numbers of the specification that more than one module needs.

/// Device status bits (virtio 1.2 §2.1).
pub mod status {
    /// The guest has noticed the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// The guest knows how to drive it.
    pub const DRIVER: u8 = 2;
    /// The driver is ready.
    pub const DRIVER_OK: u8 = 4;
    /// Features are negotiated.
    pub const FEATURES_OK: u8 = 8;
    /// The device cannot go on before a reset.
    pub const DEVICE_NEEDS_RESET: u8 = 0x40;
    /// The guest has given up on the device.
    pub const FAILED: u8 = 0x80;
}

/// Feature bits that concern rings and transports (virtio 1.2 §6), as masks.
pub mod feature {
    /// Legacy: the device interrupts when it runs out of buffers, even if told not to.
    pub const NOTIFY_ON_EMPTY: u64 = 1 << 24;
    /// Any framing of requests (legacy; implied by version 1).
    pub const ANY_LAYOUT: u64 = 1 << 27;
    /// Indirect descriptors.
    pub const RING_INDIRECT_DESC: u64 = 1 << 28;
    /// `used_event` and `avail_event`.
    pub const RING_EVENT_IDX: u64 = 1 << 29;
    /// Never to be accepted by a driver; QEMU offers it on PCI to find those that do.
    pub const BAD_FEATURE: u64 = 1 << 30;
    /// The device is not a legacy one.
    pub const VERSION_1: u64 = 1 << 32;
    /// Addresses go through the platform's translation.
    pub const ACCESS_PLATFORM: u64 = 1 << 33;
    /// Packed rings.
    pub const RING_PACKED: u64 = 1 << 34;
    /// Buffers are used in the order they were made available.
    pub const IN_ORDER: u64 = 1 << 35;
    /// A single queue can be reset.
    pub const RING_RESET: u64 = 1 << 40;
}

/// Features that only a legacy driver is offered.
pub const LEGACY_FEATURES: u64 =
    feature::NOTIFY_ON_EMPTY | feature::ANY_LAYOUT | feature::BAD_FEATURE;

/// Interrupt status bits (virtio 1.2 §4.1.4.5).
pub mod isr {
    /// Buffers were used.
    pub const QUEUE: u8 = 1;
    /// The configuration has changed. QEMU sets the other bit with it.
    pub const CONFIG: u8 = 2;
}

/// The longest ring, and the most segments in one chain; QEMU's limits.
pub const QUEUE_SIZE_MAX: u16 = 1024;

/// Device types (virtio 1.2 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
#[expect(missing_docs, reason = "the specification's names")]
pub enum DeviceType {
    Net = 1,
    Block = 2,
    Console = 3,
    Rng = 4,
    Balloon = 5,
    Scsi = 8,
    Gpu = 16,
    Input = 18,
    Vsock = 19,
    Mem = 24,
}

impl DeviceType {
    /// QEMU's name of the device behind a transport, such as `virtio-rng`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Net => "virtio-net",
            Self::Block => "virtio-blk",
            Self::Console => "virtio-serial",
            Self::Rng => "virtio-rng",
            Self::Balloon => "virtio-balloon",
            Self::Scsi => "virtio-scsi",
            Self::Gpu => "virtio-gpu",
            Self::Input => "virtio-input",
            Self::Vsock => "vhost-vsock",
            Self::Mem => "virtio-mem",
        }
    }
}
