//! How a device's threads say that the guest has let go of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The devices that guests have let go of, until the main loop looks. There
/// is at most one entry for each device, so it needs no further bound.
#[derive(Clone, Debug, Default)]
pub struct Ejections(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<BTreeSet<u64>>,
    rung: Notify,
}

/// The means of one device to say it.
#[derive(Clone, Debug)]
pub struct Ticket {
    number: u64,
    ejections: Ejections,
}

impl Ejections {
    /// A ticket with that number.
    pub fn ticket(&self, number: u64) -> Ticket {
        Ticket {
            number,
            ejections: self.clone(),
        }
    }

    /// Waits until a device was let go of.
    pub async fn happened(&self) {
        self.0.rung.notified().await;
    }

    /// Has the main loop look.
    pub fn ring(&self) {
        self.0.rung.notify_one();
    }

    /// The tickets of those that were.
    pub fn take(&self) -> BTreeSet<u64> {
        let mut waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    }
}

impl Ticket {
    /// What tells this device from all others, those gone included.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Says that the guest has let go of the device. From any thread.
    pub fn ejected(&self) {
        let shared = &self.ejections.0;
        let mut waiting = shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.insert(self.number);
        drop(waiting);
        shared.rung.notify_one();
    }
}
