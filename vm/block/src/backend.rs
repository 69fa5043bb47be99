//! What a disk holds of the graph.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use tinamou_api::BlockDeviceIoStatus;
use tokio::sync::{Notify, watch};

use crate::accounting::{Cookie, Operation, Stats};
use crate::driver::Zeroes;
use crate::error::Error;
use crate::node::{Edge, Node};
use crate::permission::{Bond, Claim, Permissions};
use crate::throttle::Group;

/// What to do when a request fails (`werror`, `rerror`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// `enospc` for writes, `report` for reads.
    #[default]
    Auto,
    /// Tell the guest.
    Report,
    /// Pretend that it worked.
    Ignore,
    /// Stop the machine and try again when it goes on.
    Stop,
    /// Stop the machine if the disk is full, else tell the guest.
    Enospc,
}

/// What is done about a request that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorAction {
    /// The guest is told.
    Report,
    /// The guest is told that it worked.
    Ignore,
    /// The machine stops; the request is tried again when it goes on.
    Stop,
}

/// The policies of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// `rerror`
    pub read: ErrorPolicy,
    /// `werror`
    pub write: ErrorPolicy,
}

/// A request that has failed, for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    /// The name of the backend, empty if it has none.
    pub device: String,
    /// The node that failed.
    pub node_name: Option<String>,
    /// The disk's place in the object tree.
    pub qom_path: String,
    /// Whether it was a read; flushes and discards are writes here.
    pub is_read: bool,
    /// What is done about it.
    pub action: ErrorAction,
    /// Whether the disk tells how it fares.
    pub has_io_status: bool,
    /// Whether it failed for want of space.
    pub no_space: bool,
    /// The host's words.
    pub reason: String,
}

/// Whoever wants to know what happens to disks, called from any thread.
pub trait Observer: Send + Sync {
    /// A request has failed. For [`ErrorAction::Stop`] the machine must be stopped, and
    /// [`BlockBackend::resume`] called when it goes on.
    fn io_error(&self, error: &IoError);

    /// The tray of a disk was opened or closed.
    fn tray_moved(&self, device: &str, id: &str, open: bool) {
        let _ = (device, id, open);
    }

    /// A write went `exceeded` bytes beyond the threshold of a node, which has none now.
    fn write_threshold(&self, node: &str, exceeded: u64, threshold: u64) {
        let _ = (node, exceeded, threshold);
    }
}

/// A disk that holds a backend, as the backend sees it. It is called from any thread.
pub trait Disk: Send + Sync {
    /// The medium has another size now.
    fn resized(&self, size: u64) {
        let _ = size;
    }

    /// The state of the tray, if there is one.
    fn tray(&self) -> Option<Tray> {
        None
    }

    /// Somebody outside wants the medium out: the guest is asked for it, or with `force` it is not.
    fn eject_request(&self, force: bool) {
        let _ = force;
    }

    /// The tray has been moved from outside: a medium came in, or the medium that is in goes out.
    fn medium_changed(&self, loaded: bool) {
        let _ = loaded;
    }

    /// Whether requests that fail can stop the machine, which `io-status` tells of.
    fn has_io_status(&self) -> bool {
        true
    }
}

/// A tray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tray {
    /// It is out.
    pub open: bool,
    /// The guest keeps it in.
    pub locked: bool,
}

/// Who holds a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id or, for devices within devices, the place in the object tree.
    pub id: String,
    /// The place in the object tree.
    pub qom_path: String,
}

/// What a disk reads from and writes to: a medium with counters and policies.
pub struct BlockBackend {
    name: String,
    state: Mutex<State>,
    stats: Stats,
    write_cache: AtomicBool,
    in_flight: AtomicUsize,
    idle: Notify,
    wake: watch::Sender<Wake>,
    observer: Arc<dyn Observer>,
}

