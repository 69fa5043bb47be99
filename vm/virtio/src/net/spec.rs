//! Numbers of virtio 1.2 §5.1.

/// Feature bits (§5.1.3), as masks.
pub mod feature {
    /// The device fills in checksums.
    pub const CSUM: u64 = 1 << 0;
    /// The driver takes packets without checksums.
    pub const GUEST_CSUM: u64 = 1 << 1;
    /// The driver may change at run time what it takes.
    pub const CTRL_GUEST_OFFLOADS: u64 = 1 << 2;
    /// The device says how long packets should be.
    pub const MTU: u64 = 1 << 3;
    /// The device has an address.
    pub const MAC: u64 = 1 << 5;
    /// Legacy: the device segments anything.
    pub const GSO: u64 = 1 << 6;
    /// The driver takes long packets of TCP over IPv4.
    pub const GUEST_TSO4: u64 = 1 << 7;
    /// The driver takes long packets of TCP over IPv6.
    pub const GUEST_TSO6: u64 = 1 << 8;
    /// The driver takes long packets with ECN.
    pub const GUEST_ECN: u64 = 1 << 9;
    /// The device segments TCP over IPv4.
    pub const HOST_TSO4: u64 = 1 << 11;
    /// The device segments TCP over IPv6.
    pub const HOST_TSO6: u64 = 1 << 12;
    /// The device segments TCP with ECN.
    pub const HOST_ECN: u64 = 1 << 13;
    /// Packets may be spread over several buffers.
    pub const MRG_RXBUF: u64 = 1 << 15;
    /// The configuration space has a status.
    pub const STATUS: u64 = 1 << 16;
    /// There is a control queue.
    pub const CTRL_VQ: u64 = 1 << 17;
    /// The control queue sets receive modes.
    pub const CTRL_RX: u64 = 1 << 18;
    /// The control queue filters virtual networks.
    pub const CTRL_VLAN: u64 = 1 << 19;
    /// The control queue sets further receive modes.
    pub const CTRL_RX_EXTRA: u64 = 1 << 20;
    /// The driver announces itself when asked to.
    pub const GUEST_ANNOUNCE: u64 = 1 << 21;
    /// There are several pairs of queues.
    pub const MQ: u64 = 1 << 22;
    /// The control queue sets the address.
    pub const CTRL_MAC_ADDR: u64 = 1 << 23;
    /// The device says how fast the link is.
    pub const SPEED_DUPLEX: u64 = 1 << 63;
}

/// Bits of the status in the configuration space.
pub mod status {
    /// The link is up.
    pub const LINK_UP: u16 = 1;
    /// The driver should announce itself.
    pub const ANNOUNCE: u16 = 2;
}

/// Commands of the control queue (§5.1.6.5), as class and command.
pub mod control {
    /// Everything is let in.
    pub const RX_PROMISC: (u8, u8) = (0, 0);
    /// All groups are.
    pub const RX_ALLMULTI: (u8, u8) = (0, 1);
    /// All single stations are.
    pub const RX_ALLUNI: (u8, u8) = (0, 2);
    /// No groups are.
    pub const RX_NOMULTI: (u8, u8) = (0, 3);
    /// No single stations are.
    pub const RX_NOUNI: (u8, u8) = (0, 4);
    /// What is for all stations is not.
    pub const RX_NOBCAST: (u8, u8) = (0, 5);
    /// The tables of stations and groups.
    pub const MAC_TABLE_SET: (u8, u8) = (1, 0);
    /// The address.
    pub const MAC_ADDR_SET: (u8, u8) = (1, 1);
    /// A virtual network is let in.
    pub const VLAN_ADD: (u8, u8) = (2, 0);
    /// It is not any more.
    pub const VLAN_DEL: (u8, u8) = (2, 1);
    /// The driver has announced itself.
    pub const ANNOUNCE_ACK: (u8, u8) = (3, 0);
    /// How many pairs of queues are in use.
    pub const MQ_VQ_PAIRS_SET: (u8, u8) = (4, 0);
    /// What the driver takes now.
    pub const GUEST_OFFLOADS_SET: (u8, u8) = (5, 0);

    /// The answer to a command that was carried out.
    pub const OK: u8 = 0;
    /// The answer to one that was not.
    pub const ERR: u8 = 1;
}
