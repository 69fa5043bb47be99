//! Addresses of the virtual network: what the user says of them, and what follows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::mac::MacAddress;

/// `user`: the words of the user, none of them checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserConfig {
    /// `hostname`: what the guest is told it is called.
    pub hostname: Option<String>,
    /// `restrict`: let nothing out that no rule lets out.
    pub restrict: bool,
    /// `ipv4`: have IPv4; unless only IPv6 is asked for.
    pub ipv4: Option<bool>,
    /// `ipv6`: have IPv6; unless only IPv4 is asked for.
    pub ipv6: Option<bool>,
    /// `net`, or the older `ip`, which has no mask: the network.
    pub net: Option<String>,
    /// `ip`
    pub ip: Option<String>,
    /// `host`: the host in it.
    pub host: Option<String>,
    /// `tftp`: the directory whose files are served.
    pub tftp: Option<PathBuf>,
    /// `bootfile`: what to boot from there.
    pub bootfile: Option<String>,
    /// `dhcpstart`: the first address given out.
    pub dhcpstart: Option<String>,
    /// `dns`: the name server in the network.
    pub dns: Option<String>,
    /// `dnssearch`: where the guest looks names up first.
    pub dnssearch: Vec<String>,
    /// `domainname`
    pub domainname: Option<String>,
    /// `ipv6-prefix`
    pub ipv6_prefix: Option<String>,
    /// `ipv6-prefixlen`
    pub ipv6_prefixlen: Option<i64>,
    /// `ipv6-host`
    pub ipv6_host: Option<String>,
    /// `ipv6-dns`
    pub ipv6_dns: Option<String>,
    /// `hostfwd`: ports of the host that lead to the guest.
    pub hostfwd: Vec<String>,
    /// `guestfwd`: ports of the network that lead to programs and character devices.
    pub guestfwd: Vec<String>,
    /// `tftp-server-name`
    pub tftp_server_name: Option<String>,
}

/// What the network is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) v4: Option<PlanV4>,
    pub(super) v6: Option<PlanV6>,
    pub(super) restrict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlanV4 {
    pub(super) network: Ipv4Addr,
    pub(super) mask: Ipv4Addr,
    pub(super) host: Ipv4Addr,
    pub(super) dns: Ipv4Addr,
    pub(super) dhcp: Ipv4Addr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlanV6 {
    pub(super) prefix: Ipv6Addr,
    pub(super) length: u8,
    pub(super) host: Ipv6Addr,
    pub(super) dns: Ipv6Addr,
}

/// The gateway's link-local address.
pub(super) const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

impl PlanV4 {
    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & u32::from(self.mask) == u32::from(self.network)
    }

    pub(super) fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) | !u32::from(self.mask))
    }
}

impl PlanV6 {
    pub(super) fn contains(&self, address: Ipv6Addr) -> bool {
        masked(address, self.length) == masked(self.prefix, self.length)
    }
}

impl Plan {
    pub(super) fn new(config: &UserConfig) -> Result<Self> {
        let (v4, v6) = families(config)?;
        check_lengths(config)?;
        Ok(Self {
            v4: v4.then(|| plan_v4(config)).transpose()?,
            v6: v6.then(|| plan_v6(config)).transpose()?,
            restrict: config.restrict,
        })
    }

    /// Whether an address is the gateway's or the name server's.
    pub(super) fn is_ours(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self
                .v4
                .is_some_and(|plan| address == plan.host || address == plan.dns),
            IpAddr::V6(address) => {
                address == LINK_LOCAL
                    || self
                        .v6
                        .is_some_and(|plan| address == plan.host || address == plan.dns)
            }
        }
    }

    pub(super) fn is_dns(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.is_some_and(|plan| address == plan.dns),
            IpAddr::V6(address) => self.v6.is_some_and(|plan| address == plan.dns),
        }
    }

    /// Whether an address is inside the virtual network.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.is_some_and(|plan| plan.contains(address)),
            IpAddr::V6(address) => {
                address.is_unicast_link_local()
                    || self.v6.is_some_and(|plan| plan.contains(address))
            }
        }
    }

    /// The host, as guests of that family see it.
    pub(super) fn host_for(&self, guest: IpAddr) -> Option<IpAddr> {
        match guest {
            IpAddr::V4(_) => self.v4.map(|plan| plan.host.into()),
            IpAddr::V6(_) => self.v6.map(|plan| plan.host.into()),
        }
    }

    pub(super) fn dns_for(&self, guest: IpAddr) -> Option<IpAddr> {
        match guest {
            IpAddr::V4(_) => self.v4.map(|plan| plan.dns.into()),
            IpAddr::V6(_) => self.v6.map(|plan| plan.dns.into()),
        }
    }
}

