//! Putting IPv4 packets together again (RFC 815, by the simplest means).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::wire::Ip;

/// Packets put together at once.
const MOST_PACKETS: usize = 16;
/// The longest payload of a packet.
const LONGEST: usize = 65535;
/// How long the rest of a packet may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Packets of which not all has come.
#[derive(Default)]
pub(super) struct Fragments {
    packets: HashMap<Key, Partial>,
}

type Key = (IpAddr, IpAddr, u8, u16);

struct Partial {
    began: Instant,
    bytes: Vec<u8>,
    /// What has come, as ranges in no order.
    have: Vec<(usize, usize)>,
    length: Option<usize>,
}

impl Fragments {
    /// Adds a fragment; the payload, once it is whole.
    pub(super) fn add(&mut self, ip: &Ip<'_>) -> Option<Vec<u8>> {
        let fragment = ip.fragment?;
        let end = fragment.offset + ip.payload.len();
        if end > LONGEST || (fragment.more && !ip.payload.len().is_multiple_of(8)) {
            return None;
        }
        self.packets
            .retain(|_, partial| partial.began.elapsed() < PATIENCE);
        let key = (ip.source, ip.destination, ip.protocol, fragment.id);
        if self.packets.len() >= MOST_PACKETS && !self.packets.contains_key(&key) {
            self.packets.clear();
        }
        let partial = self.packets.entry(key).or_insert_with(|| Partial {
            began: Instant::now(),
            bytes: Vec::new(),
            have: Vec::new(),
            length: None,
        });
        // The shortest fragments make no more pieces than this of the longest packet.
        if partial.have.len() > LONGEST / 8 {
            self.packets.remove(&key);
            return None;
        }
        partial.bytes.resize(partial.bytes.len().max(end), 0);
        partial.bytes[fragment.offset..end].copy_from_slice(ip.payload);
        partial.have.push((fragment.offset, end));
        if !fragment.more {
            partial.length = Some(end);
        }
        if !partial.is_whole() {
            return None;
        }
        let mut bytes = self.packets.remove(&key)?.bytes;
        bytes.truncate(LONGEST);
        Some(bytes)
    }
}

impl Partial {
    fn is_whole(&mut self) -> bool {
        let Some(length) = self.length else {
            return false;
        };
        self.have.sort_unstable();
        let mut reached = 0;
        for (start, end) in &self.have {
            if *start > reached {
                return false;
            }
            reached = reached.max(*end);
        }
        reached == length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::user::wire::Fragment;

    fn part(fragments: &mut Fragments, offset: usize, length: usize, more: bool) -> Option<usize> {
        let payload = vec![offset as u8; length];
        let ip = Ip {
            source: [10, 0, 2, 15].into(),
            destination: [10, 0, 2, 2].into(),
            protocol: 17,
            payload: &payload,
            fragment: Some(Fragment {
                id: 1,
                offset,
                more,
            }),
        };
        fragments.add(&ip).map(|bytes| bytes.len())
    }

    #[test]
    fn any_order_makes_the_whole() {
        let check = |parts: &[(usize, usize, bool)], expected: Option<usize>| {
            let mut fragments = Fragments::default();
            let mut found = None;
            for (offset, length, more) in parts {
                found = part(&mut fragments, *offset, *length, *more);
            }
            assert_eq!(found, expected, "{parts:?}");
        };
        check(&[(0, 16, true), (16, 5, false)], Some(21));
        check(&[(16, 5, false), (0, 16, true)], Some(21));
        check(&[(16, 5, false), (0, 8, true)], None);
        check(&[(0, 16, true), (8, 16, true), (24, 1, false)], Some(25));
        check(&[(0, 15, true), (15, 5, false)], None);
        check(&[(65528, 100, false)], None);
    }
}
