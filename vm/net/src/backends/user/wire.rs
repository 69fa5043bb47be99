//! The headers of Ethernet, IP, UDP and TCP: read from untrusted bytes, and written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::mac::MacAddress;
use crate::offload::{fold, sum};

/// Ethernet header: two addresses and a type.
pub(super) const ETHERNET: usize = 14;
/// IPv4 header without options.
pub(super) const IPV4: usize = 20;
/// IPv6 header.
pub(super) const IPV6: usize = 40;
/// UDP header.
pub(super) const UDP: usize = 8;
/// TCP header without options.
pub(super) const TCP: usize = 20;
/// The longest IP packet on the wire.
pub(super) const MTU: usize = 1500;

/// Types of frames.
pub(super) mod ethertype {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const IPV6: u16 = 0x86dd;
}

/// Protocols over IP.
pub(super) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ICMPV6: u8 = 58;
}

/// Bits of the flags of TCP.
pub(super) mod flags {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
}

/// A frame taken apart.
pub(super) struct Ethernet<'a> {
    pub(super) source: MacAddress,
    pub(super) kind: u16,
    pub(super) payload: &'a [u8],
}

impl<'a> Ethernet<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk::<ETHERNET>()?;
        let source = *header[6..].first_chunk()?;
        Some(Self {
            source: MacAddress(source),
            kind: u16::from_be_bytes([header[12], header[13]]),
            payload,
        })
    }
}

/// An IP packet taken apart.
#[derive(Clone, Copy)]
pub(super) struct Ip<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    pub(super) payload: &'a [u8],
    /// The rest of an IPv4 packet comes in others.
    pub(super) fragment: Option<Fragment>,
}

/// Which part of a packet this is.
#[derive(Clone, Copy)]
pub(super) struct Fragment {
    pub(super) id: u16,
    pub(super) offset: usize,
    pub(super) more: bool,
}

impl<'a> Ip<'a> {
    pub(super) fn parse_v4(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; IPV4] = bytes.first_chunk()?;
        let length = usize::from(header[0] & 0xf) * 4;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[0] >> 4 != 4 || length < IPV4 || total < length {
            return None;
        }
        let packet = bytes.get(..total)?;
        if fold(sum(&packet[..length])) != 0xffff {
            return None;
        }
        let place = u16::from_be_bytes([header[6], header[7]]);
        let fragment = (place & 0x3fff != 0).then(|| Fragment {
            id: u16::from_be_bytes([header[4], header[5]]),
            offset: usize::from(place & 0x1fff) * 8,
            more: place & 0x2000 != 0,
        });
        Some(Self {
            source: v4(&header[12..])?.into(),
            destination: v4(&header[16..])?.into(),
            protocol: header[9],
            payload: &packet[length..],
            fragment,
        })
    }

    /// Packets with extension headers are not understood.
    pub(super) fn parse_v6(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<IPV6>()?;
        if header[0] >> 4 != 6 {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        Some(Self {
            source: v6(&header[8..])?.into(),
            destination: v6(&header[24..])?.into(),
            protocol: header[6],
            payload: rest.get(..length)?,
            fragment: None,
        })
    }

    /// Whether the checksum over the payload and the pseudo-header holds.
    pub(super) fn is_sound(&self) -> bool {
        let pseudo = pseudo(
            self.source,
            self.destination,
            self.protocol,
            self.payload.len(),
        );
        fold(pseudo + sum(self.payload)) == 0xffff
    }
}

fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    bytes.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes))
}

fn v6(bytes: &[u8]) -> Option<Ipv6Addr> {
    bytes
        .first_chunk::<16>()
        .map(|bytes| Ipv6Addr::from(*bytes))
}

/// The sum of the pseudo-header before UDP, TCP and ICMPv6.
pub(super) fn pseudo(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u64 {
    let addresses = match (source, destination) {
        (IpAddr::V4(a), IpAddr::V4(b)) => sum(&a.octets()) + sum(&b.octets()),
        (IpAddr::V6(a), IpAddr::V6(b)) => sum(&a.octets()) + sum(&b.octets()),
        _ => 0,
    };
    addresses + u64::from(protocol) + length as u64
}

/// Where a payload goes.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
}

impl Route {
    /// The headers of Ethernet and IP for a payload of `length`, to be followed by it.
    pub(super) fn headers(&self, to: MacAddress, from: MacAddress, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ETHERNET + IPV6 + length);
        bytes.extend(to.0);
        bytes.extend(from.0);
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                bytes.extend(ethertype::IPV4.to_be_bytes());
                bytes.extend(ipv4_header(
                    source,
                    destination,
                    self.protocol,
                    length,
                    0,
                    0,
                ));
            }
            (source, destination) => {
                bytes.extend(ethertype::IPV6.to_be_bytes());
                bytes.extend([0x60, 0, 0, 0]);
                bytes.extend((length as u16).to_be_bytes());
                bytes.extend([self.protocol, 255]);
                bytes.extend(octets6(source));
                bytes.extend(octets6(destination));
            }
        }
        bytes
    }

    /// The sum of the pseudo-header for a payload of `length`.
    pub(super) fn pseudo(&self, length: usize) -> u64 {
        pseudo(self.source, self.destination, self.protocol, length)
    }
}

