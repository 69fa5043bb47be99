//! What guests ask of IPv6 beyond their address (DHCPv6 without state, RFC
//! 8415 §18.2.6): the name server, and where to start from (RFC 5970).

use std::net::Ipv6Addr;

use super::plan::{PlanV6, UserConfig};

/// The port of servers.
pub(super) const SERVER: u16 = 547;
/// Where guests look for one.
pub(super) const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Types of message.
mod message {
    pub(super) const REPLY: u8 = 7;
    pub(super) const INFORMATION_REQUEST: u8 = 11;
}

/// Options read or written.
mod option {
    pub(super) const CLIENT: u16 = 1;
    pub(super) const SERVER: u16 = 2;
    pub(super) const REQUESTED: u16 = 6;
    pub(super) const NAME_SERVERS: u16 = 23;
    pub(super) const BOOT_FILE: u16 = 59;
}

/// The longest name that a client can have (RFC 8415 §11.1).
const LONGEST_NAME: usize = 130;

/// The server.
pub(super) struct Dhcp6 {
    plan: PlanV6,
    bootfile: Option<String>,
}

impl Dhcp6 {
    pub(super) fn new(plan: PlanV6, config: &UserConfig) -> Self {
        let bootfile = config.bootfile.as_ref();
        Self {
            plan,
            bootfile: bootfile.map(|file| format!("tftp://[{}]/{file}", plan.host)),
        }
    }

    /// The reply to a message, if it is one that wants a reply. `name` is the
    /// server's link-layer address.
    pub(super) fn answer(&self, bytes: &[u8], name: [u8; 6]) -> Option<Vec<u8>> {
        let ([message::INFORMATION_REQUEST, transaction @ ..], options) =
            bytes.split_first_chunk::<4>()?
        else {
            return None;
        };
        let name = [&[0, 3, 0, 1], &name[..]].concat();
        if find(options, option::SERVER).is_some_and(|asked| asked != name) {
            return None;
        }
        let mut reply = [&[message::REPLY], &transaction[..]].concat();
        if let Some(client) = find(options, option::CLIENT) {
            put(
                &mut reply,
                option::CLIENT,
                client.get(..LONGEST_NAME).unwrap_or(client),
            );
        }
        put(&mut reply, option::SERVER, &name);
        let requested = find(options, option::REQUESTED).unwrap_or_default();
        let wants = |option: u16| requested.chunks(2).any(|code| code == option.to_be_bytes());
        if wants(option::NAME_SERVERS) {
            put(&mut reply, option::NAME_SERVERS, &self.plan.dns.octets());
        }
        if let Some(file) = self.bootfile.as_ref().filter(|_| wants(option::BOOT_FILE)) {
            put(&mut reply, option::BOOT_FILE, file.as_bytes());
        }
        Some(reply)
    }
}

fn put(bytes: &mut Vec<u8>, option: u16, value: &[u8]) {
    if let Ok(length) = u16::try_from(value.len()) {
        bytes.extend(option.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(value);
    }
}

/// The value of an option.
fn find(mut options: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (head, rest) = options.split_first_chunk::<4>()?;
        let length = u16::from_be_bytes([head[2], head[3]]);
        let (value, rest) = rest.split_at_checked(length.into())?;
        if head[..2] == wanted.to_be_bytes() {
            return Some(value);
        }
        options = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Plan;
    use super::*;

    const NAME: [u8; 6] = [0x52, 0x56, 0, 0, 0, 2];

    fn server() -> Dhcp6 {
        let config = UserConfig {
            bootfile: Some("pxe".to_owned()),
            ..UserConfig::default()
        };
        let plan = Plan::new(&config).expect("a plan");
        Dhcp6::new(plan.v6.expect("IPv6"), &config)
    }

    fn request(kind: u8, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![kind, 1, 2, 3];
        for (option, value) in options {
            put(&mut bytes, *option, value);
        }
        bytes
    }

    #[test]
    fn what_is_asked_is_told() {
        let wants: &[u8] = &[0, 23, 0, 59];
        let asked = request(11, &[(1, b"me"), (option::REQUESTED, wants)]);
        let reply = server().answer(&asked, NAME).expect("a reply");
        assert_eq!(reply[..4], [7, 1, 2, 3]);
        let check = |option, expected: &[u8]| {
            assert_eq!(find(&reply[4..], option), Some(expected), "{option}");
        };
        check(option::CLIENT, b"me");
        check(option::SERVER, &[0, 3, 0, 1, 0x52, 0x56, 0, 0, 0, 2]);
        check(
            option::NAME_SERVERS,
            &Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 3).octets(),
        );
        check(option::BOOT_FILE, b"tftp://[fec0::2]/pxe");
    }

    #[test]
    fn what_is_not_asked_is_not_told() {
        let reply = server().answer(&request(11, &[]), NAME).expect("a reply");
        assert_eq!(find(&reply[4..], option::CLIENT), None);
        assert_eq!(find(&reply[4..], option::NAME_SERVERS), None);
        assert_eq!(find(&reply[4..], option::BOOT_FILE), None);
    }

    #[test]
    fn others_get_no_reply() {
        for asked in [
            request(1, &[]),
            request(11, &[(option::SERVER, b"another")]),
            vec![11, 1, 2],
            Vec::new(),
        ] {
            assert_eq!(server().answer(&asked, NAME), None, "{asked:?}");
        }
    }
}
