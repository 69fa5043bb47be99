//! What a disk holds of the graph.

mod observer;
mod policy;
mod request;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_api::BlockDeviceIoStatus;
use tokio::sync::{Notify, watch};

use crate::accounting::Stats;
use crate::error::Error;
use crate::node::{Edge, Node};
use crate::permission::{Bond, Claim, Permissions};
use crate::throttle::{Group, Member};

pub use observer::{Disk, Holder, Observer, Tray};
pub(crate) use policy::reason;
pub use policy::{ErrorAction, ErrorPolicy, IoError, Policies};
use request::Wake;
pub use request::{Failure, Request, Stopped};

/// What a disk reads from and writes to: a medium with counters and policies.
pub struct BlockBackend {
    name: String,
    /// The name is somebody else's to have.
    nameless: AtomicBool,
    state: Mutex<State>,
    stats: Stats,
    write_cache: AtomicBool,
    in_flight: AtomicUsize,
    idle: Notify,
    wake: watch::Sender<Wake>,
    /// It is in another group now, or in none.
    regrouped: Notify,
    observer: Arc<dyn Observer>,
}

struct State {
    medium: Option<Edge>,
    claim: Claim,
    policies: Policies,
    disk: Option<Attached>,
    io_status: BlockDeviceIoStatus,
    group: Option<Member>,
}

struct Attached {
    holder: Holder,
    disk: Arc<dyn Disk>,
}

