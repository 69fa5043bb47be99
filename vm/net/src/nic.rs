//! Network cards, as the network knows them.

use std::sync::Weak;

use crate::cable::Port;
use crate::mac::MacAddress;
use crate::network::Network;

/// What a card is made from.
#[derive(Clone, Debug, Default)]
pub struct NicConfig {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// The kind of device, which names it if it has no id.
    pub model: String,
    /// Its address; without it the next free one of the default range.
    pub mac: Option<MacAddress>,
    /// The back end it is connected to.
    pub netdev: Option<String>,
}

/// What the outside asks of a card. Called from any thread, without a lock held.
pub trait NicDevice: Send + Sync {
    /// The link went up or down.
    fn link_changed(&self, up: bool);

    /// The receive filter, if it can be asked for. Asking arms the notice of its next change.
    fn rx_filter(&self) -> Option<RxFilter>;

    /// Tell the network where the guest is now.
    fn announce(&self);
}

/// A card's place in the network: the end of its cable, its name and address. Dropping it takes
/// the card away.
#[derive(Debug)]
pub struct Nic {
    pub(crate) network: Network,
    pub(crate) key: u64,
    pub(crate) name: String,
    pub(crate) mac: MacAddress,
    pub(crate) ports: Vec<Port>,
}

impl Nic {
    /// The id, or `MODEL.N`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address the card is made with.
    pub fn mac(&self) -> MacAddress {
        self.mac
    }

    /// Where frames come and go.
    pub fn port(&self) -> &Port {
        &self.ports[0]
    }

    /// The same for each queue of the back end, at least one.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Says that only the first so many ports are looked at. One is, at first.
    pub fn use_ports(&self, count: usize) {
        self.network.use_queues(self.key, count);
    }

    /// Says who answers for the card.
    pub fn connect(&self, device: Weak<dyn NicDevice>) {
        self.network.connect(self.key, device);
    }

    /// Shows another address as the card's: the guest has changed it.
    pub fn show_mac(&self, mac: MacAddress) {
        self.network.show_mac(self.key, mac);
    }
}

impl Drop for Nic {
    fn drop(&mut self) {
        self.network.remove_nic(self.key);
    }
}

/// A receive filter, as `query-rx-filter` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RxFilter {
    /// Everything is let in.
    pub promiscuous: bool,
    /// Which frames to groups are.
    pub multicast: RxMode,
    /// Which frames to single stations are.
    pub unicast: RxMode,
    /// Which frames of virtual networks are.
    pub vlan: RxMode,
    /// Frames to all stations are let in.
    pub broadcast_allowed: bool,
    /// The table of groups was too small; all are let in.
    pub multicast_overflow: bool,
    /// The table of stations was too small; all are let in.
    pub unicast_overflow: bool,
    /// The card's own address.
    pub main_mac: MacAddress,
    /// The virtual networks let in.
    pub vlan_table: Vec<u16>,
    /// Further stations.
    pub unicast_table: Vec<MacAddress>,
    /// The groups.
    pub multicast_table: Vec<MacAddress>,
}

/// How frames of one kind are filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxMode {
    /// By the table.
    #[default]
    Normal,
    /// None is let in.
    None,
    /// All are.
    All,
}
