//! The registry of back ends, cards and hubs.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tinamou_chardev::Chardevs;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::backends::{self, Backend, Context, Hub, User};
use crate::cable::{Cable, Port, Side};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::mac::MacAddress;
use crate::nic::{Nic, NicConfig, NicDevice, RxFilter};

/// The first of the addresses that cards get which were given none.
const FIRST_MAC: MacAddress = MacAddress([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);

/// All back ends and cards of a machine. Clones are the same network.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Handle,
    chardevs: Chardevs,
    report: Arc<dyn Fn(Event) + Send + Sync>,
    state: Mutex<State>,
}

/// What a network reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A `stream` back end has found its peer.
    StreamConnected {
        /// The back end's id.
        netdev: String,
        /// The peer.
        peer: PeerAddress,
    },
    /// A `stream` back end has lost its peer.
    StreamDisconnected {
        /// The back end's id.
        netdev: String,
    },
}

/// A series of announcements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcements {
    /// A name for it.
    pub name: Option<String>,
    /// The cards; all unless given.
    pub interfaces: Option<Vec<String>>,
    /// How many.
    pub rounds: u32,
    /// The wait before the second.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// How much longer each wait is than the one before.
    pub step: Duration,
}

impl Announcements {
    fn wait_before(&self, round: u32) -> Duration {
        let grown = self.step.saturating_mul(round.saturating_sub(1));
        self.initial.saturating_add(grown).min(self.max)
    }
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// On the Internet.
    Inet(std::net::SocketAddr),
    /// At a path of this host.
    Unix(String),
    /// Behind a descriptor of that name.
    Fd(String),
}

#[derive(Default)]
struct State {
    /// In order of creation, back ends and cards together.
    clients: Vec<Client>,
    next_key: u64,
    /// Series of announcements, by name.
    announcing: HashMap<Option<String>, AbortHandle>,
}

struct Client {
    key: u64,
    name: String,
    cable: Arc<Cable>,
    kind: Kind,
}

enum Kind {
    Netdev {
        backend: Backend,
        /// Deleted while a card is still connected: shown, but not found.
        deleted: bool,
        /// The port of a hub that is fixed to a back end has this one behind it.
        behind: Option<u64>,
    },
    Nic {
        model: String,
        mac: MacAddress,
        shown: MacAddress,
        netdev: Option<u64>,
        device: Option<Weak<dyn NicDevice>>,
    },
}

impl Client {
    fn backend(&self) -> Option<&Backend> {
        match &self.kind {
            Kind::Netdev { backend, .. } => Some(backend),
            Kind::Nic { .. } => None,
        }
    }

    fn user(&self) -> Option<&User> {
        self.backend()?.user()
    }

    fn hub(&self) -> Option<&Arc<Hub>> {
        self.backend()?.hub()
    }

    fn hub_number(&self) -> Option<i32> {
        self.hub().map(|hub| hub.number())
    }

    /// Whether it is the port of a hub that has no place for a card.
    fn is_fixed(&self) -> bool {
        matches!(
            self.kind,
            Kind::Netdev {
                behind: Some(_),
                ..
            }
        )
    }

    fn is_netdev(&self) -> bool {
        matches!(self.kind, Kind::Netdev { deleted: false, .. })
    }

    fn is_found_as(&self, name: &str) -> bool {
        self.name == name && !matches!(self.kind, Kind::Netdev { deleted: true, .. })
    }

    fn device(&self) -> Option<Arc<dyn NicDevice>> {
        match &self.kind {
            Kind::Nic { device, .. } => device.as_ref()?.upgrade(),
            Kind::Netdev { .. } => None,
        }
    }

    /// One line about it, as `info network` has it.
    fn describe(&self) -> String {
        match &self.kind {
            Kind::Netdev { backend, .. } => format!(
                "{}: index=0,type={},{}",
                self.name,
                backend.kind(),
                backend.info()
            ),
            Kind::Nic { model, shown, .. } => format!(
                "{}: index=0,type=nic,model={model},macaddr={shown}",
                self.name
            ),
        }
    }
}

impl State {
    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    fn by_key(&self, key: u64) -> Option<&Client> {
        self.clients.iter().find(|client| client.key == key)
    }

    fn netdev(&self, id: &str) -> Option<&Client> {
        let mut clients = self.clients.iter();
        clients.find(|client| client.is_netdev() && client.name == id)
    }

    /// The card at the other end of that back end's cable.
    fn nic_of(&self, netdev: u64) -> Option<&Client> {
        self.clients.iter().find(
            |client| matches!(client.kind, Kind::Nic { netdev: Some(key), .. } if key == netdev),
        )
    }