fn octets6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
    }
}

/// An IPv4 header; `place` is the field of flags and fragment offset.
pub(super) fn ipv4_header(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    length: usize,
    id: u16,
    place: u16,
) -> [u8; IPV4] {
    let mut header = [0; IPV4];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&((IPV4 + length) as u16).to_be_bytes());
    header[4..6].copy_from_slice(&id.to_be_bytes());
    header[6..8].copy_from_slice(&place.to_be_bytes());
    header[8] = 64;
    header[9] = protocol;
    header[12..16].copy_from_slice(&source.octets());
    header[16..].copy_from_slice(&destination.octets());
    let checksum = !fold(sum(&header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// A UDP datagram taken apart.
pub(super) struct Udp<'a> {
    pub(super) source: u16,
    pub(super) destination: u16,
    pub(super) payload: &'a [u8],
}

impl<'a> Udp<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header: &[u8; UDP] = bytes.first_chunk()?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let length = usize::from(word(4));
        Some(Self {
            source: word(0),
            destination: word(2),
            payload: bytes.get(UDP..length)?,
        })
    }
}

/// The header of a TCP segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tcp {
    pub(super) source: u16,
    pub(super) destination: u16,
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
    /// The longest segment its sender takes.
    pub(super) mss: Option<u16>,
    /// By how many bits its sender shifts windows.
    pub(super) scale: Option<u8>,
}

impl Tcp {
    /// The header, and its length.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let header: &[u8; TCP] = bytes.first_chunk()?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let long = |at: usize| u32::from(word(at)) << 16 | u32::from(word(at + 2));
        let length = usize::from(header[12] >> 4) * 4;
        let mut options = bytes.get(TCP..length)?;
        let mut tcp = Self {
            source: word(0),
            destination: word(2),
            sequence: long(4),
            acknowledged: long(8),
            flags: header[13],
            window: word(14),
            mss: None,
            scale: None,
        };
        while let Some((option, rest)) = next_option(options) {
            match *option {
                [2, 4, high, low] => tcp.mss = Some(u16::from_be_bytes([high, low])),
                [3, 3, scale] => tcp.scale = Some(scale.min(14)),
                _ => {}
            }
            options = rest;
        }
        Some((tcp, length))
    }

    pub(super) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// How long the header is when written.
    pub(super) fn length(&self) -> usize {
        let mss = if self.mss.is_some() { 4 } else { 0 };
        let scale = if self.scale.is_some() { 4 } else { 0 };
        TCP + mss + scale
    }

    /// Writes the header with `checksum`, which is not complete yet.
    pub(super) fn write(&self, bytes: &mut Vec<u8>, checksum: u16) {
        bytes.extend(self.source.to_be_bytes());
        bytes.extend(self.destination.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledged.to_be_bytes());
        bytes.extend([(self.length() as u8 / 4) << 4, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend(checksum.to_be_bytes());
        bytes.extend([0, 0]);
        if let Some(mss) = self.mss {
            bytes.extend([2, 4]);
            bytes.extend(mss.to_be_bytes());
        }
        if let Some(scale) = self.scale {
            bytes.extend([1, 3, 3, scale]);
        }
    }
}

/// The next option of TCP with its kind and length, passing over padding.
fn next_option(mut options: &[u8]) -> Option<(&[u8], &[u8])> {
    loop {
        match options {
            [] | [0, ..] => return None,
            [1, rest @ ..] => options = rest,
            [_, length, ..] if *length >= 2 => {
                return options.split_at_checked(usize::from(*length));
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_there_and_back() {
        let check = |tcp: Tcp| {
            let mut bytes = Vec::new();
            tcp.write(&mut bytes, 0);
            assert_eq!(Tcp::parse(&bytes), Some((tcp, tcp.length())));
            for cut in 0..bytes.len() {
                assert_eq!(Tcp::parse(&bytes[..cut]), None);
            }
        };
        let plain = Tcp {
            source: 1,
            destination: 2,
            sequence: 0xffff_fff0,
            acknowledged: 0x1234_5678,
            flags: flags::SYN,
            window: 500,
            ..Tcp::default()
        };
        check(plain);
        check(Tcp {
            mss: Some(1460),
            scale: Some(7),
            ..plain
        });
    }

    #[test]
    fn ip_there_and_back() {
        let check = |source: &str, destination: &str| {
            let route = Route {
                source: source.parse().expect("an address"),
                destination: destination.parse().expect("an address"),
                protocol: protocol::UDP,
            };
            let mac = MacAddress([1, 2, 3, 4, 5, 6]);
            let mut bytes = route.headers(MacAddress::BROADCAST, mac, 3);
            bytes.extend([7, 8, 9]);
            let frame = Ethernet::parse(&bytes).expect("whole");
            assert_eq!(frame.source, mac);
            let ip = match frame.kind {
                ethertype::IPV4 => Ip::parse_v4(frame.payload),
                _ => Ip::parse_v6(frame.payload),
            };
            let ip = ip.expect("sound");
            assert_eq!(
                (ip.source, ip.destination),
                (route.source, route.destination)
            );
            assert_eq!(ip.payload, [7, 8, 9]);
        };
        check("10.0.2.2", "10.0.2.15");
        check("fec0::2", "fec0::15");
    }
}
