//! The card between a driver's rings and the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tinamou_chardev::Chardevs;
use tinamou_net::{Config, Datagram, Network, NicConfig, vnet};
use tokio::net::UnixDatagram;

use super::spec::{control, feature};
use super::{Net, NetProperties};
use crate::Virtio;
use crate::driver::{Guest, Ring};

const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
const CONTROL: usize = 2;

/// What a modern driver asks for.
const FEATURES: u64 = feature::MAC
    | feature::MRG_RXBUF
    | feature::STATUS
    | feature::CTRL_VQ
    | feature::CTRL_RX
    | feature::CTRL_VLAN
    | feature::CTRL_MAC_ADDR
    | feature::GUEST_ANNOUNCE
    | feature::CSUM;

/// A card with its driver, and the other end of its network.
struct Bench {
    guest: Guest,
    device: Arc<Virtio>,
    network: Network,
    rings: [Ring; 3],
    changes: Arc<AtomicUsize>,
    far: UnixDatagram,
}

fn bench(features: u64) -> Bench {
    let guest = Guest::new();
    let runtime = guest.site.runtime.clone();
    let network = Network::new(runtime.clone(), Chardevs::new(runtime.clone()), |_| {});
    let (near, far) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
    far.set_nonblocking(true).expect("nonblocking");
    let config = Datagram::Fd {
        name: "far".to_owned(),
        fd: near.into(),
    };
    network
        .add("n0", Config::Dgram(config))
        .expect("a back end");
    let nic = network.add_nic(NicConfig {
        model: "virtio-net-device".to_owned(),
        netdev: Some("n0".to_owned()),
        ..NicConfig::default()
    });
    let changes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&changes);
    let device = guest.plug(|port| {
        Net::new(
            port,
            nic.expect("a card"),
            NetProperties::default(),
            move || {
                counter.fetch_add(1, Ordering::Relaxed);
            },
        )
    });
    guest.negotiate(&device, features);
    let rings = [RECEIVE, TRANSMIT, CONTROL].map(|queue| {
        let ring = Ring::split(&guest, 64);
        ring.enable(&device, queue);
        ring
    });
    guest.start(&device, features);
    let _inside = runtime.enter();
    Bench {
        device,
        network,
        rings,
        changes,
        far: UnixDatagram::from_std(far).expect("a socket"),
        guest,
    }
}

impl Bench {
    fn transmit(&mut self, head: [u8; 12], packet: &[u8]) {
        let id = self.rings[TRANSMIT].add(&self.guest, &[&head, packet], &[]);
        self.device.kick(TRANSMIT);
        let ring = &mut self.rings[TRANSMIT];
        let guest = &self.guest;
        guest.run_until(|| ring.used(guest) == Some((id, 0)));
    }

    fn arrived(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let length = self
            .guest
            .block_on(async { self.far.recv(&mut bytes).await });
        bytes.truncate(length.expect("a frame"));
        bytes
    }

    fn inject(&self, frame: &[u8]) {
        self.guest
            .block_on(async { self.far.send(frame).await })
            .expect("sent");
    }

    /// The next packet received, with its header, from however many buffers.
    fn received(&mut self) -> Vec<u8> {
        let (ring, guest) = (&mut self.rings[RECEIVE], &self.guest);
        let mut bytes = Vec::new();
        let mut buffers = 1;
        while buffers > 0 {
            let mut used = None;
            guest.run_until(|| {
                used = ring.used(guest);
                used.is_some()
            });
            let (id, length) = used.expect("used");
            bytes.extend(&ring.filled(guest, id)[..length as usize]);
            if bytes.len() == length as usize {
                buffers = u16::from_le_bytes([bytes[10], bytes[11]]);
            }
            buffers -= 1;
        }
        bytes
    }

    fn command(&mut self, (class, command): (u8, u8), data: &[u8]) -> u8 {
        let ring = &mut self.rings[CONTROL];
        let whole = [&[class, command], data].concat();
        let id = ring.add(&self.guest, &[&whole], &[1]);
        self.device.kick(CONTROL);
        let guest = &self.guest;
        guest.run_until(|| ring.used(guest) == Some((id, 1)));
        ring.filled(guest, id)[0]
    }

