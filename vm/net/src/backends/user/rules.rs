//! The notation of forwarding rules.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::{Error, Result};

/// Over which protocol something is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// `hostfwd`: a port of the host that leads to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostRule {
    pub(super) protocol: Protocol,
    pub(super) host: SocketAddr,
    /// The guest's address, if not the first that is given out.
    pub(super) guest: Option<Ipv4Addr>,
    pub(super) port: u16,
}

impl HostRule {
    /// `[tcp|udp]:[ADDRESS]:PORT-[ADDRESS]:PORT`
    pub(super) fn parse(text: &str) -> Result<Self> {
        parse_host(text).map_err(|why| {
            Error::parameter(format!("Invalid host forwarding rule '{text}' ({why})"))
        })
    }
}

fn parse_host(text: &str) -> Result<HostRule, &'static str> {
    let (protocol, rest) = text.split_once(':').ok_or("No : separators")?;
    let protocol = self::protocol(protocol).ok_or("Bad protocol name")?;
    let (address, rest) = rest.split_once(':').ok_or("Missing : separator")?;
    let address = self::address(address).map_err(|()| "Bad host address")?;
    let (port, rest) = rest.split_once('-').ok_or("Bad host port separator")?;
    let port = port.parse().map_err(|_| "Bad host port")?;
    let (guest, guest_port) = rest.split_once(':').ok_or("Missing guest address")?;
    let guest = self::address(guest).map_err(|()| "Bad guest address")?;
    let guest_port = guest_port.parse().ok().filter(|port| *port != 0);
    Ok(HostRule {
        protocol,
        host: SocketAddr::new(IpAddr::V4(address.unwrap_or(Ipv4Addr::UNSPECIFIED)), port),
        guest: guest.filter(|guest| !guest.is_unspecified()),
        port: guest_port.ok_or("Bad guest port")?,
    })
}

/// `[tcp|udp]:[ADDRESS]:PORT`, which names a rule that is to go.
pub(super) fn parse_removal(text: &str) -> Option<(Protocol, SocketAddr)> {
    let (protocol, rest) = text.split_once(':')?;
    let (address, port) = rest.split_once(':')?;
    let address = self::address(address)
        .ok()?
        .unwrap_or(Ipv4Addr::UNSPECIFIED);
    Some((
        self::protocol(protocol)?,
        SocketAddr::new(address.into(), port.parse().ok()?),
    ))
}

fn protocol(word: &str) -> Option<Protocol> {
    match word {
        "tcp" | "" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    }
}

/// An address, or nothing where none is written.
fn address(text: &str) -> Result<Option<Ipv4Addr>, ()> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(drop),
    }
}

/// `guestfwd`: a port of the network that leads somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GuestRule {
    pub(super) server: Option<Ipv4Addr>,
    pub(super) port: u16,
    pub(super) target: GuestTarget,
}

/// Where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GuestTarget {
    /// A program, started for each connection.
    Command(String),
    /// A character device, by id.
    Chardev(String),
}

impl GuestRule {
    /// `tcp:[ADDRESS]:PORT-TARGET`, the target being `cmd:COMMAND` or `chardev:ID`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        parse_guest(text)
            .ok_or_else(|| Error::parameter(format!("Invalid guest forwarding rule '{text}'")))
    }
}

fn parse_guest(text: &str) -> Option<GuestRule> {
    let (protocol, rest) = text.split_once(':')?;
    let (server, rest) = rest.split_once(':')?;
    let (port, target) = rest.split_once('-')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    if self::protocol(protocol)? != Protocol::Tcp {
        return None;
    }
    let target = match target.split_once(':') {
        Some(("cmd", command)) => GuestTarget::Command(command.to_owned()),
        Some(("chardev", id)) => GuestTarget::Chardev(id.to_owned()),
        _ => return None,
    };
    Some(GuestRule {
        server: address(server).ok()?,
        port,
        target,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_rules() {
        let check = |text: &str, expected: &str| {
            let found = match HostRule::parse(text) {
                Ok(rule) => format!(
                    "{:?} {} {:?} {}",
                    rule.protocol, rule.host, rule.guest, rule.port
                ),
                Err(error) => error.to_string(),
            };
            let expected = match expected.strip_prefix('!') {
                Some(why) => format!("Invalid host forwarding rule '{text}' ({why})"),
                None => expected.to_owned(),
            };
            assert_eq!(found, expected);
        };
        check("tcp::2222-:22", "Tcp 0.0.0.0:2222 None 22");
        check("::0-:22", "Tcp 0.0.0.0:0 None 22");
        check(
            "udp:127.0.0.1:53-10.0.2.16:5353",
            "Udp 127.0.0.1:53 Some(10.0.2.16) 5353",
        );
        check("bla", "!No : separators");
        check("xyz::1-:2", "!Bad protocol name");
        check("tcp:1.2.3.4", "!Missing : separator");
        check("tcp:localhost:1-:2", "!Bad host address");
        check("tcp:1.2.3.4:55", "!Bad host port separator");
        check("tcp::99999-:1", "!Bad host port");
        check("tcp:1.2.3.4:55-", "!Missing guest address");
        check("tcp::0-foo:1", "!Bad guest address");
        check("tcp::0-:0", "!Bad guest port");
    }

    #[test]
    fn removals() {
        let check = |text: &str, expected: Option<&str>| {
            let found = parse_removal(text).map(|(_, address)| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("tcp::1", Some("0.0.0.0:1"));
        check("udp:127.0.0.1:9", Some("127.0.0.1:9"));
        check("foo", None);
        check("tcp:127.0.0.1:33335-", None);
        check("unix:/tmp/x", None);
    }

    #[test]
    fn guest_rules() {
        let check = |text: &str, expected: Option<GuestTarget>| {
            let found = GuestRule::parse(text).ok().map(|rule| rule.target);
            assert_eq!(found, expected, "{text}");
        };
        let command = GuestTarget::Command("cat -n".to_owned());
        check("tcp:10.0.2.100:1234-cmd:cat -n", Some(command));
        check(
            "tcp::1-chardev:c0",
            Some(GuestTarget::Chardev("c0".to_owned())),
        );
        check("tcp:10.0.2.100:0-cmd:cat", None);
        check("udp:10.0.2.100:1-cmd:cat", None);
        check("tcp:10.0.2.100:1-null", None);
        check("foo", None);
    }
}
