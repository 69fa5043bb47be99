//! Network back ends as the command line and `netdev_add` describe them,
//! turned into what `tinamou-net` makes; and what they report.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tinamou_api as api;
use tinamou_monitor::EventBus;
use tinamou_net::{
    Bridge, Config, Datagram, Event, LegacySocket, Passed, PeerAddress, Stream, Tap, UserConfig,
};
use tinamou_qmp::{Error, ErrorClass, Result};

use crate::backends;
use crate::fds::Fds;

/// The script that is run for interfaces where none was named, if it is there.
const DEFAULT_SCRIPT: &str = "/etc/qemu-ifup";
/// The same before they go.
const DEFAULT_DOWNSCRIPT: &str = "/etc/qemu-ifdown";

/// What opens interfaces on bridges for those who may not, where it is on most hosts.
const HELPERS: [&str; 2] = [
    "/usr/lib/qemu/qemu-bridge-helper",
    "/usr/libexec/qemu-bridge-helper",
];
/// The bridge, if none is named.
const DEFAULT_BRIDGE: &str = "br0";
/// Descriptors of one interface at most.
const MOST_QUEUES: usize = 1024;

/// The wire error for a refusal of the network.
pub fn wire(error: tinamou_net::Error) -> Error {
    match error {
        tinamou_net::Error::NotFound(name) => Error::device_not_found(&name),
        other => Error::new(ErrorClass::GenericError, other.to_string()),
    }
}

/// Sends what a back end reports to every monitor.
pub fn emit(events: &EventBus, event: Event) {
    match event {
        Event::StreamConnected { netdev, peer } => {
            events.emit(&api::NetdevStreamConnectedEvent {
                netdev_id: netdev,
                addr: peer_address(peer),
            });
        }
        Event::StreamDisconnected { netdev } => {
            events.emit(&api::NetdevStreamDisconnectedEvent { netdev_id: netdev });
        }
        _ => {}
    }
}

fn peer_address(peer: PeerAddress) -> api::SocketAddress {
    let branch = match peer {
        PeerAddress::Inet(address) => api::SocketAddressBranch::Inet(api::InetSocketAddress {
            base: api::InetSocketAddressBase {
                host: address.ip().to_string(),
                port: address.port().to_string(),
            },
            numeric: None,
            to: None,
            ipv4: address.is_ipv4().then_some(true),
            ipv6: address.is_ipv6().then_some(true),
            keep_alive: None,
            mptcp: None,
        }),
        PeerAddress::Unix(path) => api::SocketAddressBranch::Unix(api::UnixSocketAddress {
            path,
            r#abstract: None,
            tight: None,
        }),
        PeerAddress::Fd(str) => api::SocketAddressBranch::Fd(api::FdSocketAddress { str }),
    };
    api::SocketAddress { branch }
}

/// What `netdev_add` asks for.
///
/// # Errors
/// Parameters do not go together, an address leads nowhere, or the kind is
/// not one of back ends.
pub fn from_api(netdev: api::Netdev, fds: &mut Fds) -> Result<Config> {
    use api::NetdevBranch as B;
    Ok(match netdev.branch {
        B::User(user) => Config::User(Box::new(user_config(user))),
        B::Tap(tap) => Config::Tap(tap_config(&netdev.id, tap, fds)?),
        B::Bridge(bridge) => Config::Bridge(bridge_config(bridge.br, bridge.helper)),
        B::Socket(socket) => Config::Socket(legacy_socket(socket, fds)?),
        B::Stream(stream) => Config::Stream(stream_config(stream, fds)?),
        B::Dgram(dgram) => Config::Dgram(datagram(&netdev.id, dgram, fds)?),
        B::Hubport(port) => Config::Hubport {
            hub: port.hubid,
            netdev: port.netdev,
        },
        other => {
            let kind = other.kind();
            return Err(Error::generic(format!(
                "network backend '{}' is not compiled into this binary",
                kind.as_str()
            )));
        }
    })
}

fn user_config(user: api::NetdevUserOptions) -> UserConfig {
    let texts = |list: Option<Vec<api::StringType>>| {
        let list = list.unwrap_or_default();
        list.into_iter().map(|text| text.str).collect()
    };
    UserConfig {
        hostname: user.hostname,
        restrict: user.restrict.unwrap_or(false),
        ipv4: user.ipv4,
        ipv6: user.ipv6,
        net: user.net,
        ip: user.ip,
        host: user.host,
        tftp: user.tftp.map(PathBuf::from),
        bootfile: user.bootfile,
        dhcpstart: user.dhcpstart,
        dns: user.dns,
        dnssearch: texts(user.dnssearch),
        domainname: user.domainname,
        ipv6_prefix: user.ipv6_prefix,
        ipv6_prefixlen: user.ipv6_prefixlen,
        ipv6_host: user.ipv6_host,
        ipv6_dns: user.ipv6_dns,
        hostfwd: texts(user.hostfwd),
        guestfwd: texts(user.guestfwd),
        tftp_server_name: user.tftp_server_name,
    }
}

