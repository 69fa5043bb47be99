//! The network card (virtio 1.2 §5.1).

mod control;
mod filter;
mod props;
mod receive;
pub mod spec;
#[cfg(test)]
mod tests;
mod transmit;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_net::{Accepts, Frame, MacAddress, Nic, NicDevice, RxFilter};
use tokio::task::AbortHandle;

pub use props::NetProperties;

use self::filter::Filter;
use self::spec::{feature, status};
use crate::{DeviceType, Port, VirtioDevice};

/// What a queue is for (§5.1.2). Queues come in pairs, one from the network and one to it; that of
/// commands is behind those of all pairs there can be, as the driver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Receive(usize),
    Transmit(usize),
    Control,
}

/// The queue that a pair receives from.
const fn receive_queue(pair: usize) -> usize {
    2 * pair
}

/// The queue that it sends on.
const fn transmit_queue(pair: usize) -> usize {
    2 * pair + 1
}

/// How many descriptors that has.
const CONTROL_SIZE: u16 = 64;

/// The card.
pub struct Net {
    port: Port,
    nic: Nic,
    properties: NetProperties,
    state: Mutex<State>,
    /// The receive filter has not changed since it was last asked for.
    armed: AtomicBool,
    filter_changed: Box<dyn Fn() + Send + Sync>,
    /// Wake the queues when the network can go on.
    bellmen: Vec<AbortHandle>,
}

struct State {
    filter: Filter,
    /// The driver is to announce itself.
    announce: bool,
    /// For each pair, a frame for which the driver had too few buffers.
    waiting: Vec<Option<Frame>>,
    /// How many pairs are in use.
    pairs: usize,
}

impl Net {
    /// A card in its place in the network. `filter_changed` is called when the driver changes
    /// the receive filter for the first time since it was asked for.
    #[must_use]
    pub fn new(
        port: Port,
        nic: Nic,
        properties: NetProperties,
        filter_changed: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        let bellmen = nic.ports().iter().enumerate().map(|(pair, end)| {
            let work = ring(port.clone(), pair, end.bells());
            port.site().runtime.spawn(work).abort_handle()
        });
        let bellmen = bellmen.collect();
        let state = State {
            filter: Filter::new(nic.mac()),
            announce: false,
            waiting: vec![None; nic.ports().len()],
            pairs: 1,
        };
        let net = Arc::new(Self {
            port,
            nic,
            properties,
            state: Mutex::new(state),
            armed: AtomicBool::new(true),
            filter_changed: Box::new(filter_changed),
            bellmen,
        });
        let answering: std::sync::Weak<Self> = Arc::downgrade(&net);
        net.nic.connect(answering);
        net
    }

    /// Tells that the driver has changed the filter, unless that was told before.
    fn note_filter(&self) {
        if self.armed.swap(false, Ordering::AcqRel) {
            (self.filter_changed)();
        }
    }

    /// The driver has another address from now on.
    fn set_mac(&self, mac: MacAddress) {
        self.state().filter.mac = mac;
        self.nic.show_mac(mac);
    }

    /// The driver takes these, of what it has negotiated.
    fn set_offloads(&self, offloads: u64) {
        let has = |bit| offloads & bit != 0;
        let checksum = has(feature::GUEST_CSUM);
        let accepts = Accepts {
            checksum,
            tcp4: checksum && has(feature::GUEST_TSO4),
            tcp6: checksum && has(feature::GUEST_TSO6),
        };
        self.nic
            .ports()
            .iter()
            .for_each(|port| port.accept(accepts));
    }

    fn discard(&self) {
        self.nic.ports().iter().for_each(tinamou_net::Port::discard);
        self.state().waiting.fill(None);
    }

    /// How many pairs of queues there are.
    fn pairs(&self) -> usize {
        self.nic.ports().len()
    }

    /// The driver uses the first so many pairs.
    fn use_pairs(&self, pairs: usize) {
        self.state().pairs = pairs;
        self.nic.use_ports(pairs);
    }

    fn role(&self, queue: usize) -> Role {
        if queue == self.control_queue() {
            return Role::Control;
        }
        match queue % 2 {
            0 => Role::Receive(queue / 2),
            _ => Role::Transmit(queue / 2),
        }
    }

