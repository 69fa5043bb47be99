//! The host's name server, which answers for the virtual one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port of name servers.
pub(super) const PORT: u16 = 53;

/// Where the host keeps its configuration.
const CONFIGURATION: &str = "/etc/resolv.conf";

/// The first name server of the host. It is looked up each time: hosts move between networks.
pub(super) fn first(v4: bool) -> SocketAddr {
    let text = std::fs::read_to_string(CONFIGURATION).unwrap_or_default();
    SocketAddr::new(parse(&text, v4), PORT)
}

/// The first name server of the family, or the host itself.
fn parse(text: &str, v4: bool) -> IpAddr {
    let loopback: IpAddr = match v4 {
        true => Ipv4Addr::LOCALHOST.into(),
        false => Ipv6Addr::LOCALHOST.into(),
    };
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next())?
    });
    let mut servers = servers.filter_map(|server| server.parse::<IpAddr>().ok());
    servers
        .find(|server| server.is_ipv4() == v4)
        .unwrap_or(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let check = |text, v4, expected: &str| {
            assert_eq!(parse(text, v4).to_string(), expected, "{text}");
        };
        check("", true, "127.0.0.1");
        check(
            "# nameserver 1.1.1.1\nnameserver 9.9.9.9\nnameserver 8.8.8.8",
            true,
            "9.9.9.9",
        );
        check("nameserver ::1\nnameserver  8.8.8.8 ", true, "8.8.8.8");
        check("nameserver 8.8.8.8\nnameserver fd00::1", false, "fd00::1");
        check("nameserver\nsearch x", false, "::1");
    }
}
