//! A chain of buffers that the driver has handed over, and the cursors that read and fill it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tinamou_memory::{DmaView, Fault};

use crate::queue::{Queue, Token};

/// A buffer in guest RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its guest physical address.
    pub address: u64,
    /// How many bytes it has; never 0.
    pub length: u32,
}

/// A queue as its chains see it.
#[derive(Debug)]
pub(crate) struct QueueCell {
    ring: Mutex<Queue>,
    /// Moves on with every reset. Held for reading while guest memory is touched on behalf of a
    /// chain, so that after a reset nothing is.
    pub(crate) epoch: RwLock<u64>,
}

impl QueueCell {
    pub(crate) fn new(size: u16) -> Arc<Self> {
        Arc::new(Self {
            ring: Mutex::new(Queue::new(size)),
            epoch: RwLock::new(0),
        })
    }

    pub(crate) fn ring(&self) -> MutexGuard<'_, Queue> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every chain taken so far void.
    pub(crate) fn reset(&self) {
        let mut epoch = self.epoch.write().unwrap_or_else(PoisonError::into_inner);
        *epoch += 1;
        self.ring().reset();
    }
}

/// A chain taken from a queue: first buffers to read, then buffers to fill.
///
/// All of it was guest RAM when it was taken, and stays alive. A reset of the queue makes the
/// chain void: its cursors fail with [`io::ErrorKind::NotConnected`], and returning it does
/// nothing. A chain that is dropped without being returned is lost to the driver until then.
///
/// Lengths are the driver's words: allocate by them only up to a limit.
#[derive(Debug)]
pub struct Chain {
    pub(crate) queue: usize,
    pub(crate) cell: Arc<QueueCell>,
    pub(crate) epoch: u64,
    pub(crate) token: Token,
    pub(crate) view: DmaView,
    pub(crate) readable: Vec<Segment>,
    pub(crate) writable: Vec<Segment>,
}

impl Chain {
    /// The queue it comes from.
    #[must_use]
    pub fn queue(&self) -> usize {
        self.queue
    }

    /// The buffers to read.
    #[must_use]
    pub fn readable(&self) -> &[Segment] {
        &self.readable
    }

    /// The buffers to fill.
    #[must_use]
    pub fn writable(&self) -> &[Segment] {
        &self.writable
    }

    /// A cursor at the first byte to read.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader(Cursor::new(self, &self.readable))
    }

    /// A cursor at the first byte to fill.
    #[must_use]
    pub fn writer(&self) -> Writer<'_> {
        Writer(Cursor::new(self, &self.writable))
    }

    /// Whether a reset has made the chain void.
    #[must_use]
    pub fn is_void(&self) -> bool {
        let epoch = self
            .cell
            .epoch
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        *epoch != self.epoch
    }

    /// Touches guest memory unless the chain is void.
    fn access(&self, act: impl FnOnce(&DmaView) -> Result<(), Fault>) -> io::Result<()> {
        let epoch = self
            .cell
            .epoch
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if *epoch != self.epoch {
            return Err(io::ErrorKind::NotConnected.into());
        }
        act(&self.view).map_err(io::Error::other)
    }
}

/// A place in a list of segments.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    chain: &'a Chain,
    segments: &'a [Segment],
    /// Bytes of the first segment that are behind.
    offset: u32,
    remaining: u64,
}

impl<'a> Cursor<'a> {
    fn new(chain: &'a Chain, segments: &'a [Segment]) -> Self {
        let lengths = segments.iter().map(|segment| u64::from(segment.length));
        Self {
            chain,
            segments,
            offset: 0,
            remaining: lengths.sum(),
        }
    }

    /// The rest of the current segment.
    fn current(&self) -> Option<Segment> {
        let segment = self.segments.first()?;
        Some(Segment {
            address: segment.address.wrapping_add(self.offset.into()),
            length: segment.length - self.offset,
        })
    }

    /// Goes on by `count`, which is no more than the rest of the current segment.
    fn advance(&mut self, count: u32) {
        self.offset += count;
        self.remaining -= u64::from(count);
        if let Some(segment) = self.segments.first()
            && self.offset >= segment.length
        {
            self.segments = &self.segments[1..];
            self.offset = 0;
        }
    }

    /// Calls `act` with the address and range of each piece of the next `length` bytes, and
    /// returns how many there were.
    fn pieces(
        &mut self,
        length: usize,
        mut act: impl FnMut(&DmaView, u64, std::ops::Range<usize>) -> Result<(), Fault>,
    ) -> io::Result<usize> {
        let mut done = 0;
        while done < length
            && let Some(segment) = self.current()
        {
            let count = (length - done).min(segment.length as usize);
            self.chain
                .access(|view| act(view, segment.address, done..done + count))?;
            self.advance(count as u32);
            done += count;
        }
        Ok(done)
    }

    fn skip(&mut self, mut count: u64) -> u64 {
        let before = self.remaining;
        while count > 0
            && let Some(segment) = self.current()
        {
            let step = count.min(segment.length.into());
            self.advance(step as u32);
            count -= step;
        }
        before - self.remaining
    }

    /// Cuts the cursor off after `length` bytes and returns one for what follows.
    fn split_off(&mut self, length: u64) -> Self {
        let mut rest = self.clone();
        rest.skip(length);
        self.remaining -= rest.remaining;
        rest
    }

    fn within(&self, length: usize) -> usize {
        length.min(usize::try_from(self.remaining).unwrap_or(usize::MAX))
    }
}

/// Reads the readable buffers of a chain in order.
#[derive(Clone, Debug)]
pub struct Reader<'a>(Cursor<'a>);

impl Reader<'_> {
    /// How many bytes there are still.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.remaining
    }

    /// Passes over up to `count` bytes; returns over how many.
    pub fn skip(&mut self, count: u64) -> u64 {
        let count = count.min(self.0.remaining);
        self.0.skip(count)
    }

    /// Ends this cursor after `length` bytes; returns one for what follows.
    #[must_use]
    pub fn split_off(&mut self, length: u64) -> Self {
        Self(self.0.split_off(length))
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when there are fewer.
    pub fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        io::Read::read_exact(self, &mut bytes)?;
        Ok(bytes)
    }
}

impl io::Read for Reader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.0.within(bytes.len());
        self.0.pieces(length, |view, address, range| {
            view.read(address, &mut bytes[range])
        })
    }
}

/// Fills the writable buffers of a chain in order.
#[derive(Clone, Debug)]
pub struct Writer<'a>(Cursor<'a>);

impl Writer<'_> {
    /// How many bytes there is still room for.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.remaining
    }

    /// Passes over up to `count` bytes; returns over how many.
    pub fn skip(&mut self, count: u64) -> u64 {
        let count = count.min(self.0.remaining);
        self.0.skip(count)
    }

    /// Ends this cursor after `length` bytes; returns one for what follows, such as the status
    /// byte after the data of a block request.
    #[must_use]
    pub fn split_off(&mut self, length: u64) -> Self {
        Self(self.0.split_off(length))
    }
}

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.0.within(bytes.len());
        self.0.pieces(length, |view, address, range| {
            view.write(address, &bytes[range])
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