    /// The queue of commands: to a driver that knows one pair it comes after that.
    fn control_queue(&self) -> usize {
        match self.port.has(feature::MQ) {
            true => 2 * self.pairs(),
            false => 2,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bits a driver may turn on and off while it runs.
const OFFLOADS: u64 =
    feature::GUEST_CSUM | feature::GUEST_TSO4 | feature::GUEST_TSO6 | feature::GUEST_ECN;

async fn ring(port: Port, pair: usize, bells: tinamou_net::PortBells) {
    loop {
        tokio::select! {
            () = bells.readable() => port.wake(receive_queue(pair)),
            () = bells.writable() => port.wake(transmit_queue(pair)),
        }
    }
}

impl VirtioDevice for Net {
    fn device_type(&self) -> DeviceType {
        DeviceType::Net
    }

    fn features(&self) -> u64 {
        let p = &self.properties;
        let control = [
            (p.ctrl_rx, feature::CTRL_RX),
            (p.ctrl_vlan, feature::CTRL_VLAN),
            (p.ctrl_rx_extra, feature::CTRL_RX_EXTRA),
            (p.ctrl_mac_addr, feature::CTRL_MAC_ADDR),
            (p.ctrl_guest_offloads, feature::CTRL_GUEST_OFFLOADS),
            (p.guest_announce, feature::GUEST_ANNOUNCE),
            (p.mq, feature::MQ),
            (true, feature::CTRL_VQ),
        ];
        let own = [
            (true, feature::MAC),
            (p.csum, feature::CSUM),
            (p.guest_csum, feature::GUEST_CSUM),
            (p.gso && p.csum, feature::GSO),
            (p.guest_tso4 && p.guest_csum, feature::GUEST_TSO4),
            (p.guest_tso6 && p.guest_csum, feature::GUEST_TSO6),
            (p.guest_ecn && p.guest_csum, feature::GUEST_ECN),
            (p.host_tso4 && p.csum, feature::HOST_TSO4),
            (p.host_tso6 && p.csum, feature::HOST_TSO6),
            (p.host_ecn && p.csum, feature::HOST_ECN),
            (p.mrg_rxbuf, feature::MRG_RXBUF),
            (p.status, feature::STATUS),
            (p.host_mtu != 0, feature::MTU),
            (p.speed != -1 || p.duplex.is_some(), feature::SPEED_DUPLEX),
        ];
        let control = control.iter().filter(|_| p.ctrl_vq);
        let bits = own.iter().chain(control);
        bits.filter(|(on, _)| *on)
            .fold(0, |bits, (_, bit)| bits | bit)
    }

    fn queue_sizes(&self) -> Vec<u16> {
        let p = &self.properties;
        let mut sizes = [p.rx_queue_size, p.tx_queue_size].repeat(self.pairs());
        if p.ctrl_vq {
            sizes.push(CONTROL_SIZE);
        }
        sizes
    }

    fn config(&self) -> Vec<u8> {
        let state = self.state();
        let mut bytes = state.filter.mac.0.to_vec();
        let link = if self.nic.port().link_is_up() {
            status::LINK_UP
        } else {
            0
        };
        let announce = if state.announce { status::ANNOUNCE } else { 0 };
        bytes.extend((link | announce).to_le_bytes());
        bytes.extend((self.pairs() as u16).to_le_bytes());
        bytes.extend(self.properties.host_mtu.to_le_bytes());
        if self.features() & feature::SPEED_DUPLEX != 0 {
            bytes.extend(self.properties.speed.to_le_bytes());
            bytes.push(match self.properties.duplex.as_deref() {
                Some("half") => 0,
                Some("full") => 1,
                _ => 0xff,
            });
        }
        bytes
    }

    fn write_config(&self, offset: usize, bytes: &[u8]) {
        // Only legacy drivers without the command for it write their address here.
        let by_command = self.port.has(feature::CTRL_MAC_ADDR);
        if self.port.has(crate::feature::VERSION_1) || by_command {
            return;
        }
        let mut mac = self.state().filter.mac;
        let before = mac;
        for (place, byte) in mac.0.iter_mut().skip(offset).zip(bytes) {
            *place = *byte;
        }
        if mac != before {
            self.set_mac(mac);
            self.note_filter();
        }
    }

    fn set_features(&self, features: u64) -> bool {
        self.set_offloads(features & OFFLOADS);
        true
    }

    fn driver_ok(&self) {
        // What came while nobody was there is stale.
        self.discard();
    }

    fn kick(&self, queue: usize) {
        let is_used = |pair| pair < self.state().pairs;
        match self.role(queue) {
            Role::Receive(pair) if is_used(pair) => self.receive(pair),
            Role::Transmit(pair) if is_used(pair) => self.transmit(pair),
            Role::Control => self.obey(queue),
            // Not in use: what is there waits.
            Role::Receive(_) | Role::Transmit(_) => {}
        }
    }

    fn reset(&self) {
        self.discard();
        self.set_offloads(0);
        self.use_pairs(1);
        let mac = self.nic.mac();
        {
            let mut state = self.state();
            state.filter = Filter::new(mac);
            state.announce = false;
        }
        self.nic.show_mac(mac);
    }
}

impl NicDevice for Net {
    fn link_changed(&self, _: bool) {
        if self.port.has(feature::STATUS) {
            self.port.config_changed();
        }
    }

    fn rx_filter(&self) -> Option<RxFilter> {
        self.armed.store(true, Ordering::Release);
        let filters_vlans = self.port.has(feature::CTRL_VLAN);
        Some(self.state().filter.show(filters_vlans))
    }

    fn announce(&self) {
        if self.port.has(feature::GUEST_ANNOUNCE) && self.port.has(feature::CTRL_VQ) {
            self.state().announce = true;
            self.port.config_changed();
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.bellmen.iter().for_each(AbortHandle::abort);
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net")
            .field("nic", &self.nic)
            .finish_non_exhaustive()
    }
}