    /// `MODEL.N`, counting the cards of that model.
    fn free_name(&self, model: &str) -> String {
        let same = |client: &&Client| matches!(&client.kind, Kind::Nic { model: other, .. } if other == model);
        format!("{model}.{}", self.clients.iter().filter(same).count())
    }

    fn free_mac(&self) -> MacAddress {
        let used = |candidate: MacAddress| {
            let mut clients = self.clients.iter();
            clients.any(|client| matches!(client.kind, Kind::Nic { mac, .. } if mac == candidate))
        };
        let [a, b, c, d, e, first] = FIRST_MAC.0;
        let mut candidates = (first..=0xff).map(|last| MacAddress([a, b, c, d, e, last]));
        candidates
            .find(|candidate| !used(*candidate))
            .unwrap_or(MacAddress([a, b, c, d, e, 0xff]))
    }
}

impl Network {
    /// An empty network whose back ends run on `runtime`. `report` is called on its threads.
    pub fn new(
        runtime: Handle,
        chardevs: Chardevs,
        report: impl Fn(Event) + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                runtime,
                chardevs,
                report: Arc::new(report),
                state: Mutex::default(),
            }),
        }
    }

    /// Makes a back end, as `-netdev` and `netdev_add` do.
    ///
    /// # Errors
    /// The id is taken, or the host refuses what is asked of it.
    pub fn add(&self, id: &str, config: Config) -> Result<()> {
        let mut state = self.state();
        if state.netdev(id).is_some() {
            return Err(Error::Exists(id.to_owned()));
        }
        let cable = Arc::new(Cable::default());
        let behind = behind(&state, &config)?;
        let (behind, port) = match behind {
            Some((key, port)) => (Some(key), port),
            None => (
                None,
                cable
                    .plug(Side::Backend)
                    .expect("nobody else has a new cable"),
            ),
        };
        let context = Context {
            id: id.to_owned(),
            runtime: self.inner.runtime.clone(),
            chardevs: self.inner.chardevs.clone(),
            report: Arc::clone(&self.inner.report),
            hubs: state.clients.iter().filter_map(Client::hub).collect(),
        };
        let _guard = self.inner.runtime.enter();
        let backend = backends::open(config, port, &context)?;
        let key = state.key();
        state.clients.push(Client {
            key,
            name: id.to_owned(),
            cable,
            kind: Kind::Netdev {
                backend,
                deleted: false,
                behind,
            },
        });
        Ok(())
    }

    /// Removes a back end, as `netdev_del` does. A card that is connected to it stays, its link
    /// down for good.
    ///
    /// # Errors
    /// There is none of that id.
    pub fn remove(&self, id: &str) -> Result<()> {
        let mut state = self.state();
        let found = state.netdev(id).map(|client| client.key);
        let key = found.ok_or_else(|| Error::NotFound(id.to_owned()))?;
        let nic = state
            .nic_of(key)
            .map(|nic| (Arc::clone(&nic.cable), nic.device()));
        let Some((cable, device)) = nic else {
            state.clients.retain(|client| client.key != key);
            return Ok(());
        };
        for client in &mut state.clients {
            if let Kind::Netdev {
                backend, deleted, ..
            } = &mut client.kind
                && client.key == key
            {
                *deleted = true;
                backend.stop();
            }
        }
        drop(state);
        cable.set_link(Side::Nic, false);
        if let Some(device) = device {
            device.link_changed(false);
        }
        Ok(())
    }

    /// Whether there is a back end of that id, and whether nothing is connected to it.
    pub fn is_free(&self, id: &str) -> Option<bool> {
        let state = self.state();
        let client = state.netdev(id)?;
        Some(!client.cable.is_plugged(Side::Nic) && !client.is_fixed())
    }

    /// Makes room for a card and connects it.
    ///
    /// # Errors
    /// There is no such back end, or something else is connected to it.
    pub fn add_nic(&self, config: NicConfig) -> Result<Nic> {
        let mut state = self.state();
        let (cable, netdev) = match &config.netdev {
            None => (Arc::new(Cable::default()), None),
            Some(id) => {
                let netdev = state
                    .netdev(id)
                    .ok_or_else(|| Error::NoNetdev(id.clone()))?;
                if netdev.is_fixed() {
                    return Err(Error::InUse(id.clone()));
                }
                (Arc::clone(&netdev.cable), Some(netdev.key))
            }
        };
        let port = cable.plug(Side::Nic);
        let port = port.ok_or_else(|| Error::InUse(config.netdev.unwrap_or_default()))?;
        let name = config.id.unwrap_or_else(|| state.free_name(&config.model));
        let mac = config.mac.unwrap_or_else(|| state.free_mac());
        let key = state.key();
        state.clients.push(Client {
            key,
            name: name.clone(),
            cable,
            kind: Kind::Nic {
                model: config.model,
                mac,
                shown: mac,
                netdev,
                device: None,
            },
        });
        drop(state);
        Ok(Nic {
            network: self.clone(),
            key,
            name,
            mac,
            port,
        })
    }

    pub(crate) fn connect(&self, key: u64, answering: Weak<dyn NicDevice>) {
        self.with_nic(key, |kind| {
            if let Kind::Nic { device, .. } = kind {
                *device = Some(answering);
            }
        });
    }

    pub(crate) fn show_mac(&self, key: u64, mac: MacAddress) {
        self.with_nic(key, |kind| {
            if let Kind::Nic { shown, .. } = kind {
                *shown = mac;
            }
        });
    }

    fn with_nic(&self, key: u64, act: impl FnOnce(&mut Kind)) {
        let mut state = self.state();
        if let Some(client) = state.clients.iter_mut().find(|client| client.key == key) {
            act(&mut client.kind);
        }
    }

    pub(crate) fn remove_nic(&self, key: u64) {
        let mut state = self.state();
        let mut netdev = None;
        state.clients.retain(|client| match client.kind {
            Kind::Nic { netdev: peer, .. } if client.key == key => {
                netdev = peer;
                false
            }
            _ => true,
        });
        // A back end that was deleted before ends with its card.
        state.clients.retain(|client| {
            Some(client.key) != netdev || !matches!(client.kind, Kind::Netdev { deleted: true, .. })
        });
    }

    /// Takes a link up or down, as `set_link` does: that of a card, or that of a back end and
    /// its card.
    ///
    /// # Errors
    /// There is neither of that name.
    pub fn set_link(&self, name: &str, up: bool) -> Result<()> {
        let state = self.state();
        let mut clients = state.clients.iter();
        let client = clients.find(|client| client.is_found_as(name));
        let client = client.ok_or_else(|| Error::NotFound(name.to_owned()))?;
        let nic = match &client.kind {
            Kind::Nic { .. } => Some(client),
            Kind::Netdev { .. } => {
                client.cable.set_link(Side::Backend, up);
                state.nic_of(client.key)
            }
        };
        let Some(nic) = nic else { return Ok(()) };
        nic.cable.set_link(Side::Nic, up);
        let device = nic.device();
        drop(state);
        if let Some(device) = device {
            device.link_changed(up);
        }
        Ok(())
    }

    /// The receive filters of all cards that have one, or of the card of that name.
    ///
    /// # Errors
    /// There is no such card, or it has none.
    pub fn rx_filters(&self, name: Option<&str>) -> Result<Vec<(String, RxFilter)>> {
        let asked = self.asked(name)?;
        let mut filters = Vec::new();
        for (found, device) in asked {
            match device.and_then(|device| device.rx_filter()) {
                Some(filter) => filters.push((found, filter)),
                None if name.is_some() => return Err(Error::NoRxFilter(found)),
                None => {}
            }
        }
        Ok(filters)
    }

    #[expect(clippy::type_complexity, reason = "a name and who answers for it")]
    fn asked(&self, name: Option<&str>) -> Result<Vec<(String, Option<Arc<dyn NicDevice>>)>> {
        let state = self.state();
        let Some(name) = name else {
            let nics = state.clients.iter();
            let nics = nics.filter(|client| matches!(client.kind, Kind::Nic { .. }));
            return Ok(nics.map(|nic| (nic.name.clone(), nic.device())).collect());
        };
        let mut clients = state.clients.iter();
        let client = clients.find(|client| client.is_found_as(name));
        match client {
            Some(nic) if matches!(nic.kind, Kind::Nic { .. }) => {
                Ok(vec![(nic.name.clone(), nic.device())])
            }
            Some(_) => Err(Error::NotANic(name.to_owned())),
            None => Err(Error::NoClient(name.to_owned())),
        }
    }

    /// Lets cards tell the network where the guest is, again and again. A series of the same name
    /// that has not ended is replaced.
    pub fn announce(&self, series: Announcements) {
        let network = self.clone();
        let name = series.name.clone();
        let task = self.inner.runtime.spawn(async move {
            for round in 0..series.rounds {
                if round > 0 {
                    tokio::time::sleep(series.wait_before(round)).await;
                }
                network.announce_once(series.interfaces.as_deref());
            }
        });
        let earlier = self.state().announcing.insert(name, task.abort_handle());
        if let Some(earlier) = earlier {
            earlier.abort();
        }
    }

    /// Lets cards tell it now: all, or those of these names.
    pub fn announce_once(&self, names: Option<&[String]>) {
        let wanted = |name: &str| names.is_none_or(|names| names.iter().any(|other| other == name));
        let state = self.state();
        let mut devices = Vec::new();
        for client in state.clients.iter().filter(|client| wanted(&client.name)) {
            if let Kind::Nic { shown, .. } = client.kind {
                client.cable.send_from(Side::Nic, announcement(shown));
            }
            devices.extend(client.device());
        }
        drop(state);
        for device in devices {
            device.announce();
        }
    }

    /// What `info network` shows.
    pub fn describe(&self) -> String {
        let state = self.state();
        let mut text = String::new();
        for hub in hubs(&state) {
            text += &format!("hub {hub}\n");
            for port in ports_of(&state, hub) {
                let peer = peer_of_port(&state, port)
                    .map_or_else(String::new, |peer| format!(": {}", peer.describe()));
                text += &format!(" \\ {}{peer}\n", port.name);
            }
        }
        for client in state
            .clients
            .iter()
            .filter(|client| is_shown(&state, client))
        {
            text += &format!("{}\n", client.describe());
            if let Kind::Nic {
                netdev: Some(key), ..
            } = client.kind
                && let Some(netdev) = state.by_key(key)
            {
                text += &format!(" \\ {}\n", netdev.describe());
            }
        }
        text
    }

    /// Forwards a port of the host to the guest, as `hostfwd_add` does: with the back end of that
    /// id, or the first of that kind.
    ///
    /// # Errors
    /// There is no such back end, the rule makes no sense, or the port is taken.
    pub fn add_host_forward(&self, id: Option<&str>, rule: &str) -> Result<()> {
        let user = self.user(id)?;
        let _guard = self.inner.runtime.enter();
        user.forward(rule)
    }

    /// Ends a rule, as `hostfwd_remove` does. False if there is none like it.
    ///
    /// # Errors
    /// There is no such back end, or what should name a rule does not.
    pub fn remove_host_forward(&self, id: Option<&str>, rule: &str) -> Result<bool> {
        let removed = self.user(id)?.unforward(rule);
        removed.ok_or_else(|| Error::parameter("invalid format"))
    }

    fn user(&self, id: Option<&str>) -> Result<User> {
        let state = self.state();
        let mut clients = state.clients.iter().filter(|client| client.is_netdev());
        let user = match id {
            Some(id) => clients
                .find(|client| client.name == id)
                .and_then(Client::user),
            None => clients.find_map(Client::user),
        };
        user.cloned().ok_or_else(|| match id {
            Some(id) => Error::parameter(format!("unrecognized netdev id '{id}'")),
            None => Error::parameter("user mode network stack not in use"),
        })
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
                    if !client.is_fixed() && !client.cable.is_plugged(Side::Nic) =>
                {
                    loose.push(format!("netdev {} has no peer", client.name));
                }
                _ => {}
            }
        }
        loose
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.inner.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells switches where a station is: a question by RARP for its own address (RFC 903).
fn announcement(mac: MacAddress) -> Frame {
    let mut bytes = MacAddress::BROADCAST.0.to_vec();
    bytes.extend(mac.0);
    bytes.extend([0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]);
    bytes.extend(mac.0);
    bytes.extend([0; 4]);
    bytes.extend(mac.0);
    bytes.resize(60, 0);
    bytes.into()
}

/// The card's end of the cable that the new port of a hub takes, if that is asked for.
fn behind(state: &State, config: &Config) -> Result<Option<(u64, Port)>> {
    let Config::Hubport {
        netdev: Some(id), ..
    } = config
    else {
        return Ok(None);
    };
    let netdev = state
        .netdev(id)
        .ok_or_else(|| Error::NoNetdev(id.clone()))?;
    let in_use = || Error::InUse(id.clone());
    if netdev.is_fixed() {
        return Err(in_use());
    }
    let port = netdev.cable.plug(Side::Nic).ok_or_else(in_use)?;
    Ok(Some((netdev.key, port)))
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
                && !client.cable.is_plugged(Side::Nic)
                && state.nic_of(client.key).is_none()
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}
