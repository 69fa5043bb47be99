//! Announcements: cards tell the network where the guest is.

use std::time::Duration;

use super::Network;
use super::client::Kind;
use crate::cable::Side;
use crate::frame::Frame;
use crate::mac::MacAddress;

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

impl Network {
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
                client.cable().send_from(Side::Nic, announcement(shown));
            }
            devices.extend(client.device());
        }
        drop(state);
        for device in devices {
            device.announce();
        }
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
