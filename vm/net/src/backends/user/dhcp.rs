//! Addresses for guests (RFC 2131, options of RFC 2132).

use std::net::Ipv4Addr;

use super::plan::{Plan, PlanV4, UserConfig};
use crate::mac::MacAddress;

/// The port of servers; clients are at the next.
pub(super) const SERVER: u16 = 67;
pub(super) const CLIENT: u16 = 68;
/// Addresses given out.
const MOST_LEASES: u32 = 64;
/// Seconds an address may be kept.
const LEASE: u32 = 86400;
/// The fixed part before the options.
const FIXED: usize = 236;
/// What options begin with.
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// The least a client takes (RFC 2131 §2).
const LEAST_LENGTH: usize = 300;
/// Bytes of options, so that a reply fits into one packet.
const MOST_OPTIONS: usize = 1000;

/// Options read or written.
mod option {
    pub(super) const SUBNET: u8 = 1;
    pub(super) const ROUTER: u8 = 3;
    pub(super) const DNS: u8 = 6;
    pub(super) const HOSTNAME: u8 = 12;
    pub(super) const DOMAIN: u8 = 15;
    pub(super) const REQUESTED: u8 = 50;
    pub(super) const LEASE: u8 = 51;
    pub(super) const MESSAGE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const TFTP_SERVER: u8 = 66;
    pub(super) const SEARCH: u8 = 119;
    pub(super) const END: u8 = 255;
}

/// Types of message.
mod message {
    pub(super) const DISCOVER: u8 = 1;
    pub(super) const OFFER: u8 = 2;
    pub(super) const REQUEST: u8 = 3;
    pub(super) const ACK: u8 = 5;
    pub(super) const NAK: u8 = 6;
}

/// The server.
pub(super) struct Dhcp {
    plan: PlanV4,
    restrict: bool,
    leases: Vec<(MacAddress, Ipv4Addr)>,
    /// Options that are the same for all.
    names: Vec<u8>,
    bootfile: Vec<u8>,
}

/// A reply, and the address it gives, where it gives one.
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    pub(super) mac: MacAddress,
    pub(super) address: Option<Ipv4Addr>,
}

impl Dhcp {
    pub(super) fn new(plan: &Plan, config: &UserConfig) -> Option<Self> {
        let mut names = Vec::new();
        let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
        put(&mut names, option::HOSTNAME, &text(&config.hostname));
        put(&mut names, option::DOMAIN, &text(&config.domainname));
        put(
            &mut names,
            option::TFTP_SERVER,
            &text(&config.tftp_server_name),
        );
        for piece in search_list(&config.dnssearch).chunks(255) {
            put(&mut names, option::SEARCH, piece);
        }
        names.truncate(MOST_OPTIONS);
        Some(Self {
            plan: plan.v4?,
            restrict: plan.restrict,
            leases: Vec::new(),
            names,
            bootfile: text(&config.bootfile),
        })
    }

    /// The reply to a message, if it is one that wants a reply.
    pub(super) fn answer(&mut self, bytes: &[u8]) -> Option<Reply> {
        let fixed: &[u8; FIXED] = bytes.first_chunk()?;
        if fixed[..3] != [1, 1, 6] {
            return None;
        }
        let mac = MacAddress(*fixed[28..].first_chunk()?);
        let options = bytes[FIXED..].strip_prefix(&COOKIE)?;
        let kind = *find(options, option::MESSAGE)?.first()?;
        let asked = find(options, option::REQUESTED)
            .or(Some(&fixed[12..16]))
            .and_then(|bytes| bytes.first_chunk::<4>())
            .map(|bytes| Ipv4Addr::from(*bytes))
            .filter(|address| !address.is_unspecified());
        let (kind, address) = match kind {
            message::DISCOVER => (message::OFFER, Some(self.lease(mac, asked)?)),
            message::REQUEST => {
                let own = self.lease(mac, asked);
                match own.filter(|own| asked.is_none_or(|asked| asked == *own)) {
                    Some(own) => (message::ACK, Some(own)),
                    None => (message::NAK, None),
                }
            }
            _ => return None,
        };
        Some(Reply {
            bytes: self.reply(fixed, kind, address),
            mac,
            address,
        })
    }

    /// The address of a guest: the one it has, the one it asks for, or the first free one.
    fn lease(&mut self, mac: MacAddress, asked: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        if let Some((_, address)) = self.leases.iter().find(|(owner, _)| *owner == mac) {
            return Some(*address);
        }
        let first = u32::from(self.plan.dhcp);
        let all = (0..MOST_LEASES).map(|number| Ipv4Addr::from(first.wrapping_add(number)));
        let free: Vec<_> = all.filter(|address| self.is_free(*address)).collect();
        let wanted = asked.filter(|asked| free.contains(asked));
        let address = wanted.or(free.first().copied())?;
        self.leases.push((mac, address));
        Some(address)
    }

    fn is_free(&self, address: Ipv4Addr) -> bool {
        let reserved = [self.plan.host, self.plan.dns, self.plan.broadcast()];
        self.plan.contains(address)
            && !reserved.contains(&address)
            && self.leases.iter().all(|(_, leased)| *leased != address)
    }

