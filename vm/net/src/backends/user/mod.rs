//! `user`: a network of its own behind the process, which needs no rights on the host.
//!
//! Guests find a gateway with DHCP, a name server and files, and reach whatever the process can
//! reach: their TCP connections end in the process and go on as connections of its own, their
//! datagrams leave from sockets of its own.
//!
//! [`stack`] tells packets apart; [`tcb`] is one TCP connection without sockets or clocks, which
//! [`tcp`] joins to a host's stream in a task. What a guest can make the process keep is limited
//! everywhere: connections, sockets, fragments, leases.

mod dhcp;
mod dhcp6;
mod fragments;
mod guestfwd;
mod icmp;
mod link;
mod plan;
mod resolver;
mod rules;
mod services;
mod stack;
mod tcb;
mod tcp;
#[cfg(test)]
mod tests;
mod tftp;
mod udp;
mod wire;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use self::link::Link;
use self::plan::Plan;
pub use self::plan::UserConfig;
use self::rules::{GuestRule, GuestTarget, HostRule};
use self::services::Services;
use self::stack::Stack;
use super::{Backend, Context};
use crate::cable::Port;
use crate::error::{Error, Result};
use crate::frame::Accepts;

/// What is asked of a network while it works.
#[derive(Clone)]
pub(crate) struct User {
    stack: Arc<Stack>,
}

pub(super) fn open(config: &UserConfig, port: Port, context: &Context<'_>) -> Result<Backend> {
    let plan = Plan::new(config)?;
    let guest_rules = guest_rules(config, &plan, context)?;
    let mut backend = Backend::new("user", info(&plan), context);
    port.accept(Accepts::ALL);
    let link = Arc::new(Link::new(port, plan.clone()));
    let services = Services::new(&plan, config);
    let tasks = backend.tasks.clone();
    let chardevs = context.chardevs.clone();
    let stack = Stack::new(plan, link, tasks, chardevs, guest_rules, services);
    let user = User {
        stack: Arc::new(stack),
    };
    for rule in &config.hostfwd {
        user.forward(rule)?;
    }
    let stack = Arc::clone(&user.stack);
    backend.tasks.spawn(async move {
        loop {
            let frame = stack.link.port.recv().await;
            stack.take(frame);
        }
    });
    backend.user = Some(user);
    Ok(backend)
}

impl User {
    /// `hostfwd_add`. Must be called within the runtime.
    pub(crate) fn forward(&self, text: &str) -> Result<()> {
        let rule = HostRule::parse(text)?;
        self.stack.forward(&rule).map_err(|_| {
            Error::parameter(format!("Could not set up host forwarding rule '{text}'"))
        })
    }

    /// `hostfwd_remove`: whether there was such a rule, or nothing if it makes no sense.
    pub(crate) fn unforward(&self, text: &str) -> Option<bool> {
        let (protocol, host) = rules::parse_removal(text)?;
        Some(self.stack.unforward(protocol, host))
    }

    /// `info usernet`
    pub(crate) fn describe(&self) -> String {
        self.stack.describe()
    }
}

/// `net=10.0.2.0,restrict=off`
fn info(plan: &Plan) -> String {
    let network = plan.v4.map_or(Ipv4Addr::UNSPECIFIED, |plan| plan.network);
    let restrict = if plan.restrict { "on" } else { "off" };
    format!("net={network},restrict={restrict}")
}

fn guest_rules(config: &UserConfig, plan: &Plan, context: &Context<'_>) -> Result<Vec<GuestRule>> {
    let mut rules: Vec<GuestRule> = Vec::new();
    for text in &config.guestfwd {
        let mut rule = GuestRule::parse(text)?;
        let conflict = || {
            let message =
                format!("Conflicting/invalid host:port in guest forwarding rule '{text}'");
            Error::parameter(message)
        };
        let v4 = plan.v4.ok_or_else(conflict)?;
        let server = rule
            .server
            .unwrap_or(Ipv4Addr::from(u32::from(v4.network) | 4));
        let taken = rules
            .iter()
            .any(|other| other.server == Some(server) && other.port == rule.port);
        if !v4.contains(server) || plan.is_ours(IpAddr::V4(server)) || taken {
            return Err(conflict());
        }
        rule.server = Some(server);
        if let GuestTarget::Chardev(id) = &rule.target
            && context.chardevs.find(id).is_none()
        {
            let message = format!(
                "Could not open guest forwarding device 'guestfwd.tcp.{}'",
                rule.port
            );
            return Err(Error::parameter(message));
        }
        rules.push(rule);
    }
    Ok(rules)
}
