//! The way to the guests: who they are on Ethernet, and packets for them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use super::plan::{LINK_LOCAL, Plan, mac_of};
use super::tcb::Segment;
use super::wire::{self, ETHERNET, IPV4, MTU, Route, ethertype, protocol};
use crate::cable::Port;
use crate::frame::{Checksum, Frame, Offload, SegmentKind, Segments};
use crate::mac::MacAddress;
use crate::offload::{fold, sum};

/// Addresses of guests that are remembered.
const MOST_NEIGHBOURS: usize = 256;

/// The port to the guests.
pub(super) struct Link {
    pub(super) port: Port,
    neighbours: Mutex<HashMap<IpAddr, MacAddress>>,
    plan: Plan,
}

impl Link {
    pub(super) fn new(port: Port, plan: Plan) -> Self {
        Self {
            port,
            neighbours: Mutex::default(),
            plan,
        }
    }

    /// Remembers where an address is.
    pub(super) fn meet(&self, address: IpAddr, mac: MacAddress) {
        if address.is_unspecified() || address.is_multicast() || mac.is_multicast() {
            return;
        }
        let mut neighbours = self
            .neighbours
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if neighbours.len() >= MOST_NEIGHBOURS && !neighbours.contains_key(&address) {
            neighbours.clear();
        }
        neighbours.insert(address, mac);
    }