    fn reply(&self, request: &[u8; FIXED], kind: u8, address: Option<Ipv4Addr>) -> Vec<u8> {
        let mut bytes = vec![0; FIXED];
        bytes[..4].copy_from_slice(&[2, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&request[4..8]);
        bytes[10..12].copy_from_slice(&request[10..12]);
        bytes[28..44].copy_from_slice(&request[28..44]);
        bytes.extend(COOKIE);
        put(&mut bytes, option::MESSAGE, &[kind]);
        put(&mut bytes, option::SERVER, &self.plan.host.octets());
        if let Some(address) = address {
            bytes[16..20].copy_from_slice(&address.octets());
            bytes[20..24].copy_from_slice(&self.plan.host.octets());
            bytes[108..108 + self.bootfile.len()].copy_from_slice(&self.bootfile);
            put(&mut bytes, option::SUBNET, &self.plan.mask.octets());
            if !self.restrict {
                put(&mut bytes, option::ROUTER, &self.plan.host.octets());
                put(&mut bytes, option::DNS, &self.plan.dns.octets());
            }
            put(&mut bytes, option::LEASE, &LEASE.to_be_bytes());
            bytes.extend(&self.names);
        }
        bytes.push(option::END);
        bytes.resize(bytes.len().max(LEAST_LENGTH), 0);
        bytes
    }
}

/// Adds an option unless it is empty.
fn put(bytes: &mut Vec<u8>, option: u8, value: &[u8]) {
    if let Ok(length) = u8::try_from(value.len())
        && length > 0
    {
        bytes.extend([option, length]);
        bytes.extend(value);
    }
}

/// The value of an option.
fn find(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [option::END, ..] | [] | [_] => return None,
            [option, length, rest @ ..] => {
                let (value, rest) = rest.split_at_checked(usize::from(*length))?;
                if *option == wanted {
                    return Some(value);
                }
                options = rest;
            }
        }
    }
}

/// Names as the name system writes them (RFC 3397, without compression).
fn search_list(names: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        let labels: Vec<&str> = name.split('.').filter(|label| !label.is_empty()).collect();
        if labels.is_empty() || labels.iter().any(|label| label.len() > 63) {
            tracing::warn!("'{name}' is no domain to search");
            continue;
        }
        for label in labels {
            bytes.push(label.len() as u8);
            bytes.extend(label.bytes());
        }
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(config: &UserConfig) -> Dhcp {
        let plan = Plan::new(config).expect("a plan");
        Dhcp::new(&plan, config).expect("IPv4")
    }

    fn request(kind: u8, mac: u8, asked: Option<[u8; 4]>) -> Vec<u8> {
        let mut bytes = vec![0; FIXED];
        bytes[..8].copy_from_slice(&[1, 1, 6, 0, 9, 8, 7, 6]);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, mac]);
        bytes.extend(COOKIE);
        put(&mut bytes, option::MESSAGE, &[kind]);
        if let Some(asked) = asked {
            put(&mut bytes, option::REQUESTED, &asked);
        }
        bytes.push(option::END);
        bytes
    }

    #[test]
    fn addresses() {
        let mut dhcp = server(&UserConfig::default());
        let mut check = |kind, mac, asked, expected: (u8, Option<[u8; 4]>)| {
            let reply = dhcp.answer(&request(kind, mac, asked)).expect("a reply");
            let options = &reply.bytes[FIXED + 4..];
            let found = find(options, option::MESSAGE).expect("a type")[0];
            let address = reply.address.map(|address| address.octets());
            assert_eq!((found, address), expected, "{kind} {mac} {asked:?}");
        };
        check(
            message::DISCOVER,
            1,
            None,
            (message::OFFER, Some([10, 0, 2, 15])),
        );
        check(
            message::REQUEST,
            1,
            Some([10, 0, 2, 15]),
            (message::ACK, Some([10, 0, 2, 15])),
        );
        check(
            message::DISCOVER,
            2,
            None,
            (message::OFFER, Some([10, 0, 2, 16])),
        );
        check(
            message::REQUEST,
            2,
            Some([10, 0, 2, 15]),
            (message::NAK, None),
        );
        check(
            message::REQUEST,
            3,
            Some([192, 168, 0, 1]),
            (message::NAK, None),
        );
        check(
            message::DISCOVER,
            4,
            Some([10, 0, 2, 20]),
            (message::OFFER, Some([10, 0, 2, 20])),
        );
    }

    #[test]
    fn addresses_run_out() {
        let mut dhcp = server(&UserConfig::default());
        let offers = (0..=255).filter(|mac| {
            dhcp.answer(&request(message::DISCOVER, *mac, None))
                .is_some()
        });
        assert_eq!(offers.count(), MOST_LEASES as usize);
    }

    #[test]
    fn what_a_reply_says() {
        let mut dhcp = server(&UserConfig {
            hostname: Some("box".to_owned()),
            bootfile: Some("pxe".to_owned()),
            dnssearch: vec!["a.bc".to_owned(), "d".to_owned()],
            ..UserConfig::default()
        });
        let reply = dhcp
            .answer(&request(message::DISCOVER, 1, None))
            .expect("a reply");
        assert_eq!(reply.bytes[4..8], [9, 8, 7, 6]);
        assert_eq!(reply.bytes[108..112], *b"pxe\0");
        let check = |option, expected: &[u8]| {
            assert_eq!(
                find(&reply.bytes[FIXED + 4..], option),
                Some(expected),
                "{option}"
            );
        };
        check(option::ROUTER, &[10, 0, 2, 2]);
        check(option::DNS, &[10, 0, 2, 3]);
        check(option::SUBNET, &[255, 255, 255, 0]);
        check(option::HOSTNAME, b"box");
        check(option::SEARCH, b"\x01a\x02bc\0\x01d\0");
    }

    #[test]
    fn nonsense_gets_no_reply() {
        let mut dhcp = server(&UserConfig::default());
        let whole = request(message::DISCOVER, 1, Some([1, 2, 3, 4]));
        for cut in 0..FIXED + 7 {
            assert!(dhcp.answer(&whole[..cut]).is_none(), "{cut}");
        }
        assert!(dhcp.answer(&request(99, 1, None)).is_none());
    }
}