/// The Ethernet address that stands for one of ours: `52:55` and the IPv4 address, or `52:56` and
/// the end of the IPv6 address.
pub(super) fn mac_of(address: IpAddr) -> MacAddress {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            MacAddress([0x52, 0x55, a, b, c, d])
        }
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            MacAddress([0x52, 0x56, a, b, c, d])
        }
    }
}

fn families(config: &UserConfig) -> Result<(bool, bool)> {
    let (v4, v6) = match (config.ipv4, config.ipv6) {
        (Some(v4), Some(v6)) => (v4, v6),
        (Some(v4), None) => (v4, !v4),
        (None, Some(v6)) => (!v6, v6),
        (None, None) => (true, true),
    };
    let error = |text: &str| Err(Error::parameter(text));
    if !v4 && !v6 {
        return error("IPv4 and IPv6 disabled");
    }
    if !v4 && (config.net.is_some() || config.host.is_some() || config.dns.is_some()) {
        return error("IPv4 disabled but netmask/host/dns provided");
    }
    let said6 = [&config.ipv6_prefix, &config.ipv6_host, &config.ipv6_dns];
    if !v6 && said6.iter().any(|said| said.is_some()) {
        return error("IPv6 disabled but prefix/host6/dns6 provided");
    }
    Ok((v4, v6))
}

fn check_lengths(config: &UserConfig) -> Result<()> {
    let limits = [
        ("vhostname", &config.hostname, 255),
        ("domainname", &config.domainname, 255),
        ("bootfile", &config.bootfile, 127),
        ("tftp-server-name", &config.tftp_server_name, 255),
    ];
    for (name, text, limit) in limits {
        if text.as_ref().is_some_and(|text| text.len() > limit) {
            let message = format!("'{name}' parameter cannot exceed {limit} bytes");
            return Err(Error::parameter(message));
        }
    }
    Ok(())
}

fn plan_v4(config: &UserConfig) -> Result<PlanV4> {
    let error = |text: &str| Error::parameter(text);
    let text = match (&config.net, &config.ip) {
        (Some(net), _) => net.clone(),
        (None, Some(ip)) => format!("{ip}/24"),
        (None, None) => "10.0.2.0/24".to_owned(),
    };
    let (address, mask) = network(&text)?;
    let network = address & mask;
    let default = |number: u32| Ipv4Addr::from(network | number & !mask);
    let chosen = |text: &Option<String>, number: u32, what: &str| match text {
        None => Ok(default(number)),
        Some(text) => text.parse().map_err(|_| error(what)),
    };
    let host = chosen(&config.host, 0x0202, "Failed to parse host")?;
    let dns = chosen(&config.dns, 0x0203, "Failed to parse DNS")?;
    let dhcp = chosen(
        &config.dhcpstart,
        0x020f,
        "Failed to parse DHCP start address",
    )?;
    let plan = PlanV4 {
        network: network.into(),
        mask: mask.into(),
        host,
        dns,
        dhcp,
    };
    if !plan.contains(host) {
        return Err(error("Host doesn't belong to network"));
    }
    if dns == host {
        return Err(error("DNS must be different from host"));
    }
    if !plan.contains(dhcp) {
        return Err(error("DHCP doesn't belong to network"));
    }
    if dhcp == host || dhcp == dns {
        return Err(error("DHCP must be different from host and DNS"));
    }
    Ok(plan)
}

/// `ADDRESS[/MASK]`, the mask as a number of bits or as an address.
fn network(text: &str) -> Result<(u32, u32)> {
    let error = |text: &str| Error::parameter(text);
    let unreadable = || error("Failed to parse netmask");
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let address: Ipv4Addr = address.parse().map_err(|_| unreadable())?;
    let address = u32::from(address);
    let Some(mask) = mask else {
        return Ok((address, u32::MAX << (32 - class(address))));
    };
    if let Ok(mask) = mask.parse::<Ipv4Addr>() {
        return Ok((address, mask.into()));
    }
    let digits = mask
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(mask.len());
    let bits = mask[..digits].parse::<u32>();
    let bits = bits.map_err(|_| unreadable())?;
    if digits < mask.len() {
        return Err(error("Failed to parse netmask (trailing chars)"));
    }
    if !(4..=32).contains(&bits) {
        return Err(error("Invalid netmask provided (must be in range 4-32)"));
    }
    Ok((address, u32::MAX << (32 - bits)))
}

/// The bits of the mask of a network that is given none.
fn class(address: u32) -> u32 {
    match address.to_be_bytes() {
        [0..=127, ..] => 8,
        [172, 16..=31, ..] => 12,
        [192, 168, ..] => 16,
        [198, 18..=19, ..] => 15,
        [128..=191, ..] => 16,
        _ => 24,
    }
}