    /// Where an address is. If that is not known, the guests are asked.
    fn find(&self, address: IpAddr) -> Option<MacAddress> {
        if address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Some(MacAddress::BROADCAST);
        }
        if let IpAddr::V6(address) = address
            && address.is_multicast()
        {
            let [.., a, b, c, d] = address.octets();
            return Some(MacAddress([0x33, 0x33, a, b, c, d]));
        }
        let known = self
            .neighbours
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&address).copied();
        if known.is_none() {
            self.ask(address);
        }
        known
    }

    fn ask(&self, address: IpAddr) {
        match (address, self.plan.v4) {
            (IpAddr::V4(address), Some(plan)) => {
                let own = mac_of(plan.host.into());
                let question = arp(1, own, plan.host, MacAddress([0; 6]), address);
                self.offer(ethernet(MacAddress::BROADCAST, own, ethertype::ARP, &question).into());
            }
            (IpAddr::V6(address), _) => self.solicit(address),
            _ => {}
        }
    }

    /// A neighbour solicitation (RFC 4861 §4.3).
    fn solicit(&self, address: Ipv6Addr) {
        let own = mac_of(LINK_LOCAL.into());
        let [.., a, b, c] = address.octets();
        let group = Ipv6Addr::new(
            0xff02,
            0,
            0,
            0,
            0,
            1,
            0xff00 | u16::from(a),
            u16::from_be_bytes([b, c]),
        );
        let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
        message.extend(address.octets());
        message.extend([1, 1]);
        message.extend(own.0);
        self.icmp_v6(LINK_LOCAL, group, message);
    }

    /// Sends a frame unless the guest is behind with those before: what asks again can be lost.
    pub(super) fn offer(&self, frame: Frame) {
        // Full: lost.
        let _ = self.port.try_send(frame);
    }

    /// An ICMPv6 message whose checksum is not filled in.
    pub(super) fn icmp_v6(&self, source: Ipv6Addr, destination: Ipv6Addr, mut message: Vec<u8>) {
        let route = Route {
            source: source.into(),
            destination: destination.into(),
            protocol: protocol::ICMPV6,
        };
        let total = route.pseudo(message.len()) + sum(&message);
        message[2..4].copy_from_slice(&(!fold(total)).to_be_bytes());
        self.send_small(route, &message);
    }

    /// An ICMP message whose checksum is not filled in.
    pub(super) fn icmp_v4(&self, source: Ipv4Addr, destination: Ipv4Addr, mut message: Vec<u8>) {
        let checksum = !fold(sum(&message));
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        let route = Route {
            source: source.into(),
            destination: destination.into(),
            protocol: protocol::ICMP,
        };
        self.send_small(route, &message);
    }

    /// A packet that may be lost.
    fn send_small(&self, route: Route, payload: &[u8]) {
        if let Some(to) = self.find(route.destination) {
            self.packets(route, to, payload)
                .into_iter()
                .for_each(|frame| self.offer(frame));
        }
    }

    /// A datagram from `source` to `destination` on the ports given.
    pub(super) fn udp(&self, source: (IpAddr, u16), destination: (IpAddr, u16), payload: &[u8]) {
        let Some(to) = self.find(destination.0) else {
            return;
        };
        self.udp_to(to, source, destination, payload);
    }

    /// The same, where the guest's place is known.
    pub(super) fn udp_to(
        &self,
        to: MacAddress,
        source: (IpAddr, u16),
        destination: (IpAddr, u16),
        payload: &[u8],
    ) {
        let route = Route {
            source: source.0,
            destination: destination.0,
            protocol: protocol::UDP,
        };
        let Ok(length) = u16::try_from(wire::UDP + payload.len()) else {
            return;
        };
        let mut datagram = Vec::with_capacity(length.into());
        datagram.extend(source.1.to_be_bytes());
        datagram.extend(destination.1.to_be_bytes());
        datagram.extend(length.to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        let total = route.pseudo(datagram.len()) + sum(&datagram);
        let checksum = match !fold(total) {
            0 => 0xffff,
            checksum => checksum,
        };
        datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
        for frame in self.packets(route, to, &datagram) {
            self.offer(frame);
        }
    }

    /// The packets that carry a payload, in fragments if it is too long for one (RFC 791).
    fn packets(&self, route: Route, to: MacAddress, payload: &[u8]) -> Vec<Frame> {
        let from = mac_of(self.face(route.source));
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (route.source, route.destination)
        else {
            if payload.len() > MTU - wire::IPV6 {
                return Vec::new();
            }
            let mut bytes = route.headers(to, from, payload.len());
            bytes.extend(payload);
            return vec![bytes.into()];
        };
        let step = (MTU - IPV4) & !7;
        let id = (sum(payload) & 0xffff) as u16;
        let mut frames = Vec::new();
        for (index, piece) in payload.chunks(step).enumerate() {
            let more = (index + 1) * step < payload.len();
            let place = (index * step / 8) as u16 | if more { 0x2000 } else { 0 };
            let header =
                wire::ipv4_header(source, destination, route.protocol, piece.len(), id, place);
            let packet = [&header, piece].concat();
            frames.push(ethernet(to, from, ethertype::IPV4, &packet).into());
        }
        frames
    }

    /// Sends a segment of TCP as soon as there is room for it. False if nobody knows where the
    /// guest is.
    pub(super) async fn tcp(&self, source: IpAddr, destination: IpAddr, segment: Segment) -> bool {
        let Some(to) = self.find(destination) else {
            return false;
        };
        let frame = self.tcp_frame(to, source, destination, &segment);
        self.port.send(frame).await;
        true
    }

    /// Sends a segment of TCP that may be lost.
    pub(super) fn tcp_lossy(&self, source: IpAddr, destination: IpAddr, segment: &Segment) {
        if let Some(to) = self.find(destination) {
            self.offer(self.tcp_frame(to, source, destination, segment));
        }
    }

    fn tcp_frame(
        &self,
        to: MacAddress,
        source: IpAddr,
        destination: IpAddr,
        segment: &Segment,
    ) -> Frame {
        let route = Route {
            source,
            destination,
            protocol: protocol::TCP,
        };
        let length = segment.tcp.length() + segment.payload.len();
        let mut bytes = route.headers(to, mac_of(self.face(source)), length);
        let start = bytes.len() as u16;
        segment.tcp.write(&mut bytes, fold(route.pseudo(length)));
        bytes.extend(&segment.payload);
        let long = segment.payload.len() > usize::from(segment.mss);
        let kind = match source {
            IpAddr::V4(_) => SegmentKind::Tcp4,
            IpAddr::V6(_) => SegmentKind::Tcp6,
        };
        let offload = Offload {
            checksum: Some(Checksum { start, offset: 16 }),
            segments: long.then_some(Segments {
                kind,
                size: segment.mss,
                ecn: false,
            }),
        };
        Frame::with_offload(bytes, offload)
    }

    /// Which of our addresses stands for one behind the gateway.
    fn face(&self, source: IpAddr) -> IpAddr {
        match self.plan.is_ours(source) {
            true => source,
            false => self.plan.host_for(source).unwrap_or(source),
        }
    }

    /// Answers a question for one of our addresses (RFC 826).
    pub(super) fn take_arp(&self, bytes: &[u8]) {
        let Some(plan) = self.plan.v4 else { return };
        let Some(packet) = bytes.first_chunk::<28>() else {
            return;
        };
        if packet[..6] != [0, 1, 8, 0, 6, 4] {
            return;
        }
        let mac = MacAddress([
            packet[8], packet[9], packet[10], packet[11], packet[12], packet[13],
        ]);
        let address =
            |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        let (sender, target) = (address(14), address(24));
        if plan.contains(sender) {
            self.meet(sender.into(), mac);
        }
        let is_question = packet[6..8] == [0, 1];
        if is_question && self.plan.is_ours(target.into()) {
            let own = mac_of(target.into());
            let answer = arp(2, own, target, mac, sender);
            self.offer(ethernet(mac, own, ethertype::ARP, &answer).into());
        }
    }
}

fn ethernet(to: MacAddress, from: MacAddress, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ETHERNET + payload.len());
    bytes.extend(to.0);
    bytes.extend(from.0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn arp(
    operation: u8,
    from: MacAddress,
    sender: Ipv4Addr,
    to: MacAddress,
    target: Ipv4Addr,
) -> [u8; 28] {
    let mut packet = [0; 28];
    packet[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, operation]);
    packet[8..14].copy_from_slice(&from.0);
    packet[14..18].copy_from_slice(&sender.octets());
    packet[18..24].copy_from_slice(&to.0);
    packet[24..].copy_from_slice(&target.octets());
    packet
}
