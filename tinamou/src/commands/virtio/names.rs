//! What the bits of virtio devices are called on the wire, in the order they are listed.

use tinamou_api as api;
use tinamou_virtio::DeviceType;

/// The number of a bit and its text.
type Named = (u32, &'static str);

const STATUSES: &[Named] = &[
    (0, "VIRTIO_CONFIG_S_ACKNOWLEDGE: Valid virtio device found"),
    (7, "VIRTIO_CONFIG_S_FAILED: Error in guest, device failed"),
    (
        6,
        "VIRTIO_CONFIG_S_NEEDS_RESET: Irrecoverable error, device needs reset",
    ),
    (1, "VIRTIO_CONFIG_S_DRIVER: Guest OS compatible with device"),
    (
        3,
        "VIRTIO_CONFIG_S_FEATURES_OK: Feature negotiation complete",
    ),
    (2, "VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready"),
];

const TRANSPORTS: &[Named] = &[
    (
        29,
        "VIRTIO_RING_F_EVENT_IDX: Used & avail. event fields enabled",
    ),
    (
        28,
        "VIRTIO_RING_F_INDIRECT_DESC: Indirect descriptors supported",
    ),
    (
        40,
        "VIRTIO_F_RING_RESET: Driver can reset a queue individually",
    ),
    (
        37,
        "VIRTIO_F_SR_IOV: Device supports single root I/O virtualization",
    ),
    (
        36,
        "VIRTIO_F_ORDER_PLATFORM: Memory accesses ordered by platform",
    ),
    (
        35,
        "VIRTIO_F_IN_ORDER: Device uses buffers in same order as made available by driver",
    ),
    (34, "VIRTIO_F_RING_PACKED: Device supports packed VQ layout"),
    (
        33,
        "VIRTIO_F_IOMMU_PLATFORM: Device can be used on IOMMU platform",
    ),
    (
        32,
        "VIRTIO_F_VERSION_1: Device compliant for v1 spec (legacy)",
    ),
    (
        27,
        "VIRTIO_F_ANY_LAYOUT: Device accepts arbitrary desc. layouts",
    ),
    (
        24,
        "VIRTIO_F_NOTIFY_ON_EMPTY: Notify when device runs out of avail. descs. on VQ",
    ),
];

/// Bit 30 means this for devices that may have a vhost-user back end.
const PROTOCOL_FEATURES: Named = (
    30,
    "VHOST_USER_F_PROTOCOL_FEATURES: Vhost-user protocol features negotiation supported",
);

const BLOCK: &[Named] = &[
    PROTOCOL_FEATURES,
    (
        11,
        "VIRTIO_BLK_F_CONFIG_WCE: Cache writeback and writethrough modes supported",
    ),
    (9, "VIRTIO_BLK_F_FLUSH: Flush command supported"),
    (7, "VIRTIO_BLK_F_SCSI: SCSI packet commands supported"),
    (0, "VIRTIO_BLK_F_BARRIER: Request barriers supported"),
    (17, "VIRTIO_BLK_F_ZONED: Zoned block devices"),
    (16, "VIRTIO_BLK_F_SECURE_ERASE: Secure erase supported"),
    (
        14,
        "VIRTIO_BLK_F_WRITE_ZEROES: Write zeroes command supported",
    ),
    (13, "VIRTIO_BLK_F_DISCARD: Discard command supported"),
    (12, "VIRTIO_BLK_F_MQ: Multiqueue supported"),
    (10, "VIRTIO_BLK_F_TOPOLOGY: Topology information available"),
    (6, "VIRTIO_BLK_F_BLK_SIZE: Block size of disk available"),
    (5, "VIRTIO_BLK_F_RO: Device is read-only"),
    (4, "VIRTIO_BLK_F_GEOMETRY: Legacy geometry available"),
    (
        2,
        "VIRTIO_BLK_F_SEG_MAX: Max segments in a request is seg_max",
    ),
    (1, "VIRTIO_BLK_F_SIZE_MAX: Max segment size is size_max"),
];

const CONSOLE: &[Named] = &[
    (2, "VIRTIO_CONSOLE_F_EMERG_WRITE: Emergency write supported"),
    (
        1,
        "VIRTIO_CONSOLE_F_MULTIPORT: Multiple ports for device supported",
    ),
    (0, "VIRTIO_CONSOLE_F_SIZE: Host providing console size"),
];

const GPU: &[Named] = &[
    PROTOCOL_FEATURES,
    (
        4,
        "VIRTIO_GPU_F_CONTEXT_INIT: Context types and synchronization timelines supported",
    ),
    (
        3,
        "VIRTIO_GPU_F_RESOURCE_BLOB: Size-based blob resources supported",
    ),
    (
        2,
        "VIRTIO_GPU_F_RESOURCE_UUID: Resource UUID assigning supported",
    ),
    (1, "VIRTIO_GPU_F_EDID: EDID metadata supported"),
    (0, "VIRTIO_GPU_F_VIRGL: Virgl 3D mode supported"),
];

const NET: &[Named] = &[
    PROTOCOL_FEATURES,
    (6, "VIRTIO_NET_F_GSO: Handling GSO-type packets supported"),
    (
        63,
        "VIRTIO_NET_F_SPEED_DUPLEX: Device set linkspeed and duplex",
    ),
    (
        62,
        "VIRTIO_NET_F_STANDBY: Device acting as standby for primary device with same MAC \
         addr. supported",
    ),
    (
        61,
        "VIRTIO_NET_F_RSC_EXT: Extended coalescing info supported",
    ),
    (60, "VIRTIO_NET_F_RSS: RSS RX steering supported"),
    (57, "VIRTIO_NET_F_HASH_REPORT: Hash reporting supported"),
    (56, "VIRTIO_NET_F_HOST_USO: Device can receive USO"),
    // The name repeats that of the next bit in QEMU.
    (55, "VIRTIO_NET_F_GUEST_USO4: Driver can receive USOv6"),
    (54, "VIRTIO_NET_F_GUEST_USO4: Driver can receive USOv4"),
    (
        53,
        "VIRTIO_NET_F_NOTF_COAL: Device supports coalescing notifications",
    ),
    (
        23,
        "VIRTIO_NET_F_CTRL_MAC_ADDR: MAC address set through control channel",
    ),
    (
        22,
        "VIRTIO_NET_F_MQ: Multiqueue with automatic receive steering supported",
    ),
    (
        21,
        "VIRTIO_NET_F_GUEST_ANNOUNCE: Driver sending gratuitous packets supported",
    ),
    (
        20,
        "VIRTIO_NET_F_CTRL_RX_EXTRA: Extra RX mode control supported",
    ),
    (
        19,
        "VIRTIO_NET_F_CTRL_VLAN: Control channel VLAN filtering supported",
    ),
    (
        18,
        "VIRTIO_NET_F_CTRL_RX: Control channel RX mode supported",
    ),
    (17, "VIRTIO_NET_F_CTRL_VQ: Control channel available"),
    (
        16,
        "VIRTIO_NET_F_STATUS: Configuration status field available",
    ),
    (
        15,
        "VIRTIO_NET_F_MRG_RXBUF: Driver can merge receive buffers",
    ),
    (14, "VIRTIO_NET_F_HOST_UFO: Device can receive UFO"),
    (13, "VIRTIO_NET_F_HOST_ECN: Device can receive TSO with ECN"),
    (12, "VIRTIO_NET_F_HOST_TSO6: Device can receive TSOv6"),
    (11, "VIRTIO_NET_F_HOST_TSO4: Device can receive TSOv4"),
    (10, "VIRTIO_NET_F_GUEST_UFO: Driver can receive UFO"),
    (9, "VIRTIO_NET_F_GUEST_ECN: Driver can receive TSO with ECN"),
    (8, "VIRTIO_NET_F_GUEST_TSO6: Driver can receive TSOv6"),
    (7, "VIRTIO_NET_F_GUEST_TSO4: Driver can receive TSOv4"),
    (5, "VIRTIO_NET_F_MAC: Device has given MAC address"),
    (3, "VIRTIO_NET_F_MTU: Device max MTU reporting supported"),
    (
        2,
        "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS: Control channel offloading reconfig. supported",
    ),
    (
        1,
        "VIRTIO_NET_F_GUEST_CSUM: Driver handling packets with partial checksum supported",
    ),
    (
        0,
        "VIRTIO_NET_F_CSUM: Device handling packets with partial checksum supported",
    ),
];

const SCSI: &[Named] = &[
    PROTOCOL_FEATURES,
    (
        3,
        "VIRTIO_SCSI_F_T10_PI: T10 info included in request header",
    ),
    (
        2,
        "VIRTIO_SCSI_F_CHANGE: Reporting and handling LUN changes supported",
    ),
    (
        1,
        "VIRTIO_SCSI_F_HOTPLUG: Reporting and handling hot-plug events supported",
    ),
    (
        0,
        "VIRTIO_SCSI_F_INOUT: Requests including read and writable data buffers supported",
    ),
];

const VSOCK: &[Named] = &[
    PROTOCOL_FEATURES,
    (1, "VIRTIO_VSOCK_F_SEQPACKET: SOCK_SEQPACKET supported"),
];

const BALLOON: &[Named] = &[
    (5, "VIRTIO_BALLOON_F_REPORTING: Page reporting VQ enabled"),
    (
        4,
        "VIRTIO_BALLOON_F_PAGE_POISON: Guest page poisoning enabled",
    ),
    (
        3,
        "VIRTIO_BALLOON_F_FREE_PAGE_HINT: VQ reporting free pages enabled",
    ),
    (
        2,
        "VIRTIO_BALLOON_F_DEFLATE_ON_OOM: Deflate balloon when guest OOM",
    ),
    (
        1,
        "VIRTIO_BALLOON_F_STATS_VQ: Guest memory stats VQ available",
    ),
    (
        0,
        "VIRTIO_BALLOON_F_MUST_TELL_HOST: Tell host before reclaiming pages",
    ),
];

/// What the driver has said of itself.
pub fn status(bits: u8) -> api::VirtioDeviceStatus {
    let (statuses, unknown) = split(bits.into(), STATUSES);
    api::VirtioDeviceStatus {
        statuses,
        unknown_statuses: u8::try_from(unknown).ok().filter(|unknown| *unknown != 0),
    }
}

const MEM: &[Named] = &[
    (
        2,
        "VIRTIO_MEM_F_PERSISTENT_SUSPND: Plugged memory will remain plugged when suspending+resuming",
    ),
    (
        1,
        "VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE: Unplugged memory cannot be accessed",
    ),
];

/// The features of a kind of device.
pub fn features(kind: DeviceType, bits: u64) -> api::VirtioDeviceFeatures {
    let (transports, rest) = split(bits, TRANSPORTS);
    let own = device(kind);
    let (named, unknown) = split(rest, own.unwrap_or_default());
    api::VirtioDeviceFeatures {
        transports,
        dev_features: own.map(|_| named),
        unknown_dev_features: Some(unknown).filter(|unknown| *unknown != 0),
    }
}

/// The names of a kind of device's own features, if QEMU has any for it.
fn device(kind: DeviceType) -> Option<&'static [Named]> {
    match kind {
        DeviceType::Net => Some(NET),
        DeviceType::Block => Some(BLOCK),
        DeviceType::Console => Some(CONSOLE),
        DeviceType::Rng | DeviceType::Input => Some(&[PROTOCOL_FEATURES]),
        DeviceType::Balloon => Some(BALLOON),
        DeviceType::Scsi => Some(SCSI),
        DeviceType::Gpu => Some(GPU),
        DeviceType::Vsock => Some(VSOCK),
        DeviceType::Mem => Some(MEM),
    }
}

/// The texts of the bits that have one, and the other bits.
fn split(bits: u64, names: &[Named]) -> (Vec<String>, u64) {
    let set = names.iter().filter(|(bit, _)| bits >> bit & 1 == 1);
    let unknown = set.clone().fold(bits, |left, (bit, _)| left & !(1 << bit));
    (set.map(|(_, text)| (*text).to_owned()).collect(), unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_without_a_name_stay_numbers() {
        assert_eq!(status(0x3f).unknown_statuses, Some(0x30));
        assert_eq!(status(0x0f).unknown_statuses, None);
        let features = features(DeviceType::Balloon, 1 << 30 | 1 << 32 | 1 << 4);
        assert_eq!(features.unknown_dev_features, Some(1 << 30));
        assert_eq!(features.transports.len(), 1);
        assert_eq!(features.dev_features.map(|named| named.len()), Some(1));
    }
}