    fn changes(&self) -> usize {
        self.changes.load(Ordering::Relaxed)
    }
}

fn frame_to(mac: [u8; 6], length: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..length).map(|i| i as u8).collect();
    frame[..6].copy_from_slice(&mac);
    frame
}

const OWN: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const OTHER: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

#[test]
fn packets_go_out() {
    let mut bench = bench(FEATURES);
    for length in [14, 60, 1514] {
        let frame = frame_to(OTHER, length);
        bench.transmit([0; 12], &frame);
        assert_eq!(bench.arrived(), frame, "{length}");
    }
}

#[test]
fn what_is_no_frame_is_returned_unsent() {
    let mut bench = bench(FEATURES);
    bench.transmit([0; 12], &[1; 13]);
    bench.transmit([1, 0, 0, 0, 0, 0, 99, 0, 9, 0, 0, 0], &frame_to(OTHER, 60));
    bench.transmit([0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &frame_to(OTHER, 60));
    bench.transmit([0; 12], &frame_to(OTHER, 61));
    assert_eq!(bench.arrived().len(), 61);
}

#[test]
fn a_packet_without_header_breaks_the_device() {
    let mut bench = bench(FEATURES);
    bench.rings[TRANSMIT].add(&bench.guest, &[&[0; 9]], &[]);
    bench.device.kick(TRANSMIT);
    let device = &bench.device;
    bench.guest.run_until(|| device.is_broken());
}

#[test]
fn checksums_are_filled_in_on_the_way_out() {
    let mut bench = bench(FEATURES);
    let mut frame = frame_to(OTHER, 60);
    frame[34..].fill(0);
    frame[40..44].copy_from_slice(&[0x12, 0x34, 0, 1]);
    bench.transmit([1, 0, 0, 0, 0, 0, 34, 0, 2, 0, 0, 0], &frame);
    frame[36..38].copy_from_slice(&(!0x1235u16).to_be_bytes());
    assert_eq!(bench.arrived(), frame);
}

#[test]
fn packets_come_in_over_several_buffers() {
    let mut bench = bench(FEATURES);
    bench.command(control::RX_PROMISC, &[0]);
    for _ in 0..4 {
        bench.rings[RECEIVE].add(&bench.guest, &[], &[512]);
    }
    let frame = frame_to(OWN, 1514);
    bench.inject(&frame);
    let packet = bench.received();
    assert_eq!(packet[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]);
    assert_eq!(packet[12..], frame);
}

#[test]
fn a_packet_waits_for_buffers() {
    let mut bench = bench(FEATURES);
    bench.inject(&frame_to(OWN, 1000));
    bench.inject(&frame_to(OWN, 100));
    bench.rings[RECEIVE].add(&bench.guest, &[], &[512]);
    bench.device.kick(RECEIVE);
    bench.guest.settle();
    assert_eq!(bench.rings[RECEIVE].used(&bench.guest), None);
    for _ in 0..2 {
        bench.rings[RECEIVE].add(&bench.guest, &[], &[1024]);
        bench.device.kick(RECEIVE);
    }
    assert_eq!(bench.received().len(), 1012);
    assert_eq!(bench.received().len(), 112);
}

#[test]
fn the_filter_keeps_frames_out() {
    let mut bench = bench(FEATURES);
    assert_eq!(bench.command(control::RX_PROMISC, &[0]), control::OK);
    for _ in 0..4 {
        bench.rings[RECEIVE].add(&bench.guest, &[], &[2048]);
    }
    bench.device.kick(RECEIVE);
    bench.inject(&frame_to(OTHER, 100));
    bench.inject(&frame_to(OWN, 101));
    assert_eq!(bench.received().len(), 113);
    assert_eq!(bench.command(control::MAC_ADDR_SET, &OTHER), control::OK);
    bench.inject(&frame_to(OWN, 102));
    bench.inject(&frame_to(OTHER, 103));
    assert_eq!(bench.received().len(), 115);
    assert_eq!(bench.device_mac(), OTHER);
    bench.device.reset();
    assert_eq!(bench.device_mac(), OWN);
}

impl Bench {
    fn device_mac(&self) -> [u8; 6] {
        let mut mac = [0; 6];
        self.device.read_config(0, &mut mac);
        let shown = self.network.describe();
        let text = tinamou_net::MacAddress(mac).to_string();
        assert!(shown.contains(&text), "{shown}");
        mac
    }
}

#[test]
fn a_change_is_told_once_until_it_is_asked_for() {
    let mut bench = bench(FEATURES);
    for round in 1..=3 {
        for id in 0..100u16 {
            assert_eq!(
                bench.command(control::VLAN_DEL, &id.to_le_bytes()),
                control::OK
            );
            assert_eq!(
                bench.command(control::VLAN_ADD, &id.to_le_bytes()),
                control::OK
            );
        }
        assert_eq!(bench.changes(), round);
        let filters = bench.network.rx_filters(None).expect("one card");
        assert_eq!(filters.len(), 1);
        assert_eq!(filters[0].0, "virtio-net-device.0");
    }
    let error = bench.network.rx_filters(Some("n0")).expect_err("no card");
    assert_eq!(error.to_string(), "net client(n0) isn't a NIC");
}

#[test]
fn commands() {
    let mut bench = bench(FEATURES);
    let table = |unicast: usize, multicast: usize| {
        let mut bytes = (unicast as u32).to_le_bytes().to_vec();
        bytes.extend(OTHER.repeat(unicast));
        bytes.extend((multicast as u32).to_le_bytes());
        bytes.extend([0x33, 0x33, 0, 0, 0, 1].repeat(multicast));
        bytes
    };
    let mut check = |command, data: &[u8], expected| {
        assert_eq!(
            bench.command(command, data),
            expected,
            "{command:?} {data:?}"
        );
    };
    check(control::RX_ALLMULTI, &[1], control::OK);
    check(control::RX_NOBCAST, &[1], control::OK);
    check(control::MAC_TABLE_SET, &table(1, 2), control::OK);
    check(control::MAC_TABLE_SET, &table(70, 2), control::OK);
    check(control::MAC_TABLE_SET, &table(1, 2)[..20], control::ERR);
    check(control::MAC_TABLE_SET, &[0xff; 8], control::ERR);
    check(control::MAC_ADDR_SET, &[1; 5], control::ERR);
    check(control::VLAN_ADD, &[0, 0x10], control::ERR);
    check(control::VLAN_ADD, &[0], control::ERR);
    check(control::ANNOUNCE_ACK, &[0], control::ERR);
    check(control::MQ_VQ_PAIRS_SET, &[1, 0], control::ERR);
    check(control::GUEST_OFFLOADS_SET, &[0; 8], control::ERR);
    check((9, 9), &[0], control::ERR);
    check((0, 99), &[0], control::ERR);
}

#[test]
fn links_and_announcements() {
    let mut bench = bench(FEATURES);
    let status = |bench: &Bench| {
        let mut bytes = [0; 2];
        bench.device.read_config(6, &mut bytes);
        u16::from_le_bytes(bytes)
    };
    assert_eq!(status(&bench), 1);
    bench.network.set_link("n0", false).expect("there");
    assert_eq!(status(&bench), 0);
    let before = bench.device.generation();
    bench.network.set_link("n0", true).expect("there");
    assert_ne!(bench.device.generation(), before);
    bench.network.announce_once(None);
    assert_eq!(status(&bench), 3);
    assert_eq!(bench.command(control::ANNOUNCE_ACK, &[]), control::OK);
    assert_eq!(status(&bench), 1);
}

#[test]
fn legacy_headers_are_shorter() {
    assert_eq!(vnet::SHORT + 2, vnet::LONG);
    let guest = Guest::new();
    let network = Network::new(
        guest.site.runtime.clone(),
        Chardevs::new(guest.site.runtime.clone()),
        |_| {},
    );
    let nic = network.add_nic(NicConfig::default()).expect("a card");
    let device = guest.plug(|port| Net::new(port, nic, NetProperties::default(), || {}));
    assert_eq!(device.size_max(CONTROL), 64);
    assert_eq!(device.size_max(RECEIVE), 256);
    let offered = device.offered();
    assert_eq!(offered & feature::MQ, 0);
    assert_ne!(offered & feature::HOST_TSO4, 0);
}
