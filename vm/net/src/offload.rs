//! Doing what a sender has left undone: checksums (RFC 1071), and segmentation of TCP (RFC 9293).

use crate::frame::{Accepts, Checksum, Frame, SegmentKind};

/// The Ethernet header: two addresses and a type.
const ETHERNET: usize = 14;
/// A tag of a virtual network (IEEE 802.1Q).
const VLAN_TAG: usize = 4;
/// The fixed part of the IPv6 header.
const IPV6: usize = 40;
/// The least that a segment carries, so that one packet does not become tens of thousands.
const LEAST_SEGMENT: usize = 48;
/// TCP flags that belong to the last segment only: FIN and PSH.
const LAST_ONLY: u8 = 0x09;
/// The TCP flag that belongs to the first segment only: CWR.
const FIRST_ONLY: u8 = 0x80;

/// The frames that a receiver gets for one, which may be none if it makes no sense.
pub(crate) fn finish(frame: Frame, accepts: Accepts) -> Vec<Frame> {
    if accepts.takes(frame.offload) {
        return vec![frame];
    }
    let offload = frame.offload;
    let Some(segments) = offload.segments else {
        return checksummed(frame.into_bytes(), offload.checksum)
            .into_iter()
            .collect();
    };
    split(&frame, segments.kind, usize::from(segments.size)).unwrap_or_default()
}

fn checksummed(mut bytes: Vec<u8>, checksum: Option<Checksum>) -> Option<Frame> {
    let Checksum { start, offset } = checksum?;
    let (start, offset) = (usize::from(start), usize::from(offset));
    let covered = bytes.get_mut(start..)?;
    let result = match !fold(sum(covered)) {
        // UDP takes 0 for no checksum (RFC 768); to TCP both are the same.
        0 => 0xffff,
        result => result,
    };
    covered
        .get_mut(offset..offset + 2)?
        .copy_from_slice(&result.to_be_bytes());
    Some(bytes.into())
}

/// Where the parts of a TCP packet are.
struct Layout {
    network: usize,
    transport: usize,
    payload: usize,
}

fn layout(bytes: &[u8], kind: SegmentKind) -> Option<Layout> {
    let mut network = ETHERNET;
    let mut ethertype = be16(bytes, network - 2)?;
    while matches!(ethertype, 0x8100 | 0x88a8) && network < ETHERNET + 2 * VLAN_TAG {
        network += VLAN_TAG;
        ethertype = be16(bytes, network - 2)?;
    }
    let transport = match kind {
        SegmentKind::Tcp4 if ethertype == 0x0800 => {
            let length = usize::from(bytes.get(network)? & 0xf) * 4;
            (length >= 20 && *bytes.get(network + 9)? == 6).then_some(network + length)?
        }
        SegmentKind::Tcp6 if ethertype == 0x86dd => {
            (*bytes.get(network + 6)? == 6).then_some(network + IPV6)?
        }
        _ => return None,
    };
    let header = usize::from(*bytes.get(transport + 12)? >> 4) * 4;
    let payload = transport + header;
    (header >= 20 && payload <= bytes.len()).then_some(Layout {
        network,
        transport,
        payload,
    })
}

fn split(frame: &[u8], kind: SegmentKind, size: usize) -> Option<Vec<Frame>> {
    let layout = layout(frame, kind)?;
    let (headers, payload) = frame.split_at(layout.payload);
    if size < LEAST_SEGMENT || payload.is_empty() {
        return None;
    }
    let count = payload.len().div_ceil(size);
    let mut frames = Vec::with_capacity(count);
    for (index, piece) in payload.chunks(size).enumerate() {
        let mut bytes = [headers, piece].concat();
        let ip_length = bytes.len() - layout.network;
        patch_tcp(
            &mut bytes[layout.transport..],
            index,
            index * size,
            index + 1 == count,
        );
        match kind {
            SegmentKind::Tcp4 => patch_ipv4(
                &mut bytes[layout.network..layout.transport],
                ip_length,
                index,
            ),
            SegmentKind::Tcp6 => {
                let length = (ip_length - IPV6) as u16;
                bytes[layout.network + 4..layout.network + 6]
                    .copy_from_slice(&length.to_be_bytes());
            }
        }
        let sum = tcp_checksum(&bytes, &layout, kind);
        bytes[layout.transport + 16..layout.transport + 18].copy_from_slice(&sum.to_be_bytes());
        frames.push(bytes.into());
    }
    Some(frames)
}

fn patch_tcp(segment: &mut [u8], index: usize, offset: usize, last: bool) {
    let sequence = u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
    let sequence = sequence.wrapping_add(offset as u32);
    segment[4..8].copy_from_slice(&sequence.to_be_bytes());
    if !last {
        segment[13] &= !LAST_ONLY;
    }
    if index > 0 {
        segment[13] &= !FIRST_ONLY;
    }
    segment[16..18].fill(0);
}