struct State {
    medium: Option<Edge>,
    claim: Claim,
    policies: Policies,
    disk: Option<Attached>,
    io_status: BlockDeviceIoStatus,
    group: Option<Arc<Group>>,
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
            observer,
        })
    }

    /// `device`: its name, empty if only a disk knows it.
    pub fn name(&self) -> &str {
        &self.name
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
            Some(disk) if self.name.is_empty() => {
                format!("block device '{}'", disk.holder.qom_path)
            }
            _ => format!("block device '{}'", self.name),
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
        self.state().group.clone()
    }

    /// Puts it under the limits of a group, or under none.
    pub fn set_throttle_group(&self, group: Option<Arc<Group>>) {
        self.state().group = group;
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

    /// Begins a request, as soon as the limits let it pass. It counts once, in however many parts
    /// its data are moved.
    pub async fn begin(&self, operation: Operation, bytes: u64) -> Request<'_> {
        let busy = Busy::new(self);
        if let Some(group) = self.throttle_group() {
            group.pass(operation != Operation::Read, bytes).await;
        }
        Request {
            backend: self,
            cookie: Some(self.stats.begin(operation, bytes)),
            is_read: operation == Operation::Read,
            _busy: busy,
        }
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// What is to be done about the host's.
    pub async fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        let mut request = self.begin(Operation::Read, buffer.len() as u64).await;
        let done = request.read(offset, buffer).await;
        request.finish(done)
    }

    /// Puts `data` at `offset`.
    ///
    /// # Errors
    /// What is to be done about the host's.
    pub async fn write(&self, offset: u64, data: &[u8]) -> Result<(), Failure> {
        let mut request = self.begin(Operation::Write, data.len() as u64).await;
        let done = match request.write(offset, data).await {
            Ok(()) => request.persist().await,
            failed => failed,
        };
        request.finish(done)
    }

    /// Makes a range read as zeros; it counts as a write.
    ///
    /// # Errors
    /// What is to be done about the host's.
    pub async fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> Result<(), Failure> {
        let bytes = range.end.saturating_sub(range.start);
        let mut request = self.begin(Operation::Write, bytes).await;
        let done = async {
            self.inserted()?.write_zeroes(range, how).await?;
            request.persist().await
        };
        let done = done.await;
        request.finish(done)
    }

    /// Gives back the storage behind a range. Counted as an unmap if `counted`.
    ///
    /// # Errors
    /// What is to be done about the host's.
    pub async fn discard(&self, range: Range<u64>, counted: bool) -> Result<(), Failure> {
        let bytes = range.end.saturating_sub(range.start);
        let mut request = self.begin(Operation::Unmap, bytes).await;
        if !counted {
            request.cookie.take();
        }
        let done = async { self.inserted()?.discard(range).await }.await;
        request.finish(done)
    }

    /// Makes all that was written before survive a crash of the host.
    ///
    /// # Errors
    /// What is to be done about the host's.
    pub async fn flush(&self) -> Result<(), Failure> {
        let request = Request {
            backend: self,
            cookie: Some(self.stats.begin(Operation::Flush, 0)),
            is_read: false,
            _busy: Busy::new(self),
        };
        let done = async { self.inserted()?.flush().await }.await;
        request.finish(done)
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
            self.observer.tray_moved(&self.name, &holder.id, open);
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

    fn inserted(&self) -> io::Result<Arc<Node>> {
        self.medium().ok_or_else(|| Errno::NOMEDIUM.into())
    }

    /// Says what is done about an error, and tells whoever watches.
    fn fail(&self, is_read: bool, error: io::Error) -> Result<(), Failure> {
        let action = self.action(is_read, &error);
        if action == ErrorAction::Stop {
            self.state().io_status = match is_no_space(&error) {
                true => BlockDeviceIoStatus::Nospace,
                false => BlockDeviceIoStatus::Failed,
            };
        }
        let wake = self.wake.subscribe();
        let abandoned = wake.borrow().abandoned;
        let stopped = Stopped { wake, abandoned };
        let report = self.io_error(is_read, action, &error);
        self.observer.io_error(&report);
        match action {
            ErrorAction::Report => Err(Failure::Report(error)),
            ErrorAction::Ignore => Ok(()),
            ErrorAction::Stop => Err(Failure::Stopped(stopped)),
        }
    }

    fn action(&self, is_read: bool, error: &io::Error) -> ErrorAction {
        let policies = self.policies();
        let no_space = is_no_space(error);
        match if is_read {
            policies.read
        } else {
            policies.write
        } {
            ErrorPolicy::Auto if is_read => ErrorAction::Report,
            ErrorPolicy::Auto | ErrorPolicy::Enospc if no_space => ErrorAction::Stop,
            ErrorPolicy::Auto | ErrorPolicy::Enospc | ErrorPolicy::Report => ErrorAction::Report,
            ErrorPolicy::Ignore => ErrorAction::Ignore,
            ErrorPolicy::Stop => ErrorAction::Stop,
        }
    }

    fn io_error(&self, is_read: bool, action: ErrorAction, error: &io::Error) -> IoError {
        let state = self.state();
        let disk = state.disk.as_ref();
        IoError {
            device: self.name.clone(),
            node_name: state.medium.as_ref().map(|edge| edge.name().to_owned()),
            qom_path: disk
                .map(|disk| disk.holder.qom_path.clone())
                .unwrap_or_default(),
            is_read,
            action,
            has_io_status: disk.is_some_and(|disk| disk.disk.has_io_status()),
            no_space: is_no_space(error),
            reason: reason(error),
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

/// A request of a disk.
pub struct Request<'a> {
    backend: &'a BlockBackend,
    /// How it counts, if it does.
    cookie: Option<Cookie>,
    is_read: bool,
    _busy: Busy<'a>,
}

impl Request<'_> {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// The host's, and `EIO` for what is not on the disk.
    pub async fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let node = self.backend.inserted()?;
        on_disk(&node, offset, buffer.len() as u64)?;
        node.read(offset, buffer).await
    }

    /// Puts `data` at `offset`.
    ///
    /// # Errors
    /// The host's, and `EIO` for what is not on the disk.
    pub async fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let node = self.backend.inserted()?;
        on_disk(&node, offset, data.len() as u64)?;
        node.write(offset, data).await
    }

    /// Without a write cache what was written must be on the disk before the request is done.
    ///
    /// # Errors
    /// The host's.
    pub async fn persist(&mut self) -> io::Result<()> {
        match self.backend.write_cache() {
            true => Ok(()),
            false => self.backend.inserted()?.flush().await,
        }
    }

    /// Ends the request and counts it.
    ///
    /// # Errors
    /// What is to be done about the host's.
    pub fn finish(mut self, done: io::Result<()>) -> Result<(), Failure> {
        let finished = match done {
            Ok(()) => Ok(()),
            Err(error) => self.backend.fail(self.is_read, error),
        };
        if let Some(cookie) = self.cookie.take() {
            match &finished {
                Ok(()) => self.backend.stats.done(cookie),
                Err(_) => self.backend.stats.failed(cookie),
            }
        }
        finished
    }
}

