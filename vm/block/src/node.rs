//! A node of the graph: a driver with what is the same for all of them.

mod edge;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_api as api;

use crate::backend::Observer;
use crate::driver::{Corruption, Driver, Extent, Specific, Zeroes};
use crate::error::{Error, Result};
use crate::permission::{Bond, Claim, Permissions, User, check};

pub use edge::Edge;

/// What a node does with writes that hold nothing but zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DetectZeroes {
    /// They are writes like any other.
    #[default]
    Off,
    /// They become [`Node::write_zeroes`].
    On,
    /// The same, and the storage may be given back.
    Unmap,
}

/// The options that nodes of all drivers have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeOptions {
    /// Nothing may be written.
    pub read_only: bool,
    /// Discards are passed on rather than ignored.
    pub unmap: bool,
    /// Flushes do not reach the host's disk.
    pub no_flush: bool,
    /// What becomes of writes of zeros.
    pub detect_zeroes: DetectZeroes,
    /// Past the host's page cache.
    pub direct: bool,
    /// Others may do with it what they like.
    pub force_share: bool,
}

/// One file, format or filter.
pub struct Node {
    name: String,
    state: std::sync::RwLock<Arc<State>>,
    /// Requests share it; who changes the state waits until it is free.
    requests: tokio::sync::RwLock<()>,
    size: AtomicU64,
    read_only: AtomicBool,
    /// The end of the farthest write so far.
    highest_write: AtomicU64,
    users: Mutex<Vec<User>>,
    /// Writes beyond it are reported once; 0 for none.
    write_threshold: AtomicU64,
    /// Its beginning must not look like a format.
    guarded: AtomicBool,
    observer: Option<Arc<dyn Observer>>,
}

#[derive(Clone)]
struct State {
    driver: Arc<dyn Driver>,
    options: NodeOptions,
    /// What it was made from.
    made_from: Option<Arc<api::BlockdevOptions>>,
}

impl Node {
    /// A node around a driver, in no graph.
    pub fn new(
        name: impl Into<String>,
        driver: Box<dyn Driver>,
        options: NodeOptions,
    ) -> Arc<Self> {
        Self::build(name.into(), driver, options, None, None)
    }

    /// A node of a graph.
    pub(crate) fn made(
        name: String,
        driver: Box<dyn Driver>,
        options: NodeOptions,
        made_from: api::BlockdevOptions,
        observer: &Arc<dyn Observer>,
    ) -> Arc<Self> {
        let observer = Some(Arc::clone(observer));
        Self::build(name, driver, options, Some(Arc::new(made_from)), observer)
    }

