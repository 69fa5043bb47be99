//! All nodes and disks: who has which name, and what may go away.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tinamou_api as api;
use tokio::runtime::Handle;

use crate::backend::{BlockBackend, Observer};
use crate::error::{Error, Result};
use crate::lender::Lender;
use crate::node::Node;
use crate::throttle::Group;
use crate::{open, reopen};

/// Longest name of a node.
const NAME_LIMIT: usize = 31;

/// The graph. Clones are the same graph.
#[derive(Clone)]
pub struct Graph {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Handle,
    observer: Arc<dyn Observer>,
    lender: OnceLock<Arc<dyn Lender>>,
    state: Mutex<State>,
    anonymous: AtomicU64,
    /// Changes of the graph that take time come one after the other.
    changes: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Every node there is, oldest first.
    nodes: Vec<Weak<Node>>,
    /// Those that only `blockdev-del` removes.
    owned: Vec<Arc<Node>>,
    /// Every disk there is, oldest first.
    backends: Vec<Weak<BlockBackend>>,
    /// Those that have a name and stay without a device.
    drives: Vec<Arc<BlockBackend>>,
    /// Throttle groups by name; they live as long as somebody is in them.
    groups: Vec<Weak<Group>>,
}

impl Graph {
    /// An empty graph. What is to be written at the end of a node is written on `runtime`, and
    /// `observer` hears what happens to disks.
    pub fn new(runtime: Handle, observer: Arc<dyn Observer>) -> Self {
        let inner = Inner {
            runtime,
            observer,
            lender: OnceLock::new(),
            state: Mutex::default(),
            anonymous: AtomicU64::new(100),
            changes: tokio::sync::Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Names of files are looked up there first. There is one such place.
    pub fn lend_from(&self, lender: Arc<dyn Lender>) {
        // The first stays.
        let _ = self.inner.lender.set(lender);
    }

    pub(crate) fn lender(&self) -> Option<&Arc<dyn Lender>> {
        self.inner.lender.get()
    }

    /// Where requests run.
    pub fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// `blockdev-add`: makes a node that stays until it is deleted.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn add(&self, options: api::BlockdevOptions) -> Result<Arc<Node>> {
        if options.node_name.is_none() {
            return Err(Error::NameMissing);
        }
        let _change = self.inner.changes.lock().await;
        let node = open::node(self, options, &open::Inherited::default()).await?;
        self.state().owned.push(Arc::clone(&node));
        Ok(node)
    }

    /// Makes a node that goes with its last user.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn open(&self, options: api::BlockdevOptions) -> Result<Arc<Node>> {
        let _change = self.inner.changes.lock().await;
        open::node(self, options, &open::Inherited::default()).await
    }