/// What is to be done about a request that has failed.
#[derive(Debug)]
pub enum Failure {
    /// The guest is told.
    Report(io::Error),
    /// The machine stops, and the request is made again when it goes on.
    Stopped(Stopped),
}

/// A request that waits for the machine to go on.
#[derive(Debug)]
pub struct Stopped {
    wake: watch::Receiver<Wake>,
    /// How often requests had been given up before.
    abandoned: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wake {
    resumed: u64,
    abandoned: u64,
}

impl Stopped {
    /// Waits until the machine goes on; false if the disk was reset instead, so that nobody wants
    /// the request any more.
    pub async fn resumed(mut self) -> bool {
        let changed = self.wake.changed().await.is_ok();
        changed && self.wake.borrow().abandoned == self.abandoned
    }
}

/// Counts a request as under way for as long as it lives.
struct Busy<'a>(&'a BlockBackend);

impl<'a> Busy<'a> {
    fn new(backend: &'a BlockBackend) -> Self {
        backend.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(backend)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

/// Whether a range is on the disk; files grow, disks do not.
fn on_disk(node: &Node, offset: u64, length: u64) -> io::Result<()> {
    let end = offset.checked_add(length);
    match end.is_some_and(|end| end <= node.size()) {
        true => Ok(()),
        false => Err(Errno::IO.into()),
    }
}

fn is_no_space(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOSPC.raw_os_error())
}

/// The system's words for an error, without the number Rust adds.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
