//! What can be set of a network card.

use tinamou_qdev::{Kind, MacAddr, properties};

properties! {
    /// The properties of `virtio-net-device`, with QEMU's names and defaults.
    pub struct NetProperties {
        /// Fill in checksums.
        pub csum: bool = true => "csum", "on/off";
        /// Let the driver take packets without checksums.
        pub guest_csum: bool = true => "guest_csum", "on/off";
        /// Legacy drivers may hand over long packets of any kind.
        pub gso: bool = true => "gso", "on/off";
        /// Let the driver take long packets of TCP over IPv4.
        pub guest_tso4: bool = true => "guest_tso4", "on/off";
        /// Let the driver take long packets of TCP over IPv6.
        pub guest_tso6: bool = true => "guest_tso6", "on/off";
        /// Let the driver take long packets with congestion notification.
        pub guest_ecn: bool = true => "guest_ecn", "on/off";
        /// Segment TCP over IPv4.
        pub host_tso4: bool = true => "host_tso4", "on/off";
        /// Segment TCP over IPv6.
        pub host_tso6: bool = true => "host_tso6", "on/off";
        /// Segment TCP with congestion notification.
        pub host_ecn: bool = true => "host_ecn", "on/off";
        /// Spread packets over several buffers.
        pub mrg_rxbuf: bool = true => "mrg_rxbuf", "on/off";
        /// Say whether the link is up.
        pub status: bool = true => "status", "on/off";
        /// Have a control queue.
        pub ctrl_vq: bool = true => "ctrl_vq", "on/off";
        /// Let it set receive modes.
        pub ctrl_rx: bool = true => "ctrl_rx", "on/off";
        /// Let it filter virtual networks.
        pub ctrl_vlan: bool = true => "ctrl_vlan", "on/off";
        /// Let it set further receive modes.
        pub ctrl_rx_extra: bool = true => "ctrl_rx_extra", "on/off";
        /// Let it set the address.
        pub ctrl_mac_addr: bool = true => "ctrl_mac_addr", "on/off";
        /// Let it change what the driver takes.
        pub ctrl_guest_offloads: bool = true => "ctrl_guest_offloads", "on/off";
        /// Ask the driver to announce itself.
        pub guest_announce: bool = true => "guest_announce", "on/off";
        /// Have several pairs of queues, as many as the back end has.
        pub mq: bool = false => "mq", "on/off";
        /// The address; the next free one if it is all zeros.
        pub mac: MacAddr = MacAddr([0; 6]) => "mac";
        /// The back end.
        pub netdev: Option<String> = None => "netdev" as Kind::Netdev;
        /// Descriptors of a queue for receiving.
        pub rx_queue_size: u16 = 256 => "rx_queue_size";
        /// Descriptors of a queue for sending.
        pub tx_queue_size: u16 = 256 => "tx_queue_size";
        /// How long packets should be; 0 for nothing said.
        pub host_mtu: u16 = 0 => "host_mtu";
        /// How fast the link is, in Mbit/s; -1 for nothing said.
        pub speed: i32 = -1 => "speed";
        /// Whether the link sends both ways at once: `full` or `half`.
        pub duplex: Option<String> = None => "duplex";
        /// When the firmware tries to boot from it.
        pub bootindex: i32 = -1 => "bootindex" as Kind::BootIndex;
    }
}