    /// The format of an image, found by looking at it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn probe(&self, name: &str) -> Result<&'static str> {
        let _change = self.inner.changes.lock().await;
        open::probe(self, name).await
    }

    /// A node that keeps writes in a temporary file and leaves the image as it is.
    ///
    /// # Errors
    /// The image cannot be opened, or there is no room for temporary files.
    pub async fn open_snapshot(&self, options: api::BlockdevOptions) -> Result<Arc<Node>> {
        let base = self.open(options).await?;
        let path = open::temporary(base.size())?;
        let overlay = open::over(&path, base.name());
        let opened = self.open(overlay).await;
        // It goes with the last descriptor of it.
        let _ = std::fs::remove_file(&path);
        opened
    }

    /// A node that copies into `node` what is read from behind it.
    ///
    /// # Errors
    /// Somebody else uses it in a way that does not go with that.
    pub async fn open_copy_on_read(&self, node: Arc<Node>) -> Result<Arc<Node>> {
        let below = api::BlockdevRef::Reference(node.name().to_owned());
        let file = Box::new(below);
        let base = api::BlockdevOptionsGenericFormat { file };
        let branch = api::BlockdevOptionsCor { base };
        self.open(open::plain(api::BlockdevOptionsBranch::CopyOnRead(
            Box::new(branch),
        )))
        .await
    }

    /// `blockdev-del`
    ///
    /// # Errors
    /// There is no such node, or it is in use.
    pub async fn delete(&self, name: &str) -> Result<()> {
        let _change = self.inner.changes.lock().await;
        let node = self.find(name).ok_or_else(|| Error::NoNode(name.into()))?;
        if node.has_disk() {
            return Err(Error::InUse(name.into()));
        }
        let is_owned = self.is_owned(&node);
        if !is_owned {
            return Err(Error::NotOwned(name.into()));
        }
        if node.is_used() {
            return Err(Error::HasParents(name.into()));
        }
        // What cannot be written now never will be; the image says so when it is opened next.
        let _ = node.close().await;
        self.state()
            .owned
            .retain(|owned| !Arc::ptr_eq(owned, &node));
        Ok(())
    }

    /// `block_resize`
    ///
    /// # Errors
    /// The node cannot have that size.
    pub async fn resize(&self, node: &Arc<Node>, size: u64) -> Result<()> {
        if node.is_read_only() {
            return Err(Error::ResizeReadOnly);
        }
        node.resize(size)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::Unsupported => Error::NoResize,
                _ => Error::Host("Failed to resize image", error),
            })?;
        let of_node = |disk: &Arc<BlockBackend>| {
            disk.medium()
                .is_some_and(|medium| Arc::ptr_eq(&medium, node))
        };
        for disk in self.backends().into_iter().filter(of_node) {
            disk.resized();
        }
        Ok(())
    }

    /// `blockdev-reopen`
    ///
    /// # Errors
    /// Some node cannot be as asked; none is changed then.
    pub async fn reopen(&self, options: Vec<api::BlockdevOptions>) -> Result<()> {
        let _change = self.inner.changes.lock().await;
        reopen::nodes(self, options).await
    }

    /// The node of that name.
    pub fn find(&self, name: &str) -> Option<Arc<Node>> {
        self.nodes().into_iter().find(|node| node.name() == name)
    }

    /// The node that is meant by the name of a drive or of a node.
    ///
    /// # Errors
    /// Neither exists.
    pub fn lookup(&self, device: Option<&str>, node: Option<&str>) -> Result<Arc<Node>> {
        let drive = device.and_then(|name| self.drive(name));
        let medium = drive.and_then(|drive| drive.medium());
        let found = medium.or_else(|| self.find(node?));
        found.ok_or_else(|| {
            let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
            Error::NotFound(text(device), text(node))
        })
    }

    /// All nodes, oldest first.
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.state()
            .nodes
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// All disks, oldest first.
    pub fn backends(&self) -> Vec<Arc<BlockBackend>> {
        let state = self.state();
        state.backends.iter().filter_map(Weak::upgrade).collect()
    }

    /// The drive of that name.
    pub fn drive(&self, name: &str) -> Option<Arc<BlockBackend>> {
        let state = self.state();
        let drive = state.drives.iter().find(|drive| drive.name() == name)?;
        Some(Arc::clone(drive))
    }

    /// The disk that the device at a place in the object tree holds.
    pub fn disk_at(&self, qom_path: &str) -> Option<Arc<BlockBackend>> {
        let at = |disk: &Arc<BlockBackend>| disk.qom_path().as_deref() == Some(qom_path);
        self.backends().into_iter().find(at)
    }

    /// A new disk without a medium. One with a name stays until [`forget`](Self::forget).
    pub fn new_backend(&self, name: &str) -> Arc<BlockBackend> {
        let backend = BlockBackend::new(name, Arc::clone(&self.inner.observer));
        let mut state = self.state();
        state.backends.retain(|backend| backend.strong_count() > 0);
        state.backends.push(Arc::downgrade(&backend));
        if !name.is_empty() {
            state.drives.push(Arc::clone(&backend));
        }
        backend
    }

    /// A drive goes, with its medium if nobody else uses that. A disk that holds it has neither a
    /// medium nor a name any more.
    pub fn forget(&self, backend: &Arc<BlockBackend>) {
        self.state()
            .drives
            .retain(|drive| !Arc::ptr_eq(drive, backend));
        backend.lose_name();
        if let Some(medium) = backend.remove() {
            self.release(medium);
        }
    }

    /// Lets go of a node; if that was its end, what it keeps in memory is written out.
    pub fn release(&self, node: Arc<Node>) {
        self.inner.runtime.spawn(async move { node.close().await });
    }

    /// The machine goes on: requests that stopped it are tried again.
    pub fn resume(&self) {
        for backend in self.backends() {
            backend.resume();
        }
    }

    /// Writes out what all nodes keep in memory.
    ///
    /// # Errors
    /// The first that the host reports; the other nodes are written nevertheless.
    pub async fn flush(&self) -> io::Result<()> {
        let mut done = Ok(());
        for node in self.nodes() {
            if !node.is_read_only() {
                done = done.and(node.flush().await);
            }
        }
        done
    }

    /// Writes out what all nodes keep in memory: the end is near.
    pub async fn close(&self) {
        for node in self.nodes() {
            // There is nobody left to tell.
            let _ = node.close().await;
        }
    }

    /// The throttle group of that name, made if there is none.
    pub fn group(&self, name: &str) -> Arc<Group> {
        let mut state = self.state();
        state.groups.retain(|group| group.strong_count() > 0);
        let mut groups = state.groups.iter().filter_map(Weak::upgrade);
        if let Some(group) = groups.find(|group| group.name() == name) {
            return group;
        }
        let group = Group::new(name);
        state.groups.push(Arc::downgrade(&group));
        group
    }

    /// Makes a group known that somebody else keeps.
    pub fn add_group(&self, group: &Arc<Group>) {
        let mut state = self.state();
        state.groups.retain(|known| known.strong_count() > 0);
        let known = |known: &Weak<Group>| Weak::as_ptr(known) == Arc::as_ptr(group);
        if !state.groups.iter().any(known) {
            state.groups.push(Arc::downgrade(group));
        }
    }

    /// The throttle group of that name, if somebody is in it.
    pub fn find_group(&self, name: &str) -> Option<Arc<Group>> {
        let state = self.state();
        let mut groups = state.groups.iter().filter_map(Weak::upgrade);
        groups.find(|group| group.name() == name)
    }

    /// Whether only `blockdev-del` removes it.
    pub fn is_owned(&self, node: &Arc<Node>) -> bool {
        let state = self.state();
        state.owned.iter().any(|owned| Arc::ptr_eq(owned, node))
    }

    /// A name for a node that was given none.
    pub(crate) fn anonymous(&self) -> String {
        format!(
            "#block{}",
            self.inner.anonymous.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// Whether a new node may have the name.
    pub(crate) fn check_name(&self, name: &str) -> Result<()> {
        let mut letters = name.chars();
        let starts = letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic());
        let goes_on = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        if !starts || !letters.all(goes_on) {
            return Err(Error::InvalidName(name.into()));
        }
        if self.drive(name).is_some() {
            return Err(Error::NameOfDevice(name.into()));
        }
        if self.find(name).is_some() {
            return Err(Error::DuplicateNode(name.into()));
        }
        if name.len() > NAME_LIMIT {
            return Err(Error::NameTooLong);
        }
        Ok(())
    }

    pub(crate) fn register(&self, node: &Arc<Node>) {
        let mut state = self.state();
        state.nodes.retain(|node| node.strong_count() > 0);
        state.nodes.push(Arc::downgrade(node));
    }

    pub(crate) fn observer(&self) -> &Arc<dyn Observer> {
        &self.inner.observer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").finish_non_exhaustive()
    }
}
