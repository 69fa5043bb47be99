//! Who takes part in a network: back ends and cards.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::task::AbortHandle;

use crate::backends::{Backend, Hub, User};
use crate::cable::{Cable, Side};
use crate::filter::Dump;
use crate::mac::MacAddress;
use crate::nic::NicDevice;

/// The first of the addresses that cards get which were given none.
const FIRST_MAC: MacAddress = MacAddress([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);

/// What a network keeps under its lock.
#[derive(Default)]
pub(super) struct State {
    /// In order of creation, back ends and cards together.
    pub(super) clients: Vec<Client>,
    pub(super) next_key: u64,
    /// Series of announcements, by name.
    pub(super) announcing: HashMap<Option<String>, AbortHandle>,
}

/// A back end or a card.
pub(super) struct Client {
    pub(super) key: u64,
    pub(super) name: String,
    /// One for each queue, at least one.
    pub(super) cables: Vec<Arc<Cable>>,
    /// What is on the cable of a back end, in order.
    pub(super) filters: Vec<Arc<Dump>>,
    pub(super) kind: Kind,
}

/// What a client is.
pub(super) enum Kind {
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
    pub(super) fn backend(&self) -> Option<&Backend> {
        match &self.kind {
            Kind::Netdev { backend, .. } => Some(backend),
            Kind::Nic { .. } => None,
        }
    }

    pub(super) fn user(&self) -> Option<&User> {
        self.backend()?.user()
    }

    pub(super) fn hub(&self) -> Option<&Arc<Hub>> {
        self.backend()?.hub()
    }

    pub(super) fn hub_number(&self) -> Option<i32> {
        self.hub().map(|hub| hub.number())
    }

    /// Whether it is the port of a hub that has no place for a card.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(
            self.kind,
            Kind::Netdev {
                behind: Some(_),
                ..
            }
        )
    }

    pub(super) fn is_netdev(&self) -> bool {
        matches!(self.kind, Kind::Netdev { deleted: false, .. })
    }

    pub(super) fn is_found_as(&self, name: &str) -> bool {
        self.name == name && !matches!(self.kind, Kind::Netdev { deleted: true, .. })
    }

    pub(super) fn device(&self) -> Option<Arc<dyn NicDevice>> {
        match &self.kind {
            Kind::Nic { device, .. } => device.as_ref()?.upgrade(),
            Kind::Netdev { .. } => None,
        }
    }

    /// The cable of the first queue.
    pub(super) fn cable(&self) -> &Arc<Cable> {
        &self.cables[0]
    }

    pub(super) fn set_link(&self, side: Side, up: bool) {
        self.cables
            .iter()
            .for_each(|cable| cable.set_link(side, up));
    }

    /// A line about a queue of it, and with the first one for each filter, as `info network` has
    /// them.
    pub(super) fn describe(&self, queue: usize) -> String {
        let mut text = self.line(queue);
        if queue > 0 {
            return text;
        }
        if !self.filters.is_empty() {
            text += "\nfilters:";
        }
        for filter in &self.filters {
            text += &format!("\n  - {}", filter.describe());
        }
        text
    }

    fn line(&self, queue: usize) -> String {
        let name = &self.name;
        let (kind, info) = match &self.kind {
            Kind::Netdev { backend, .. } => (backend.kind(), backend.describe(queue)),
            Kind::Nic { model, shown, .. } if queue == 0 => {
                ("nic", format!("model={model},macaddr={shown}"))
            }
            Kind::Nic { .. } => ("nic", String::new()),
        };
        format!("{name}: index={queue},type={kind},{info}")
    }
}

impl State {
    pub(super) fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    pub(super) fn by_key(&self, key: u64) -> Option<&Client> {
        self.clients.iter().find(|client| client.key == key)
    }

    pub(super) fn netdev(&self, id: &str) -> Option<&Client> {
        let mut clients = self.clients.iter();
        clients.find(|client| client.is_netdev() && client.name == id)
    }

    pub(super) fn netdev_mut(&mut self, id: &str) -> Option<&mut Client> {
        let mut clients = self.clients.iter_mut();
        clients.find(|client| client.is_netdev() && client.name == id)
    }

    /// The card at the other end of that back end's cable.
    pub(super) fn nic_of(&self, netdev: u64) -> Option<&Client> {
        self.clients.iter().find(
            |client| matches!(client.kind, Kind::Nic { netdev: Some(key), .. } if key == netdev),
        )
    }

    /// `MODEL.N`, counting the cards of that model.
    pub(super) fn free_name(&self, model: &str) -> String {
        let same = |client: &&Client| matches!(&client.kind, Kind::Nic { model: other, .. } if other == model);
        format!("{model}.{}", self.clients.iter().filter(same).count())
    }

    pub(super) fn free_mac(&self) -> MacAddress {
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
