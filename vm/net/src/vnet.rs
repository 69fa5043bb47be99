//! The header before each packet of virtio (virtio 1.2 §5.1.6), and what it means for a frame.
//! The host's interfaces have it too.

use crate::frame::{Checksum, Frame, Offload, SegmentKind, Segments};

/// The checksum is to be filled in.
pub const NEEDS_CSUM: u8 = 1;
/// The header without the number of buffers.
pub const SHORT: usize = 10;
/// The header with it.
pub const LONG: usize = 12;
/// No segmentation.
pub const GSO_NONE: u8 = 0;
/// TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// Explicit congestion notification, in addition.
pub const GSO_ECN: u8 = 0x80;

/// What the sender says of a packet it hands over. `None` if that cannot be.
pub fn decode(head: &[u8; SHORT], packet: Vec<u8>) -> Option<Frame> {
    let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let checksum = (head[0] & NEEDS_CSUM != 0).then(|| Checksum {
        start: word(6),
        offset: word(8),
    });
    if let Some(Checksum { start, offset }) = checksum
        && usize::from(start) + usize::from(offset) + 2 > packet.len()
    {
        return None;
    }
    let kind = match head[1] & !GSO_ECN {
        GSO_NONE => None,
        GSO_TCPV4 => Some(SegmentKind::Tcp4),
        GSO_TCPV6 => Some(SegmentKind::Tcp6),
        _ => return None,
    };
    let segments = kind.map(|kind| Segments {
        kind,
        size: word(4),
        ecn: head[1] & GSO_ECN != 0,
    });
    Some(Frame::with_offload(packet, Offload { checksum, segments }))
}

/// What the receiver is told of a packet in `buffers` buffers.
pub fn encode(frame: &Frame, buffers: u16) -> [u8; LONG] {
    let mut head = [0; LONG];
    if let Some(Checksum { start, offset }) = frame.offload.checksum {
        head[0] = NEEDS_CSUM;
        head[6..8].copy_from_slice(&start.to_le_bytes());
        head[8..10].copy_from_slice(&offset.to_le_bytes());
        if let Some(segments) = frame.offload.segments {
            head[1] = match segments.kind {
                SegmentKind::Tcp4 => GSO_TCPV4,
                SegmentKind::Tcp6 => GSO_TCPV6,
            };
            if segments.ecn {
                head[1] |= GSO_ECN;
            }
            head[2..4].copy_from_slice(&headers_length(frame, start, offset).to_le_bytes());
            head[4..6].copy_from_slice(&segments.size.to_le_bytes());
        }
    }
    head[10..].copy_from_slice(&buffers.to_le_bytes());
    head
}

/// Up to the end of the TCP header, whose checksum is at `start + offset`.
fn headers_length(frame: &[u8], start: u16, offset: u16) -> u16 {
    let data_offset = usize::from(start) + usize::from(offset).saturating_sub(4);
    let words = frame
        .get(data_offset)
        .map_or(5, |byte| u16::from(byte >> 4));
    start.saturating_add(words * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let check = |head: [u8; 10]| {
            let mut packet = vec![0; 100];
            packet[46] = 0x50;
            let frame = decode(&head, packet).expect("it can be");
            assert_eq!(encode(&frame, 1)[..10], head);
        };
        check([0; 10]);
        check([1, 0, 0, 0, 0, 0, 34, 0, 16, 0]);
        check([1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0]);
        check([1, 0x84, 54, 0, 0xb4, 5, 34, 0, 16, 0]);
    }

    #[test]
    fn nonsense() {
        let check = |head: [u8; 10]| assert_eq!(decode(&head, vec![0; 100]), None, "{head:?}");
        check([1, 0, 0, 0, 0, 0, 99, 0, 0, 0]);
        check([1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        check([0, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
        check([0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