fn tap_config(id: &str, tap: api::NetdevTapOptions, fds: &mut Fds) -> Result<Tap> {
    let scripts = tap.ifname.is_some() || tap.script.is_some() || tap.downscript.is_some();
    let given = scripts || tap.vnet_hdr.is_some() || tap.queues.is_some();
    if let Some(name) = tap.fd {
        refuse_if(
            given || tap.helper.is_some() || tap.fds.is_some(),
            "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, fds=, and vhostfds= \
             are invalid with fd=",
        )?;
        return Ok(Tap::Fds(vec![passed_tap(id, &name, fds)?]));
    }
    if let Some(names) = tap.fds {
        refuse_if(
            given || tap.helper.is_some(),
            "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, and vhostfd= are \
             invalid with fds=",
        )?;
        let names = names.split(':').take(MOST_QUEUES);
        let passed = names.map(|name| passed_tap(id, name, fds));
        return Ok(Tap::Fds(passed.collect::<Result<_>>()?));
    }
    if let Some(helper) = tap.helper {
        refuse_if(
            given,
            "ifname=, script=, downscript=, vnet_hdr=, queues=, and vhostfds= are invalid with \
             helper=",
        )?;
        return Ok(Tap::Helper(bridge_config(tap.br, Some(helper))));
    }
    let queues = tap.queues.unwrap_or(1);
    refuse_if(
        queues == 0,
        "Parameter 'queues' expects a number greater than 0",
    )?;
    let script = |given: Option<String>, default: &str| match given.as_deref() {
        Some("no" | "") => None,
        Some(script) => Some(PathBuf::from(script)),
        None => Some(PathBuf::from(default)).filter(|script| Path::exists(script)),
    };
    Ok(Tap::Interface {
        name: tap.ifname,
        script: script(tap.script, DEFAULT_SCRIPT),
        downscript: script(tap.downscript, DEFAULT_DOWNSCRIPT),
        vnet_header: tap.vnet_hdr.unwrap_or(true),
        send_buffer: tap.sndbuf,
        queues,
    })
}

fn refuse_if(wrong: bool, desc: &str) -> Result<()> {
    match wrong {
        true => Err(Error::generic(desc)),
        false => Ok(()),
    }
}

fn passed_tap(id: &str, name: &str, fds: &mut Fds) -> Result<Passed> {
    let fd = backends::passed(name, fds).map_err(|error| bad_descriptor(id, name, error))?;
    Ok(Passed {
        name: name.to_owned(),
        fd,
    })
}

fn bridge_config(bridge: Option<String>, helper: Option<String>) -> Bridge {
    let is_there = |helper: &&&str| Path::exists(Path::new(helper));
    let default = HELPERS.iter().find(is_there).unwrap_or(&HELPERS[0]);
    Bridge {
        bridge: bridge.unwrap_or_else(|| DEFAULT_BRIDGE.to_owned()),
        helper: helper.unwrap_or_else(|| (*default).to_owned()),
    }
}

fn legacy_socket(socket: api::NetdevSocketOptions, fds: &mut Fds) -> Result<LegacySocket> {
    let api::NetdevSocketOptions {
        fd,
        listen,
        connect,
        mcast,
        localaddr,
        udp,
    } = socket;
    let given = [&fd, &listen, &connect, &mcast, &udp];
    if given.iter().filter(|given| given.is_some()).count() != 1 {
        return Err(Error::generic(
            "exactly one of listen=, connect=, mcast= or udp= is required",
        ));
    }
    if localaddr.is_some() && mcast.is_none() && udp.is_none() {
        return Err(Error::generic(
            "localaddr= is only valid with mcast= or udp=",
        ));
    }
    if let Some(name) = fd {
        let fd = backends::passed(&name, fds)?;
        return Ok(LegacySocket::Fd { name, fd });
    }
    if let Some(text) = listen {
        return Ok(LegacySocket::Listen(host_and_port(&text)?));
    }
    if let Some(text) = connect {
        return Ok(LegacySocket::Connect(host_and_port(&text)?));
    }
    if let Some(text) = mcast {
        let interface = localaddr.map(|text| {
            let wrong =
                |_| Error::generic(format!("localaddr '{text}' is not a valid IPv4 address"));
            text.parse().map_err(wrong)
        });
        return Ok(LegacySocket::Multicast {
            group: group(host_and_port(&text)?)?,
            interface: interface.transpose()?,
        });
    }
    let local = localaddr.ok_or_else(|| Error::generic("localaddr= is mandatory with udp="))?;
    Ok(LegacySocket::Udp {
        remote: host_and_port(&udp.unwrap_or_default())?,
        local: host_and_port(&local)?,
    })
}

