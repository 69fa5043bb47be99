//! A network in words, for the human monitor and for warnings.

use super::Network;
use super::client::{Client, Kind, State};
use crate::cable::Side;

impl Network {
    /// What `info network` shows.
    pub fn describe(&self) -> String {
        let state = self.state();
        let mut text = String::new();
        for hub in hubs(&state) {
            text += &format!("hub {hub}\n");
            for port in ports_of(&state, hub) {
                let peer = peer_of_port(&state, port)
                    .map_or_else(String::new, |peer| format!(": {}", peer.describe(0)));
                text += &format!(" \\ {}{peer}\n", port.name);
            }
        }
        for client in state
            .clients
            .iter()
            .filter(|client| is_shown(&state, client))
        {
            let netdev = match client.kind {
                Kind::Nic { netdev, .. } => netdev.and_then(|key| state.by_key(key)),
                Kind::Netdev { .. } => None,
            };
            for queue in 0..client.cables.len() {
                text += &format!("{}\n", client.describe(queue));
                if let Some(netdev) = netdev {
                    text += &format!(" \\ {}\n", netdev.describe(queue));
                }
            }
        }
        text
    }

    /// What `info usernet` shows.
    pub fn describe_users(&self) -> String {
        let state = self.state();
        let mut text = String::new();
        for client in &state.clients {
            let Some(user) = client.user() else { continue };
            let behind = |port: &&Client| matches!(port.kind, Kind::Netdev { behind: Some(key), .. } if key == client.key);
            let hub = state
                .clients
                .iter()
                .find(behind)
                .and_then(Client::hub_number);
            text += &format!("Hub {} ({}):\n", hub.unwrap_or(-1), client.name);
            text += &user.describe();
        }
        text
    }

    /// What is connected to nothing, in words for a warning at start.
    pub fn loose_ends(&self) -> Vec<String> {
        let state = self.state();
        let mut loose = Vec::new();
        for hub in hubs(&state) {
            let (mut has_nic, mut has_netdev) = (false, false);
            for port in ports_of(&state, hub) {
                match peer_of_port(&state, port) {
                    None => loose.push(format!("hub port {} has no peer", port.name)),
                    Some(peer) if peer.is_netdev() => has_netdev = true,
                    Some(_) => has_nic = true,
                }
            }
            match (has_nic, has_netdev) {
                (false, true) => loose.push(format!("hub {hub} with no nics")),
                (true, false) => {
                    loose.push(format!("hub {hub} is not connected to host network"));
                }
                _ => {}
            }
        }
        for client in &state.clients {
            match &client.kind {
                Kind::Nic { netdev: None, .. } => {
                    loose.push(format!("nic {} has no peer", client.name))
                }
                Kind::Netdev { .. }
                    if !client.is_fixed() && !client.cable().is_plugged(Side::Nic) =>
                {
                    loose.push(format!("netdev {} has no peer", client.name));
                }
                _ => {}
            }
        }
        loose
    }
}

/// The hubs, the newest first.
fn hubs(state: &State) -> Vec<i32> {
    let mut hubs = Vec::new();
    for client in &state.clients {
        if let Some(number) = client.hub_number()
            && !hubs.contains(&number)
        {
            hubs.insert(0, number);
        }
    }
    hubs
}

/// The ports of a hub, the newest first.
fn ports_of(state: &State, hub: i32) -> impl Iterator<Item = &Client> {
    let is_port = move |client: &&Client| client.hub_number() == Some(hub);
    state.clients.iter().rev().filter(is_port)
}

fn peer_of_port<'a>(state: &'a State, port: &Client) -> Option<&'a Client> {
    match port.kind {
        Kind::Netdev {
            behind: Some(key), ..
        } => state.by_key(key),
        _ => state.nic_of(port.key),
    }
}

/// Whether `info network` lists it by itself rather than behind something else.
fn is_shown(state: &State, client: &Client) -> bool {
    match &client.kind {
        Kind::Nic { netdev, .. } => netdev
            .and_then(|key| state.by_key(key))
            .is_none_or(|netdev| netdev.hub_number().is_none()),
        Kind::Netdev { .. } => {
            client.hub_number().is_none()
                && !client.cable().is_plugged(Side::Nic)
                && state.nic_of(client.key).is_none()
        }
    }
}
