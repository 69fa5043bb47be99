//! What the gateway itself offers over UDP: addresses, names, files.

use std::net::{IpAddr, Ipv4Addr};

use super::dhcp::{self, Dhcp};
use super::dhcp6::{self, Dhcp6};
use super::plan::{LINK_LOCAL, Plan, PlanV4, UserConfig, mac_of};
use super::tftp::{self, Tftp};
use super::wire::{Ip, Udp};
use crate::mac::MacAddress;

/// The servers there are.
#[derive(Default)]
pub(super) struct Services {
    dhcp: Option<Dhcp>,
    dhcp6: Option<Dhcp6>,
    tftp: Option<Tftp>,
}

/// A datagram to a guest.
pub(super) struct Answer {
    pub(super) to: MacAddress,
    pub(super) source: (IpAddr, u16),
    pub(super) destination: (IpAddr, u16),
    pub(super) bytes: Vec<u8>,
    /// A guest that got its address by this.
    pub(super) met: Option<(IpAddr, MacAddress)>,
}

impl Services {
    pub(super) fn new(plan: &Plan, config: &UserConfig) -> Self {
        Self {
            dhcp: Dhcp::new(plan, config),
            dhcp6: plan.v6.map(|v6| Dhcp6::new(v6, config)),
            tftp: config.tftp.clone().map(Tftp::new),
        }
    }

    /// Whether a datagram is for one of them, there or not.
    pub(super) fn serve(plan: &Plan, ip: &Ip<'_>, udp: &Udp<'_>) -> bool {
        let all = |plan: &PlanV4| ip.destination == IpAddr::V4(plan.broadcast());
        let to_us = plan.is_ours(ip.destination)
            || ip.destination == IpAddr::V4(Ipv4Addr::BROADCAST)
            || plan.v4.as_ref().is_some_and(all);
        match udp.destination {
            dhcp::SERVER | tftp::PORT => to_us,
            dhcp6::SERVER => ip.destination == IpAddr::V6(dhcp6::SERVERS),
            _ => false,
        }
    }

    /// What one of them says to a datagram from a guest.
    pub(super) fn answer(
        &mut self,
        plan: &Plan,
        (ip, udp): (&Ip<'_>, &Udp<'_>),
        from: MacAddress,
    ) -> Option<Answer> {
        let guest = (ip.source, udp.source);
        match udp.destination {
            dhcp::SERVER => self.lease(plan, udp.payload),
            dhcp6::SERVER => {
                let gateway = IpAddr::V6(LINK_LOCAL);
                let name = mac_of(gateway).0;
                Some(Answer {
                    to: from,
                    source: (gateway, dhcp6::SERVER),
                    destination: guest,
                    bytes: self.dhcp6.as_ref()?.answer(udp.payload, name)?,
                    met: None,
                })
            }
            _ => Some(Answer {
                to: from,
                source: (ip.destination, udp.destination),
                destination: guest,
                bytes: self.tftp.as_mut()?.answer(guest, udp.payload)?,
                met: None,
            }),
        }
    }

    fn lease(&mut self, plan: &Plan, payload: &[u8]) -> Option<Answer> {
        let reply = self.dhcp.as_mut()?.answer(payload)?;
        let met = reply.address.map(|address| (address.into(), reply.mac));
        Some(Answer {
            to: met.map_or(MacAddress::BROADCAST, |(_, mac)| mac),
            source: (plan.v4?.host.into(), dhcp::SERVER),
            destination: (Ipv4Addr::BROADCAST.into(), dhcp::CLIENT),
            bytes: reply.bytes,
            met,
        })
    }
}
