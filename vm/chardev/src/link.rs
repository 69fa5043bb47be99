//! An opened back end: its name, its live connections, and what is undone when it is closed.

use std::any::Any;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

use crate::hangup::Hangup;
use crate::hub::Hub;
use crate::mux::Mux;
use crate::sink::Ring;

/// Shared by the device's handle, the task that runs the back end and every connection it made.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) kind: Kind,
    idle_name: String,
    peers: Mutex<Peers>,
    /// Rung when the first peer has come.
    met: Notify,
    log: Option<File>,
    task: Mutex<Option<AbortHandle>>,
    greeters: Mutex<Vec<AbortHandle>>,
    guards: Mutex<Vec<Box<dyn Any + Send>>>,
}

/// What sets back ends apart for those who hold the handle.
#[derive(Debug)]
pub(crate) enum Kind {
    Plain,
    Socket {
        wait: bool,
    },
    Pty {
        name: String,
    },
    Ringbuf(Arc<Ring>),
    Mux(Arc<Mux>),
    /// Held for its drop.
    Hub(Mutex<Option<Hub>>),
}

/// The connections now, and whether there ever was one.
#[derive(Debug, Default)]
struct Peers {
    live: Vec<Live>,
    ever: bool,
}

#[derive(Debug)]
struct Live {
    hangup: Arc<Hangup>,
    name: String,
}

impl Link {
    /// A back end shown as `idle_name` while nobody is connected.
    pub(crate) fn new(kind: Kind, idle_name: impl Into<String>, log: Option<File>) -> Self {
        Self {
            kind,
            idle_name: idle_name.into(),
            peers: Mutex::default(),
            met: Notify::new(),
            log,
            task: Mutex::default(),
            greeters: Mutex::default(),
            guards: Mutex::default(),
        }
    }

    /// Keeps `guard`, whose drop undoes something, until the back end is closed.
    pub(crate) fn guard(&self, guard: impl Any + Send) {
        lock(&self.guards).push(Box::new(guard));
    }

    /// The task that runs the back end, ended by [`Link::close`].
    pub(crate) fn run_by(&self, task: AbortHandle) {
        *lock(&self.task) = Some(task);
    }

    /// A task of one peer, which ends with the back end as well.
    pub(crate) fn also_run_by(&self, task: JoinHandle<()>) {
        let mut greeters = lock(&self.greeters);
        greeters.retain(|greeter| !greeter.is_finished());
        greeters.push(task.abort_handle());
    }

    /// What `query-chardev` shows.
    pub(crate) fn filename(&self) -> String {
        lock(&self.peers)
            .live
            .last()
            .map_or_else(|| self.idle_name.clone(), |live| live.name.clone())
    }

    pub(crate) fn is_connected(&self) -> bool {
        !lock(&self.peers).live.is_empty()
    }

    /// Waits until there was a first peer.
    pub(crate) async fn connected(&self) {
        let mut met = std::pin::pin!(self.met.notified());
        met.as_mut().enable();
        if !lock(&self.peers).ever {
            met.await;
        }
    }

    /// Ends every connection; the back end goes on and may make new ones.
    pub(crate) fn hang_up(&self) {
        let live: Vec<_> = lock(&self.peers)
            .live
            .iter()
            .map(|live| Arc::clone(&live.hangup))
            .collect();
        live.iter().for_each(|hangup| hangup.hang_up());
    }

    /// Ends the back end.
    pub(crate) fn close(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
        lock(&self.greeters)
            .drain(..)
            .for_each(|greeter| greeter.abort());
        if let Kind::Hub(hub) = &self.kind {
            lock(hub).take();
        }
        self.hang_up();
        lock(&self.guards).clear();
    }

    /// Copies output to the log file. A full disk must not stop the guest, so failures are only
    /// reported.
    pub(crate) fn log(&self, bytes: &[u8]) {
        let Some(mut log) = self.log.as_ref() else {
            return;
        };
        if let Err(error) = log.write_all(bytes) {
            tracing::warn!("cannot write the log of a character device: {error}");
        }
    }

    fn add(&self, live: Live) {
        let mut peers = lock(&self.peers);
        peers.live.push(live);
        peers.ever = true;
        drop(peers);
        self.met.notify_waiters();
    }

    fn remove(&self, hangup: &Arc<Hangup>) {
        lock(&self.peers)
            .live
            .retain(|live| !Arc::ptr_eq(&live.hangup, hangup));
    }
}

/// A connection's place among the live ones of its back end, given up when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    link: Arc<Link>,
    hangup: Arc<Hangup>,
    _permit: OwnedSemaphorePermit,
    _gone: oneshot::Sender<()>,
}

impl Seat {
    /// Enters a connection shown as `name`; what is returned with the seat resolves when the
    /// connection is gone.
    pub(crate) fn take(
        link: Arc<Link>,
        permit: OwnedSemaphorePermit,
        hangup: Arc<Hangup>,
        name: Option<String>,
    ) -> (Self, oneshot::Receiver<()>) {
        link.add(Live {
            hangup: Arc::clone(&hangup),
            name: name.unwrap_or_else(|| link.idle_name.clone()),
        });
        let (sender, gone) = oneshot::channel();
        let seat = Self {
            link,
            hangup,
            _permit: permit,
            _gone: sender,
        };
        (seat, gone)
    }

    pub(crate) fn hangup(&self) -> &Hangup {
        &self.hangup
    }

    pub(crate) fn log(&self, bytes: &[u8]) {
        self.link.log(bytes);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.link.remove(&self.hangup);
    }
}

/// A socket or link of ours in the file system, removed when dropped unless someone has replaced
/// it.
#[derive(Debug)]
pub(crate) struct OwnPath {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl OwnPath {
    pub(crate) fn new(path: PathBuf) -> Self {
        let identity = identity(&path);
        Self { path, identity }
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // Someone else may be faster.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// A poisoned lock guards plain data here, which stays usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
