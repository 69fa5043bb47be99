//! The claim of a front end on a character device.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::arrivals::Arrivals;
use crate::chardev::Chardev;
use crate::connection::Connection;
use crate::link::lock;
use crate::mux::Slot;

/// How many peers a front end talks to at once; further ones wait in the socket's backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// A byte pipe, such as a serial port.
    One,
    /// A server of requests, such as a monitor.
    Many(NonZeroUsize),
}

impl Clients {
    pub(crate) fn extra(self) -> usize {
        match self {
            Self::One => 0,
            Self::Many(count) => count.get() - 1,
        }
    }
}

/// A claimed device: where its connections arrive. Dropping it gives the device back.
#[derive(Debug)]
pub struct Frontend {
    claim: Arc<Claim>,
    arrivals: Arc<Arrivals>,
    bell: Arc<Bell>,
}

impl Frontend {
    pub(crate) fn new(claim: Claim, arrivals: Arc<Arrivals>, bell: Arc<Bell>) -> Self {
        Self {
            claim: Arc::new(claim),
            arrivals,
            bell,
        }
    }

    /// The device claimed.
    pub fn chardev(&self) -> &Chardev {
        &self.claim.chardev
    }

    /// For those who may have to give the device up while a task has the front end.
    pub(crate) fn share_claim(&self) -> Arc<Claim> {
        Arc::clone(&self.claim)
    }

    /// Waits for the next peer; `None` when none will ever come.
    pub async fn accept(&mut self) -> Option<Connection> {
        self.arrivals.next().await
    }

    /// The next peer if it is there already.
    pub fn try_accept(&mut self) -> Option<Connection> {
        self.arrivals.try_next()
    }

    /// Has `on_break` called, on the thread that sees it, at every break: telnet's, the mux's, or
    /// `chardev-send-break`.
    pub fn on_break(&self, on_break: impl Fn() + Send + Sync + 'static) {
        self.bell.set(Some(Arc::new(on_break)));
    }
}

impl Drop for Frontend {
    fn drop(&mut self) {
        self.claim.end();
    }
}

/// What a front end holds of its device.
#[derive(Debug)]
pub(crate) struct Claim {
    chardev: Chardev,
    clients: Clients,
    /// The place at a mux.
    slot: Option<Arc<Slot>>,
    ended: AtomicBool,
}

impl Claim {
    pub(crate) fn new(chardev: Chardev, clients: Clients, slot: Option<Arc<Slot>>) -> Self {
        Self {
            chardev,
            clients,
            slot,
            ended: AtomicBool::new(false),
        }
    }

    /// Gives the device back, once.
    pub(crate) fn end(&self) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        match &self.slot {
            Some(slot) => slot.leave(),
            None => self.chardev.release(self.clients),
        }
    }
}

type Callback = Arc<dyn Fn() + Send + Sync>;

/// Tells a front end of a break.
#[derive(Default)]
pub(crate) struct Bell(Mutex<Option<Callback>>);

impl Bell {
    pub(crate) fn set(&self, callback: Option<Callback>) {
        *lock(&self.0) = callback;
    }

    pub(crate) fn ring(&self) {
        let callback = lock(&self.0).clone();
        if let Some(callback) = callback {
            callback();
        }
    }
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}