fn plan_v6(config: &UserConfig) -> Result<PlanV6> {
    let parse = |text: &Option<String>, default: Ipv6Addr, what: &str| match text {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Error::parameter(what)),
    };
    let fec0 = Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0);
    let prefix = parse(&config.ipv6_prefix, fec0, "Failed to parse IPv6 prefix")?;
    let length = config.ipv6_prefixlen.unwrap_or(64);
    if !(0..=126).contains(&length) {
        return Err(Error::parameter(
            "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 and 126)",
        ));
    }
    let default = |number: u128| Ipv6Addr::from(u128::from(prefix) | number);
    let plan = PlanV6 {
        prefix,
        length: length as u8,
        host: parse(&config.ipv6_host, default(2), "Failed to parse IPv6 host")?,
        dns: parse(&config.ipv6_dns, default(3), "Failed to parse IPv6 DNS")?,
    };
    if !plan.contains(plan.host) {
        return Err(Error::parameter("IPv6 Host doesn't belong to network"));
    }
    Ok(plan)
}

fn masked(address: Ipv6Addr, length: u8) -> u128 {
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    u128::from(address) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let check = |net: &str, expected: Result<(&str, &str), &str>| {
            let config = UserConfig {
                net: Some(net.to_owned()),
                ..UserConfig::default()
            };
            let found = Plan::new(&config).map_err(|error| error.to_string());
            let found = found.map(|plan| plan.v4.expect("IPv4"));
            let found = found.map(|plan| (plan.network.to_string(), plan.host.to_string()));
            let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
            assert_eq!(found, expected.map_err(str::to_owned), "{net}");
        };
        check("10.0.2.77/24", Ok(("10.0.2.0", "10.0.2.2")));
        check("10.0.2.0/255.255.0.0", Ok(("10.0.0.0", "10.0.2.2")));
        check("192.168.5.0/24", Ok(("192.168.5.0", "192.168.5.2")));
        check("10.9.9.9", Ok(("10.0.0.0", "10.0.2.2")));
        check("foo", Err("Failed to parse netmask"));
        check("10.0.2.0/", Err("Failed to parse netmask"));
        check(
            "10.0.2.0/24x",
            Err("Failed to parse netmask (trailing chars)"),
        );
        check(
            "10.0.2.0/33",
            Err("Invalid netmask provided (must be in range 4-32)"),
        );
        check(
            "10.0.2.0/31",
            Err("DHCP must be different from host and DNS"),
        );
    }

    #[test]
    fn refusals() {
        let check = |change: fn(&mut UserConfig), expected: &str| {
            let mut config = UserConfig::default();
            change(&mut config);
            let error = Plan::new(&config).expect_err(expected);
            assert_eq!(error.to_string(), expected);
        };
        let text = || Some("foo".to_owned());
        let _ = text;
        check(
            |c| (c.ipv4, c.ipv6) = (Some(false), Some(false)),
            "IPv4 and IPv6 disabled",
        );
        check(
            |c| (c.ipv4, c.net) = (Some(false), Some("10.0.2.0/24".into())),
            "IPv4 disabled but netmask/host/dns provided",
        );
        check(
            |c| (c.ipv6, c.ipv6_prefix) = (Some(false), Some("fec0::".into())),
            "IPv6 disabled but prefix/host6/dns6 provided",
        );
        check(|c| c.host = Some("foo".into()), "Failed to parse host");
        check(
            |c| c.host = Some("10.0.3.1".into()),
            "Host doesn't belong to network",
        );
        check(
            |c| c.dns = Some("10.0.2.2".into()),
            "DNS must be different from host",
        );
        check(
            |c| c.dhcpstart = Some("1.2.3.4".into()),
            "DHCP doesn't belong to network",
        );
        check(
            |c| c.ipv6_host = Some("fe80::1".into()),
            "IPv6 Host doesn't belong to network",
        );
        check(
            |c| c.hostname = Some("x".repeat(256)),
            "'vhostname' parameter cannot exceed 255 bytes",
        );
    }

    #[test]
    fn one_family_asked_for_rules_out_the_other() {
        let check = |ipv4, ipv6, expected| {
            let config = UserConfig {
                ipv4,
                ipv6,
                ..UserConfig::default()
            };
            let plan = Plan::new(&config).expect("a plan");
            assert_eq!(
                (plan.v4.is_some(), plan.v6.is_some()),
                expected,
                "{ipv4:?} {ipv6:?}"
            );
        };
        check(None, None, (true, true));
        check(Some(true), None, (true, false));
        check(None, Some(true), (false, true));
        check(Some(false), None, (false, true));
        check(Some(true), Some(true), (true, true));
    }
}
