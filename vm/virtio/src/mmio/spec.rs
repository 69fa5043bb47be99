//! The registers (virtio 1.2 §4.2.2, and §4.2.4 for the legacy ones).

/// The size of the register window.
pub const SIZE: u64 = 0x200;
/// Where the device's configuration space begins.
pub(super) const CONFIG: u64 = 0x100;

/// "virt" in little-endian letters.
pub(super) const MAGIC_VALUE: u32 = 0x7472_6976;
/// "QEMU".
pub(super) const VENDOR_ID: u32 = 0x554d_4551;

/// A register by its offset.
macro_rules! registers {
    ($($(#[$doc:meta])* $name:ident = $offset:literal,)*) => {
        /// A register.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Register {
            $($(#[$doc])* $name,)*
        }

        impl Register {
            /// The register at an offset.
            pub(super) fn at(offset: u64) -> Option<Self> {
                match offset {
                    $($offset => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

registers! {
    Magic = 0x00,
    Version = 0x04,
    DeviceId = 0x08,
    Vendor = 0x0c,
    DeviceFeatures = 0x10,
    DeviceFeaturesSel = 0x14,
    DriverFeatures = 0x20,
    DriverFeaturesSel = 0x24,
    /// Legacy.
    GuestPageSize = 0x28,
    QueueSel = 0x30,
    QueueNumMax = 0x34,
    QueueNum = 0x38,
    /// Legacy.
    QueueAlign = 0x3c,
    /// Legacy.
    QueuePfn = 0x40,
    QueueReady = 0x44,
    QueueNotify = 0x50,
    InterruptStatus = 0x60,
    InterruptAck = 0x64,
    Status = 0x70,
    QueueDescLow = 0x80,
    QueueDescHigh = 0x84,
    QueueDriverLow = 0x90,
    QueueDriverHigh = 0x94,
    QueueDeviceLow = 0xa0,
    QueueDeviceHigh = 0xa4,
    ShmLenLow = 0xb0,
    ShmLenHigh = 0xb4,
    ConfigGeneration = 0xfc,
}
