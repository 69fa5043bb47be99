//! A node of the graph: a driver with what is the same for all of them.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use crate::driver::{Child, Driver, Extent, Specific, Zeroes};

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
}

struct State {
    driver: Box<dyn Driver>,
    options: NodeOptions,
}

impl Node {
    /// A node around a driver.
    pub fn new(
        name: impl Into<String>,
        driver: Box<dyn Driver>,
        options: NodeOptions,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            size: AtomicU64::new(driver.size()),
            read_only: AtomicBool::new(options.read_only),
            state: std::sync::RwLock::new(Arc::new(State { driver, options })),
            requests: tokio::sync::RwLock::new(()),
            highest_write: AtomicU64::new(0),
        })
    }

    /// `node-name`
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the disk.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
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
        self.range(offset, buffer.len() as u64)?;
        state.driver.read(offset, buffer).await
    }

    /// Puts `data` at `offset`.
    ///
    /// # Errors
    /// The host's, `EIO` for a range that is not on the disk, `EPERM` if the node is read-only.
    pub async fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let _request = self.requests.read().await;
        let state = self.state();
        let range = self.writable(offset, data.len() as u64)?;
        let end = range.end;
        match state.options.detect_zeroes {
            DetectZeroes::Off => state.driver.write(offset, data).await?,
            _ if !is_zero(data) => state.driver.write(offset, data).await?,
            detect => {
                let unmap = detect == DetectZeroes::Unmap && state.options.unmap;
                state.driver.write_zeroes(range, Zeroes { unmap }).await?;
            }
        }
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
        state.driver.write_zeroes(range, Zeroes { unmap }).await?;
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
            done => done,
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
        state.driver.flush().await
    }

    /// Changes the size of the disk.
    ///
    /// # Errors
    /// The host's, and those of formats that cannot.
    pub async fn resize(&self, size: u64) -> io::Result<()> {
        let _request = self.requests.read().await;
        let state = self.state();
        self.writable(0, 0)?;
        state.driver.resize(size).await?;
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
        state.driver.extent(range).await
    }

    /// The driver's name.
    pub fn driver(&self) -> &'static str {
        self.state().driver.name()
    }

    /// The options in force.
    pub fn options(&self) -> NodeOptions {
        self.state().options.clone()
    }

    /// Where the bytes are, as users write it.
    pub fn filename(&self) -> String {
        self.state().driver.filename()
    }

    /// The nodes below, by role.
    pub fn children(&self) -> Vec<Child> {
        self.state().driver.children()
    }

    /// Bytes of the host's storage in use, where that is known.
    pub fn allocated(&self) -> Option<u64> {
        self.state().driver.allocated()
    }

    /// Numbers of this kind of storage alone.
    pub fn specific(&self) -> Option<Specific> {
        self.state().driver.specific()
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
