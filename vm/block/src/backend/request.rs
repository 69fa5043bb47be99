//! Requests: counted, limited, and tried again when they have stopped the machine.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;
use tokio::sync::watch;

use super::BlockBackend;
use crate::accounting::{Cookie, Operation};
use crate::driver::Zeroes;
use crate::node::Node;

impl BlockBackend {
    /// Begins a request, as soon as the limits let it pass. It counts once, in however many parts
    /// its data are moved.
    pub async fn begin(&self, operation: Operation, bytes: u64) -> Request<'_> {
        let busy = Busy::new(self);
        self.pass(operation != Operation::Read, bytes).await;
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

    /// Waits until the limits let a request pass.
    async fn pass(&self, is_write: bool, bytes: u64) {
        loop {
            let regrouped = self.regrouped.notified();
            let Some(group) = self.throttle_group() else {
                return;
            };
            tokio::select! {
                () = group.pass(is_write, bytes) => return,
                () = regrouped => {}
            }
        }
    }

    fn inserted(&self) -> io::Result<Arc<Node>> {
        self.medium().ok_or_else(|| Errno::NOMEDIUM.into())
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
pub(super) struct Wake {
    pub(super) resumed: u64,
    pub(super) abandoned: u64,
}

impl Stopped {
    pub(super) fn new(wake: watch::Receiver<Wake>) -> Self {
        let abandoned = wake.borrow().abandoned;
        Self { wake, abandoned }
    }

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