    fn build(
        name: String,
        driver: Box<dyn Driver>,
        options: NodeOptions,
        made_from: Option<Arc<api::BlockdevOptions>>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            size: AtomicU64::new(driver.size()),
            read_only: AtomicBool::new(options.read_only),
            state: std::sync::RwLock::new(Arc::new(State {
                driver: driver.into(),
                options,
                made_from,
            })),
            requests: tokio::sync::RwLock::new(()),
            highest_write: AtomicU64::new(0),
            users: Mutex::default(),
            write_threshold: AtomicU64::new(0),
            guarded: AtomicBool::new(false),
            observer,
        })
    }

    /// `node-name`
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the disk.
    pub fn size(&self) -> u64 {
        let state = self.state();
        match state.driver.grows() {
            // Another user may have made it longer.
            true => state.driver.size(),
            false => self.size.load(Ordering::Acquire),
        }
    }

    /// Whether writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Acquire)
    }

    /// The end of the farthest write so far.
    pub fn highest_write(&self) -> u64 {
        self.highest_write.load(Ordering::Relaxed)
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// The host's, and `EIO` for a range that is not on the disk.
    pub async fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let _request = self.requests.read().await;
        let state = self.state();
        let length = buffer.len() as u64;
        if state.driver.grows() {
            offset.checked_add(length).ok_or(rustix::io::Errno::IO)?;
        } else {
            self.range(offset, length)?;
        }
        self.heard(state.driver.read(offset, buffer).await)
    }

    /// Puts `data` at `offset`.
    ///
    /// # Errors
    /// The host's, `EIO` for a range that is not on the disk, `EPERM` if the node is read-only.
    pub async fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let _request = self.requests.read().await;
        let state = self.state();
        let range = match state.driver.grows() {
            true => self.growing(offset, data.len() as u64)?,
            false => self.writable(offset, data.len() as u64)?,
        };
        let end = range.end;
        if self.guarded.load(Ordering::Relaxed) && offset == 0 && data.starts_with(b"QFI\xfb") {
            return Err(rustix::io::Errno::PERM.into());
        }
        self.watch(end);
        let done = match state.options.detect_zeroes {
            DetectZeroes::Off => state.driver.write(offset, data).await,
            _ if !is_zero(data) => state.driver.write(offset, data).await,
            detect => {
                let unmap = detect == DetectZeroes::Unmap && state.options.unmap;
                state.driver.write_zeroes(range, Zeroes { unmap }).await
            }
        };
        if end > self.size() {
            self.size.fetch_max(state.driver.size(), Ordering::AcqRel);
        }
        self.heard(done)?;
        self.highest_write.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a range read as zeros.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> io::Result<()> {
        let _request = self.requests.read().await;
        let state = self.state();
        let range = self.writable(range.start, range.end.saturating_sub(range.start))?;
        let unmap = how.unmap && state.options.unmap;
        let end = range.end;
        self.watch(end);
        let done = state.driver.write_zeroes(range, Zeroes { unmap }).await;
        self.heard(done)?;
        self.highest_write.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back the storage behind a range, if the node has been told to (`discard=unmap`).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn discard(&self, range: Range<u64>) -> io::Result<()> {
        let _request = self.requests.read().await;
        let state = self.state();
        let range = self.writable(range.start, range.end.saturating_sub(range.start))?;
        if !state.options.unmap || range.is_empty() {
            return Ok(());
        }
        match state.driver.discard(range).await {
            // A discard is a hint: storage that cannot do it has fulfilled it.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            done => self.heard(done),
        }
    }

    /// Makes all that was written before survive a crash of the host.
    ///
    /// # Errors
    /// The host's.
    pub async fn flush(&self) -> io::Result<()> {
        let _request = self.requests.read().await;
        let state = self.state();
        if self.is_read_only() {
            return Ok(());
        }
        self.heard(state.driver.flush().await)
    }

    /// Changes the size of the disk.
    ///
    /// # Errors
    /// The host's, and those of formats that cannot.
    pub async fn resize(&self, size: u64) -> io::Result<()> {
        let _request = self.requests.read().await;
        let state = self.state();
        self.writable(0, 0)?;
        self.heard(state.driver.resize(size).await)?;
        self.size.store(state.driver.size(), Ordering::Release);
        Ok(())
    }

    /// What stands behind `range`, as far as it is alike from its start on.
    ///
    /// # Errors
    /// The host's, and `EIO` for a range that is not on the disk.
    pub async fn extent(&self, range: Range<u64>) -> io::Result<Extent> {
        let _request = self.requests.read().await;
        let state = self.state();
        let range = self.range(range.start, range.end.saturating_sub(range.start))?;
        self.heard(state.driver.extent(range).await)
    }

    /// The driver's name.
    pub fn driver(&self) -> &'static str {
        self.state().driver.name()
    }

    /// The options in force.
    pub fn options(&self) -> NodeOptions {
        self.state().options.clone()
    }

    /// Whether a write behind the end makes it longer.
    pub(crate) fn grows(&self) -> bool {
        self.state().driver.grows()
    }

    /// Where the bytes are, as users write it.
    pub fn filename(&self) -> String {
        self.state().driver.filename()
    }

    /// The nodes below, by role.
    pub fn children(&self) -> Vec<(&'static str, Arc<Self>)> {
        let state = self.state();
        let children = state.driver.children();
        let child = |edge: &Edge| (edge.role(), Arc::clone(edge.node()));
        children.into_iter().map(child).collect()
    }

    /// What the driver has to tell of the image.
    pub fn describe(&self, info: &mut api::BlockNodeInfo) {
        self.state().driver.describe(info);
    }

    /// What the node was made from.
    pub(crate) fn made_from(&self) -> Option<Arc<api::BlockdevOptions>> {
        self.state().made_from.clone()
    }

    /// `write_threshold`: writes beyond it are reported, 0 for none.
    pub fn write_threshold(&self) -> u64 {
        self.write_threshold.load(Ordering::Relaxed)
    }

    /// Lets nobody write what looks like a format to its beginning: its own was only guessed.
    pub fn guard_format(&self) {
        self.guarded.store(true, Ordering::Relaxed);
    }

    /// `block-set-write-threshold`
    pub fn set_write_threshold(&self, threshold: u64) {
        self.write_threshold.store(threshold, Ordering::Relaxed);
    }

    /// Numbers of this kind of storage alone.
    pub fn specific(&self) -> Option<Specific> {
        self.state().driver.specific()
    }

    /// Whether anything is above it.
    pub fn is_used(&self) -> bool {
        !self.users().is_empty()
    }

    /// Whether a disk has it as its medium.
    pub fn has_disk(&self) -> bool {
        self.users().iter().any(|user| user.role == "root")
    }

    /// Changes the options once no request is under way, and the driver if `remake` makes another.
    ///
    /// # Errors
    /// A user needs what they do not allow, or the host refuses. Nothing has changed then.
    pub(crate) async fn reopen(
        &self,
        options: NodeOptions,
        made_from: Option<Arc<api::BlockdevOptions>>,
        remake: Option<impl Future<Output = Result<Box<dyn Driver>>>>,
    ) -> Result<()> {
        let _alone = self.requests.write().await;
        let old = self.state();
        let changes = Permissions::WRITE | Permissions::RESIZE;
        let written = self
            .users()
            .iter()
            .any(|user| user.claim.need.intersects(changes));
        if options.read_only && written {
            return Err(Error::ReadOnlyUsed(self.name.clone()));
        }
        self.heard(old.driver.close().await)
            .map_err(|error| Error::Host("Could not flush image", error))?;
        let remade = remake.is_some();
        let driver = match remake {
            Some(remake) => Arc::from(remake.await?),
            None => {
                old.driver.reopen(&options).await?;
                Arc::clone(&old.driver)
            }
        };
        self.take_over(State {
            driver,
            options,
            made_from,
        });
        let settled = self.settle(&self.users());
        if settled.is_err() {
            if !remade {
                // It was so before.
                let _ = old.driver.reopen(&old.options).await;
            }
            self.take_over(State::clone(&old));
            self.resettle();
        }
        settled
    }

    fn take_over(&self, state: State) {
        self.read_only
            .store(state.options.read_only, Ordering::Release);
        self.size.store(state.driver.size(), Ordering::Release);
        let mut place = self.state.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(state);
    }

    /// The holds on the nodes below.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let state = self.state();
        state.driver.children().into_iter().cloned().collect()
    }

    /// Claims of the nodes below what it had claimed before something else was tried.
    pub(crate) fn resettle(&self) {
        // It was so before.
        let _ = self.settle(&self.users());
    }

    /// Writes out what the drivers from here down keep in memory.
    ///
    /// # Errors
    /// The host's.
    pub async fn close(&self) -> io::Result<()> {
        {
            let _request = self.requests.read().await;
            self.heard(self.state().driver.close().await)?;
        }
        for (_, child) in self.children() {
            Box::pin(child.close()).await?;
        }
        Ok(())
    }

    /// A user comes: `name` is a node or a disk, `role` what this node is to it.
    ///
    /// # Errors
    /// It does not get on with those that are there, or the node cannot give what it claims.
    pub fn join(
        self: &Arc<Self>,
        name: impl Into<String>,
        role: &'static str,
        bond: Bond,
        claim: Claim,
    ) -> Result<Edge> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let user = User {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            role,
            claim: self.allowed(claim),
        };
        let id = user.id;
        let mut users = self.users();
        self.admit(&user, &users)?;
        users.push(user);
        if let Err(error) = self.settle(&users) {
            users.pop();
            // It was so before.
            let _ = self.settle(&users);
            return Err(error);
        }
        drop(users);
        Ok(Edge::new(Arc::clone(self), role, bond, id))
    }

    fn allowed(&self, claim: Claim) -> Claim {
        match self.options().force_share {
            true => Claim {
                share: Permissions::ALL,
                ..claim
            },
            false => claim,
        }
    }

    fn admit(&self, user: &User, users: &[User]) -> Result<()> {
        let changes = Permissions::WRITE | Permissions::WRITE_UNCHANGED | Permissions::RESIZE;
        if self.is_read_only() && user.claim.need.intersects(changes) {
            return Err(Error::ReadOnlyNode);
        }
        Ok(check(&self.name, user, users)?)
    }

    /// Tells the driver and the nodes below what all users together claim.
    fn settle(&self, users: &[User]) -> Result<()> {
        let claim = users
            .iter()
            .fold(Claim::IDLE, |claim, user| claim.with(user.claim));
        let state = self.state();
        state.driver.permit(claim)?;
        for edge in state.driver.children() {
            edge.change(edge.bond().claim(claim, !self.is_read_only()))?;
        }
        Ok(())
    }

    fn users(&self) -> MutexGuard<'_, Vec<User>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports damage to the image; whoever made the request sees an error like any other.
    fn heard<T>(&self, done: io::Result<T>) -> io::Result<T> {
        let corruption = match done.map_err(io::Error::downcast::<Corruption>) {
            Ok(done) => return Ok(done),
            Err(Err(error)) => return Err(error),
            Err(Ok(corruption)) => corruption,
        };
        if let Some(observer) = &self.observer {
            let device = self.drive().unwrap_or_default();
            observer.image_corrupted(&device, &self.name, &corruption);
        }
        Err(rustix::io::Errno::IO.into())
    }

    /// The name of the drive whose medium it is. Disks without one go by their place in the object
    /// tree, which begins with a slash.
    fn drive(&self) -> Option<String> {
        let users = self.users();
        let disk = users.iter().find(|user| user.role == "root")?;
        let name = disk.name.strip_prefix("block device '")?;
        let name = name.strip_suffix('\'')?;
        (!name.starts_with('/')).then(|| name.to_owned())
    }

    /// Reports the first write beyond the threshold.
    fn watch(&self, end: u64) {
        let threshold = self.write_threshold();
        if threshold == 0 || end <= threshold {
            return;
        }
        let order = Ordering::Relaxed;
        let first = self
            .write_threshold
            .compare_exchange(threshold, 0, order, order);
        if let (Ok(_), Some(observer)) = (first, &self.observer) {
            observer.write_threshold(&self.name, end - threshold, threshold);
        }
    }

    fn state(&self) -> Arc<State> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state)
    }

    fn range(&self, offset: u64, length: u64) -> io::Result<Range<u64>> {
        let end = offset.checked_add(length);
        match end.filter(|end| *end <= self.size()) {
            Some(end) => Ok(offset..end),
            None => Err(rustix::io::Errno::IO.into()),
        }
    }

    fn growing(&self, offset: u64, length: u64) -> io::Result<Range<u64>> {
        if self.is_read_only() {
            return Err(rustix::io::Errno::PERM.into());
        }
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= i64::MAX as u64);
        Ok(offset..end.ok_or(rustix::io::Errno::FBIG)?)
    }

    fn writable(&self, offset: u64, length: u64) -> io::Result<Range<u64>> {
        if self.is_read_only() {
            return Err(rustix::io::Errno::PERM.into());
        }
        self.range(offset, length)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Whether all bytes are zero.
pub(crate) fn is_zero(data: &[u8]) -> bool {
    let (words, rest) = data.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}