fn group(address: SocketAddr) -> Result<(Ipv4Addr, u16)> {
    match address.ip() {
        IpAddr::V4(group) => Ok((group, address.port())),
        IpAddr::V6(group) => Err(Error::generic(format!(
            "can't resolve host address '{group}'"
        ))),
    }
}

/// `HOST:PORT`; no host is any.
fn host_and_port(text: &str) -> Result<SocketAddr> {
    let (host, port) = text.split_once(':').ok_or_else(|| {
        Error::generic(format!(
            "host address '{text}' doesn't contain ':' separating host from port"
        ))
    })?;
    resolve(host, port)
}

/// The first IPv4 address of a host.
fn resolve(host: &str, port: &str) -> Result<SocketAddr> {
    let unknown_port = |_| Error::generic(format!("port number '{port}' is invalid"));
    let number: u16 = port.parse().map_err(unknown_port)?;
    if host.is_empty() {
        return Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), number));
    }
    let found = (host, number).to_socket_addrs().ok();
    let found = found.and_then(|mut found| found.find(SocketAddr::is_ipv4));
    found.ok_or_else(|| Error::generic(format!("can't resolve host address '{host}'")))
}

fn stream_config(stream: api::NetdevStreamOptions, fds: &mut Fds) -> Result<Stream> {
    let server = stream.server.unwrap_or(false);
    let given = stream.reconnect.is_some() || stream.reconnect_ms.is_some();
    if server && given {
        return Err(Error::generic(
            "'reconnect' and 'reconnect-ms' options are incompatible with socket in server mode",
        ));
    }
    let milliseconds = backends::reconnect_ms(stream.reconnect, stream.reconnect_ms)?;
    let delay = u64::try_from(milliseconds).unwrap_or(0);
    Ok(Stream {
        address: backends::flat_address(stream.addr, fds)?,
        server,
        reconnect: (delay > 0).then(|| Duration::from_millis(delay)),
    })
}

fn datagram(id: &str, dgram: api::NetdevDgramOptions, fds: &mut Fds) -> Result<Datagram> {
    use api::SocketAddressBranch as B;
    let error = |text: &str| Err(Error::generic(text));
    let needs_local = || error("dgram requires local= parameter");
    let (local, remote) = (
        dgram.local.map(|a| a.branch),
        dgram.remote.map(|a| a.branch),
    );
    match (local, remote) {
        (None, Some(B::Inet(remote))) => {
            let remote = resolve(&remote.base.host, &remote.base.port)?;
            multicast(remote, None).map_or_else(needs_local, Ok)
        }
        (None, _) => needs_local(),
        (Some(B::Fd(_)), Some(_)) => error("don't set remote with local.fd"),
        (Some(B::Fd(fd)), None) => {
            let name = fd.str;
            let fd =
                backends::passed(&name, fds).map_err(|error| bad_descriptor(id, &name, error))?;
            Ok(Datagram::Fd { name, fd })
        }
        (Some(B::Vsock(_)), _) => error("only support inet or fd type for local"),
        (Some(_), None) => error("type=inet or type=unix requires remote parameter"),
        (Some(B::Inet(local)), Some(B::Inet(remote))) => {
            let remote = resolve(&remote.base.host, &remote.base.port)?;
            let local = resolve(&local.base.host, &local.base.port)?;
            Ok(multicast(remote, Some(local)).unwrap_or(Datagram::Udp { local, remote }))
        }
        (Some(B::Unix(local)), Some(B::Unix(remote))) => Ok(Datagram::Unix {
            local: local.path.into(),
            remote: remote.path.into(),
        }),
        _ => error("remote and local types must be the same"),
    }
}

fn multicast(remote: SocketAddr, local: Option<SocketAddr>) -> Option<Datagram> {
    let IpAddr::V4(group) = remote.ip() else {
        return None;
    };
    let interface = match local.map(|local| local.ip()) {
        Some(IpAddr::V4(interface)) => Some(interface),
        _ => None,
    };
    group.is_multicast().then_some(Datagram::Multicast {
        group: (group, remote.port()),
        interface,
    })
}

fn bad_descriptor(id: &str, name: &str, error: Error) -> Error {
    match name.parse::<i32>() {
        Ok(_) => Error::generic(format!(
            "{id}: Can't use file descriptor {name}: Bad file descriptor"
        )),
        Err(_) => error,
    }
}