impl BlockBackend {
    /// A backend without a medium; the name is empty if only a disk will know it.
    pub fn new(name: impl Into<String>, observer: Arc<dyn Observer>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            nameless: AtomicBool::new(false),
            state: Mutex::new(State {
                medium: None,
                claim: Claim::IDLE,
                policies: Policies::default(),
                disk: None,
                io_status: BlockDeviceIoStatus::Ok,
                group: None,
            }),
            stats: Stats::default(),
            write_cache: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            wake: watch::Sender::default(),
            regrouped: Notify::new(),
            observer,
        })
    }

    /// `device`: its name, empty if only a disk knows it.
    pub fn name(&self) -> &str {
        match self.nameless.load(Ordering::Acquire) {
            true => "",
            false => &self.name,
        }
    }

    /// Goes on without its name.
    pub(crate) fn lose_name(&self) {
        self.nameless.store(true, Ordering::Release);
        self.rename();
    }

    /// The node that is the medium.
    pub fn medium(&self) -> Option<Arc<Node>> {
        let state = self.state();
        state.medium.as_ref().map(|edge| Arc::clone(edge.node()))
    }

    /// Puts a medium in, on the terms that [`claim`](Self::claim) has set.
    ///
    /// # Errors
    /// Somebody else uses it in a way that does not go with that.
    pub fn insert(&self, medium: &Arc<Node>) -> Result<(), Error> {
        let mut state = self.state();
        let name = self.user_name(&state);
        let edge = medium.join(name, "root", Bond::Filtered, state.claim)?;
        state.medium = Some(edge);
        Ok(())
    }

    /// Takes the medium out.
    pub fn remove(&self) -> Option<Arc<Node>> {
        let edge = self.state().medium.take()?;
        Some(Arc::clone(edge.node()))
    }

    /// Says what is needed of the medium and what others may do with it.
    ///
    /// # Errors
    /// Somebody else uses the medium in a way that does not go with that.
    pub fn claim(&self, claim: Claim) -> Result<(), Error> {
        let mut state = self.state();
        if let Some(edge) = &state.medium {
            edge.change(claim)?;
        }
        state.claim = claim;
        Ok(())
    }

    /// A disk takes hold of the backend. It claims to read, unless the medium is read-only to
    /// write, and lets others read; with `share_rw` they may also write.
    ///
    /// # Errors
    /// Somebody else uses the medium in a way that does not go with that.
    pub fn attach(&self, holder: Holder, disk: Arc<dyn Disk>, share_rw: bool) -> Result<(), Error> {
        use Permissions as P;
        let old = self.state().disk.replace(Attached { holder, disk });
        self.rename();
        let write = if self.is_read_only() {
            P::NONE
        } else {
            P::WRITE
        };
        let shared = if share_rw { P::WRITE } else { P::NONE };
        let claimed = self.claim(Claim {
            need: P::CONSISTENT_READ | write,
            share: P::CONSISTENT_READ | P::WRITE_UNCHANGED | P::RESIZE | shared,
        });
        if claimed.is_err() {
            self.state().disk = old;
            self.rename();
        }
        claimed
    }

    /// The disk lets go.
    pub fn detach(&self) {
        self.state().disk = None;
        self.rename();
        // Less is claimed than before, which nobody can object to.
        let _ = self.claim(Claim::IDLE);
    }

    fn rename(&self) {
        let state = self.state();
        if let Some(edge) = &state.medium {
            edge.rename(self.user_name(&state));
        }
    }

    fn user_name(&self, state: &State) -> String {
        match &state.disk {
            Some(disk) if self.name().is_empty() => {
                format!("block device '{}'", disk.holder.qom_path)
            }
            _ => format!("block device '{}'", self.name()),
        }
    }

    /// Where the disk that holds it is in the object tree.
    pub fn qom_path(&self) -> Option<String> {
        self.attached().map(|holder| holder.qom_path)
    }

    /// Who holds it.
    pub fn attached(&self) -> Option<Holder> {
        let state = self.state();
        state.disk.as_ref().map(|disk| disk.holder.clone())
    }

    /// The disk that holds it.
    pub fn disk(&self) -> Option<Arc<dyn Disk>> {
        let state = self.state();
        state.disk.as_ref().map(|disk| Arc::clone(&disk.disk))
    }

    /// The tray of the disk that holds it, if that has one.
    pub fn tray(&self) -> Option<Tray> {
        self.disk()?.tray()
    }

    /// How the disk fares, if it can stop the machine.
    pub fn io_status(&self) -> Option<BlockDeviceIoStatus> {
        let known = self.disk()?.has_io_status();
        known.then(|| self.state().io_status)
    }

    /// The group that limits it.
    pub fn throttle_group(&self) -> Option<Arc<Group>> {
        let state = self.state();
        state
            .group
            .as_ref()
            .map(|member| Arc::clone(member.group()))
    }

    /// Puts it under the limits of a group, or under none. Requests that wait for the old one are
    /// held by the new one alone.
    pub fn set_throttle_group(&self, group: Option<Arc<Group>>) {
        self.state().group = group.as_ref().map(Group::join);
        self.regrouped.notify_waiters();
    }

    /// The policies for errors.
    pub fn policies(&self) -> Policies {
        self.state().policies
    }

    /// Sets the policies for errors.
    pub fn set_policies(&self, policies: Policies) {
        self.state().policies = policies;
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Bytes of the medium, 0 without one.
    pub fn size(&self) -> u64 {
        self.medium().map_or(0, |node| node.size())
    }

    /// Whether the medium refuses writes.
    pub fn is_read_only(&self) -> bool {
        self.medium().is_some_and(|node| node.is_read_only())
    }

    /// Whether writes may stay in a cache until a flush.
    pub fn write_cache(&self) -> bool {
        self.write_cache.load(Ordering::Relaxed)
    }

    /// Turns the write cache on or off, as guests do too.
    pub fn set_write_cache(&self, on: bool) {
        self.write_cache.store(on, Ordering::Relaxed);
    }

    /// Waits until no request is under way. A device that was reset does this before it takes
    /// requests again, so that old writes do not overtake new ones.
    pub async fn drain(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// The machine goes on: requests that failed and stopped it are tried again.
    pub fn resume(&self) {
        self.state().io_status = BlockDeviceIoStatus::Ok;
        self.wake.send_modify(|wake| wake.resumed += 1);
    }

    /// Gives up the requests that wait for the machine to go on, because the disk was reset.
    pub fn abandon(&self) {
        self.wake.send_modify(|wake| wake.abandoned += 1);
    }

    /// Tells whoever watches that the tray has moved.
    pub fn tray_moved(&self, open: bool) {
        if let Some(holder) = self.attached() {
            self.observer.tray_moved(self.name(), &holder.id, open);
        }
    }

    /// Tells the disk that the medium has another size.
    pub fn resized(&self) {
        let disk = self
            .state()
            .disk
            .as_ref()
            .map(|disk| Arc::clone(&disk.disk));
        if let Some(disk) = disk {
            disk.resized(self.size());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BlockBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockBackend")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
