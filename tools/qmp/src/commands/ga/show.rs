//! The agent's replies, for people.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use tinamou_interface::qga::{
    GuestAgentInfo, GuestFilesystemTrimResponse, GuestIpAddress, GuestIpAddressType,
    GuestNetworkInterface, GuestUser,
};

use crate::output::size;

/// The version, and what it can do.
pub(super) fn info(info: &GuestAgentInfo) -> Vec<String> {
    let names = |enabled: bool| {
        let commands = info.supported_commands.iter();
        let wanted = commands.filter(|command| command.enabled == enabled);
        let names: Vec<&str> = wanted.map(|command| command.name.as_str()).collect();
        names.join(", ")
    };
    vec![
        format!("version: {}", info.version),
        "supported_commands:".to_owned(),
        format!("\tenabled: {}", names(true)).trim_end().to_owned(),
        format!("\tdisabled: {}", names(false))
            .trim_end()
            .to_owned(),
    ]
}

/// Interfaces, each with its addresses.
pub(super) fn interfaces(interfaces: &[GuestNetworkInterface]) -> Vec<String> {
    let mut lines = Vec::new();
    for interface in interfaces {
        lines.push(format!("{}:", interface.name));
        let addresses = interface.ip_addresses.iter().flatten();
        lines.extend(addresses.map(|address| format!("\t{}", self::address(address))));
        let hardware = interface.hardware_address.iter();
        lines.extend(hardware.map(|address| format!("\tether {address}")));
    }
    lines
}

fn address(address: &GuestIpAddress) -> String {
    let GuestIpAddress {
        ip_address, prefix, ..
    } = address;
    match address.ip_address_type {
        GuestIpAddressType::Ipv4 => {
            format!("inet {ip_address}  netmask {}", netmask(*prefix))
        }
        _ => format!("inet6 {ip_address}  prefixlen {prefix}"),
    }
}

fn netmask(prefix: i64) -> Ipv4Addr {
    let host = 32 - u32::try_from(prefix.clamp(0, 32)).unwrap_or_default();
    Ipv4Addr::from(u32::MAX.checked_shl(host).unwrap_or_default())
}

/// A table of file systems.
pub(super) fn trimmed(response: &GuestFilesystemTrimResponse) -> Vec<Vec<String>> {
    let head = vec!["MOUNTPOINT".to_owned(), "TRIMMED".to_owned()];
    let rows = response.paths.iter().map(|path| {
        let trimmed = path.trimmed.map(|bytes| size(bytes.unsigned_abs()));
        let told = path.error.clone().or(trimmed).unwrap_or("-".to_owned());
        vec![path.path.clone(), told]
    });
    [head].into_iter().chain(rows).collect()
}

/// A table of users.
pub(super) fn users(users: &[GuestUser]) -> Vec<Vec<String>> {
    let head = ["USER", "DOMAIN", "LOGIN"].map(str::to_owned).to_vec();
    let rows = users.iter().map(|user| {
        let domain = user.domain.clone().unwrap_or("-".to_owned());
        let since = time((user.login_time * 1e9) as i64);
        vec![user.user.clone(), domain, since]
    });
    [head].into_iter().chain(rows).collect()
}

/// A time, given in nanoseconds since 1970.
pub(super) fn time(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanoseconds))
        .map_or_else(|_| nanoseconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn interfaces_look_as_ifconfig_shows_them() {
        let reply = json!([
            {"name": "lo", "ip-addresses": [
                {"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8},
                {"ip-address": "::1", "ip-address-type": "ipv6", "prefix": 128},
            ]},
            {"name": "eth0", "hardware-address": "52:54:00:12:34:56"},
        ]);
        let reply: Vec<GuestNetworkInterface> = serde_json::from_value(reply).expect("it fits");
        let expected = [
            "lo:",
            "\tinet 127.0.0.1  netmask 255.0.0.0",
            "\tinet6 ::1  prefixlen 128",
            "eth0:",
            "\tether 52:54:00:12:34:56",
        ];
        assert_eq!(interfaces(&reply), expected);
    }

    #[test]
    fn netmasks_have_as_many_bits_as_the_prefix() {
        for (prefix, expected) in [
            (0, "0.0.0.0"),
            (20, "255.255.240.0"),
            (99, "255.255.255.255"),
        ] {
            assert_eq!(netmask(prefix).to_string(), expected, "{prefix}");
        }
        assert_eq!(netmask(-1).to_string(), "0.0.0.0");
    }

    #[test]
    fn times_are_of_any_size() {
        assert_eq!(time(1_500_000_000), "1970-01-01T00:00:01.5Z");
        assert_eq!(time(i64::MAX), "2262-04-11T23:47:16.854775807Z");
    }

    #[test]
    fn what_could_not_be_trimmed_is_told() {
        let reply = json!({"paths": [
            {"path": "/", "trimmed": 4096, "minimum": 0},
            {"path": "/boot", "error": "trim not supported"},
        ]});
        let reply = serde_json::from_value(reply).expect("it fits");
        let expected = [
            ["MOUNTPOINT", "TRIMMED"],
            ["/", "4 KiB"],
            ["/boot", "trim not supported"],
        ];
        assert_eq!(trimmed(&reply), expected);
    }
}
