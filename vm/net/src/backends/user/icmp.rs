//! ICMP: echoes of the gateway and of hosts outside, and what IPv6 needs to find its router
//! (RFC 792, RFC 4443, RFC 4861).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use tokio::net::UdpSocket;

use super::link::Link;
use super::plan::{LINK_LOCAL, Plan, mac_of};
use super::wire::{self, Ip};
use crate::mac::MacAddress;

/// Types of ICMP message.
const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO: u8 = 8;
/// Types of ICMPv6 message.
const ECHO_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// How long an echo may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a router is believed in, in seconds.
const ROUTER_LIFETIME: u16 = 1800;
/// All stations of the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An echo for a host outside.
pub(super) struct Ping {
    guest: Ipv4Addr,
    target: Ipv4Addr,
    message: Vec<u8>,
    /// What is quoted when it cannot be sent.
    packet: Vec<u8>,
}

/// Answers an ICMP message, or says what is to be asked of the host.
pub(super) fn take_v4(link: &Link, plan: &Plan, ip: &Ip<'_>) -> Option<Ping> {
    let (IpAddr::V4(guest), IpAddr::V4(target)) = (ip.source, ip.destination) else {
        return None;
    };
    let sound = crate::offload::fold(crate::offload::sum(ip.payload)) == 0xffff;
    if ip.payload.len() < 8 || ip.payload[0] != ECHO || !sound {
        return None;
    }
    if plan.is_ours(ip.destination) {
        link.icmp_v4(target, guest, with_type(ip.payload, ECHO_REPLY));
        return None;
    }
    if plan.restrict
        || plan.contains(ip.destination)
        || target.is_multicast()
        || target.is_broadcast()
    {
        return None;
    }
    let header = wire::ipv4_header(guest, target, ip.protocol, ip.payload.len(), 0, 0);
    Some(Ping {
        guest,
        target,
        message: ip.payload.to_vec(),
        packet: [&header, &ip.payload[..8]].concat(),
    })
}

impl Ping {
    /// Asks the host and answers the guest.
    pub(super) async fn run(self, link: Arc<Link>, plan: Plan) {
        match tokio::time::timeout(PATIENCE, self.ask()).await {
            Ok(Ok(mut answer)) => {
                // The host has used an identifier of its own.
                answer[4..8].copy_from_slice(&self.message[4..8]);
                link.icmp_v4(self.target, self.guest, with_type(&answer, ECHO_REPLY));
            }
            Ok(Err(_)) => {
                let Some(plan) = plan.v4 else { return };
                let mut message = vec![UNREACHABLE, 0, 0, 0, 0, 0, 0, 0];
                message.extend(&self.packet);
                link.icmp_v4(plan.host, self.guest, message);
            }
            Err(_) => {}
        }
    }

    async fn ask(&self) -> io::Result<Vec<u8>> {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(ipproto::ICMP),
        )?;
        let socket = UdpSocket::from_std(socket.into())?;
        socket
            .connect(SocketAddr::new(self.target.into(), 0))
            .await?;
        socket.send(&self.message).await?;
        let mut answer = vec![0; 65535];
        let length = socket.recv(&mut answer).await?;
        answer.truncate(length);
        match length >= 8 && answer[0] == ECHO_REPLY {
            true => Ok(answer),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The message as one of another type, its checksum yet to come.
fn with_type(message: &[u8], kind: u8) -> Vec<u8> {
    let mut message = message.to_vec();
    message[0] = kind;
    message[2..4].fill(0);
    message
}

/// Answers an ICMPv6 message.
pub(super) fn take_v6(link: &Link, plan: &Plan, ip: &Ip<'_>, from: MacAddress) {
    let (IpAddr::V6(guest), IpAddr::V6(target)) = (ip.source, ip.destination) else {
        return;
    };
    if ip.payload.len() < 8 || !ip.is_sound() {
        return;
    }
    match ip.payload[0] {
        ECHO_V6 if plan.is_ours(ip.destination) => {
            link.icmp_v6(target, guest, with_type(ip.payload, ECHO_REPLY_V6));
        }
        ROUTER_SOLICITATION => advertise_router(link, plan),
        NEIGHBOUR_SOLICITATION => {
            link.meet(guest.into(), from);
            advertise_neighbour(link, plan, ip.payload, guest);
        }
        NEIGHBOUR_ADVERTISEMENT => {
            let address = ip
                .payload
                .get(8..)
                .and_then(|bytes| bytes.first_chunk::<16>());
            if let Some(address) = address.map(|bytes| Ipv6Addr::from(*bytes))
                && plan.contains(address.into())
                && !plan.is_ours(address.into())
            {
                link.meet(address.into(), from);
            }
        }
        _ => {}
    }
}

fn advertise_neighbour(link: &Link, plan: &Plan, message: &[u8], guest: Ipv6Addr) {
    let Some(target) = message.get(8..).and_then(|bytes| bytes.first_chunk::<16>()) else {
        return;
    };
    let target = Ipv6Addr::from(*target);
    if !plan.is_ours(target.into()) {
        return;
    }
    // Router, solicited, override.
    let mut answer = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, 0xe0, 0, 0, 0];
    answer.extend(target.octets());
    answer.extend([2, 1]);
    answer.extend(mac_of(target.into()).0);
    let to = if guest.is_unspecified() {
        ALL_NODES
    } else {
        guest
    };
    link.icmp_v6(target, to, answer);
}

fn advertise_router(link: &Link, plan: &Plan) {
    let Some(plan) = plan.v6 else { return };
    let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0];
    message.extend(ROUTER_LIFETIME.to_be_bytes());
    message.extend([0; 8]);
    // The router's address on the link.
    message.extend([1, 1]);
    message.extend(mac_of(LINK_LOCAL.into()).0);
    // The prefix: on the link, and for addresses that stations choose.
    message.extend([3, 4, plan.length, 0xc0]);
    message.extend(86400u32.to_be_bytes());
    message.extend(14400u32.to_be_bytes());
    message.extend([0; 4]);
    message.extend(plan.prefix.octets());
    // The name server (RFC 8106).
    message.extend([25, 3, 0, 0]);
    message.extend(u32::from(ROUTER_LIFETIME).to_be_bytes());
    message.extend(plan.dns.octets());
    link.icmp_v6(LINK_LOCAL, ALL_NODES, message);
}
