//! The registry of back ends, cards and hubs.

mod announce;
mod client;
mod describe;
mod event;
mod filters;
mod forward;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tinamou_chardev::Chardevs;
use tokio::runtime::Handle;

use crate::backends::{self, Context};
use crate::cable::{Cable, Port, Side};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::mac::MacAddress;
use crate::nic::{Nic, NicConfig, NicDevice, RxFilter};

pub use announce::Announcements;
use client::{Client, Kind, State};
pub use event::{Event, PeerAddress};

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
        let cables: Vec<_> = (0..config.queues()).map(|_| Arc::default()).collect();
        let mut ports = cables.iter().map(|cable| plug_new(cable, Side::Backend));
        let (behind, port) = match (behind(&state, &config)?, ports.next()) {
            (Some((key, port)), _) => (Some(key), port),
            (None, Some(port)) => (None, port),
            (None, None) => return Err(Error::parameter("a back end without queues")),
        };
        let context = Context {
            id: id.to_owned(),
            runtime: self.inner.runtime.clone(),
            chardevs: self.inner.chardevs.clone(),
            report: Arc::clone(&self.inner.report),
            hubs: state.clients.iter().filter_map(Client::hub).collect(),
        };
        let _guard = self.inner.runtime.enter();
        let backend = backends::open(config, port, ports.collect(), &context)?;
        let key = state.key();
        state.clients.push(Client {
            key,
            name: id.to_owned(),
            cables,
            filters: Vec::new(),
            kind: Kind::Netdev {
                backend,
                deleted: false,
                behind,
            },
        });
        Ok(())
    }

    /// Removes a back end, as `netdev_del` does, and gives the ids of its filters, which go with
    /// it. A card that is connected to it stays, its link down for good.
    ///
    /// # Errors
    /// There is none of that id.
    pub fn remove(&self, id: &str) -> Result<Vec<String>> {
        let mut state = self.state();
        let netdev = state.netdev_mut(id);
        let netdev = netdev.ok_or_else(|| Error::NotFound(id.to_owned()))?;
        let (key, filters) = (netdev.key, netdev.take_filters());
        let nic = state
            .nic_of(key)
            .map(|nic| (nic.cables.clone(), nic.device()));
        let Some((cables, device)) = nic else {
            state.clients.retain(|client| client.key != key);
            return Ok(filters);
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
        for cable in cables {
            cable.set_link(Side::Nic, false);
        }
        if let Some(device) = device {
            device.link_changed(false);
        }
        Ok(filters)
    }

    /// Whether there is a back end of that id, and whether nothing is connected to it.
    pub fn is_free(&self, id: &str) -> Option<bool> {
        let state = self.state();
        let client = state.netdev(id)?;
        Some(!client.cable().is_plugged(Side::Nic) && !client.is_fixed())
    }

    /// How many queues the back end of that id has.
    pub fn queues(&self, id: &str) -> Option<usize> {
        Some(self.state().netdev(id)?.cables.len())
    }

    /// Makes room for a card and connects it.
    ///
    /// # Errors
    /// There is no such back end, or something else is connected to it.
    pub fn add_nic(&self, config: NicConfig) -> Result<Nic> {
        let mut state = self.state();
        let (cables, netdev) = match &config.netdev {
            None => (vec![Arc::default()], None),
            Some(id) => {
                let netdev = state
                    .netdev(id)
                    .ok_or_else(|| Error::NoNetdev(id.clone()))?;
                if netdev.is_fixed() || netdev.cable().is_plugged(Side::Nic) {
                    return Err(Error::InUse(id.clone()));
                }
                (netdev.cables.clone(), Some(netdev.key))
            }
        };
        let ports = cables.iter().map(|cable| plug_new(cable, Side::Nic));
        let ports = ports.collect();
        let name = config.id.unwrap_or_else(|| state.free_name(&config.model));
        let mac = config.mac.unwrap_or_else(|| state.free_mac());
        let key = state.key();
        state.clients.push(Client {
            key,
            name: name.clone(),
            cables,
            filters: Vec::new(),
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
            ports,
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

    /// The card uses that many of the queues it has.
    pub(crate) fn use_queues(&self, key: u64, count: usize) {
        let state = self.state();
        let netdev = state.by_key(key).and_then(|nic| match nic.kind {
            Kind::Nic { netdev, .. } => state.by_key(netdev?),
            Kind::Netdev { .. } => None,
        });
        if let Some(backend) = netdev.and_then(Client::backend) {
            backend.use_queues(count);
        }
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
                client.set_link(Side::Backend, up);
                state.nic_of(client.key)
            }
        };
        let Some(nic) = nic else { return Ok(()) };
        nic.set_link(Side::Nic, up);
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

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.inner.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A port on a side of a cable that nobody has.
fn plug_new(cable: &Arc<Cable>, side: Side) -> Port {
    cable.plug(side).expect("that side is free")
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
    let port = netdev.cable().plug(Side::Nic).ok_or_else(in_use)?;
    Ok(Some((netdev.key, port)))
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}