fn patch_ipv4(header: &mut [u8], length: usize, index: usize) {
    header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    let id = u16::from_be_bytes([header[4], header[5]]).wrapping_add(index as u16);
    header[4..6].copy_from_slice(&id.to_be_bytes());
    header[10..12].fill(0);
    let checksum = !fold(sum(header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// With the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1).
fn tcp_checksum(bytes: &[u8], layout: &Layout, kind: SegmentKind) -> u16 {
    let network = &bytes[layout.network..];
    let addresses = match kind {
        SegmentKind::Tcp4 => &network[12..20],
        SegmentKind::Tcp6 => &network[8..40],
    };
    let segment = &bytes[layout.transport..];
    let pseudo = sum(addresses) + 6 + segment.len() as u64;
    !fold(pseudo + sum(segment))
}

/// The sum of the 16-bit words, not yet folded.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    let mut total: u64 = 0;
    for word in &mut words {
        // Four bytes at once: the carries meet again when folding.
        total += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    }
    match *words.remainder() {
        [a] => total + (u64::from(a) << 8),
        [a, b] => total + u64::from(u16::from_be_bytes([a, b])),
        [a, b, c] => total + u64::from(u16::from_be_bytes([a, b])) + (u64::from(c) << 8),
        _ => total,
    }
}

/// Adds the carries until none is left.
pub(crate) fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Offload, Segments};

    /// A TCP packet over IPv4 with `payload`, its checksums not filled in.
    fn tcp4(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 12];
        bytes.extend([8, 0]);
        let length = (40 + payload.len()) as u16;
        bytes.extend([
            0x45,
            0,
            (length >> 8) as u8,
            length as u8,
            0,
            7,
            0x40,
            0,
            64,
            6,
            0,
            0,
        ]);
        bytes.extend([10, 0, 2, 15, 10, 0, 2, 2]);
        bytes.extend([
            0x12, 0x34, 0, 80, 0, 0, 0, 100, 0, 0, 0, 1, 0x50, 0x99, 1, 0, 0, 0, 0, 0,
        ]);
        bytes.extend(payload);
        bytes
    }

    fn is_sound(bytes: &[u8]) -> bool {
        let ip = &bytes[14..34];
        let tcp = &bytes[34..];
        let pseudo = sum(&bytes[26..34]) + 6 + tcp.len() as u64;
        fold(sum(ip)) == 0xffff && fold(pseudo + sum(tcp)) == 0xffff
    }

    #[test]
    fn long_packets_are_split() {
        let payload: Vec<u8> = (0..2500u32).map(|i| i as u8).collect();
        let offload = Offload {
            checksum: None,
            segments: Some(Segments {
                kind: SegmentKind::Tcp4,
                size: 1000,
                ecn: false,
            }),
        };
        let frame = Frame::with_offload(tcp4(&payload), offload);
        let whole = finish(frame.clone(), Accepts::ALL);
        assert_eq!(whole, std::slice::from_ref(&frame));
        let frames = finish(frame, Accepts::default());
        let sequence =
            |frame: &Frame| u32::from_be_bytes([frame[38], frame[39], frame[40], frame[41]]);
        assert_eq!(
            frames.iter().map(sequence).collect::<Vec<_>>(),
            [100, 1100, 2100]
        );
        let flags: Vec<u8> = frames.iter().map(|frame| frame[47]).collect();
        assert_eq!(flags, [0x90, 0x10, 0x19]);
        let ids: Vec<u8> = frames.iter().map(|frame| frame[19]).collect();
        assert_eq!(ids, [7, 8, 9]);
        assert!(frames.iter().all(|frame| is_sound(frame)));
        let joined: Vec<u8> = frames
            .iter()
            .flat_map(|frame| frame[54..].to_vec())
            .collect();
        assert_eq!(joined, payload);
    }

    #[test]
    fn checksums_are_filled_in() {
        let mut bytes = tcp4(b"odd");
        patch_ipv4(&mut bytes[14..34], 43, 0);
        let pseudo = fold(sum(&bytes[26..34]) + 6 + 23);
        bytes[50..52].copy_from_slice(&pseudo.to_be_bytes());
        let offload = Offload {
            checksum: Some(Checksum {
                start: 34,
                offset: 16,
            }),
            segments: None,
        };
        let frames = finish(Frame::with_offload(bytes, offload), Accepts::default());
        assert!(is_sound(&frames[0]));
    }

    #[test]
    fn nonsense_is_lost() {
        let check = |bytes: Vec<u8>, offload: Offload| {
            let frame = Frame::with_offload(bytes, offload);
            assert_eq!(finish(frame, Accepts::default()), []);
        };
        for start in [0, 13, 14, 60000] {
            let checksum = Some(Checksum { start, offset: 16 });
            check(
                vec![0; 14],
                Offload {
                    checksum,
                    segments: None,
                },
            );
        }
        for length in 0..54 {
            for kind in [SegmentKind::Tcp4, SegmentKind::Tcp6] {
                let size = length as u16 % 3;
                let segments = Some(Segments {
                    kind,
                    size,
                    ecn: false,
                });
                check(
                    tcp4(b"")[..length].to_vec(),
                    Offload {
                        checksum: None,
                        segments,
                    },
                );
            }
        }
    }
}
