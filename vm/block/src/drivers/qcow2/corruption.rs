//! What happens when the tables of an image contradict each other.
//!
//! Whoever finds it says so with an error that carries a [`Corruption`]. Before the error leaves the
//! driver, an image that is written to is marked as corrupt and closed for good.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use crate::driver::Corruption;

use super::Qcow2;
use super::header::incompatible;

/// What is known of the damage to an open image.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// It was told once.
    told: AtomicBool,
    /// Nothing is read or written any more.
    closed: AtomicBool,
}

impl Health {
    /// Whether nothing is read or written any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Qcow2 {
    /// Does what a request asks for, unless the image is closed, and looks at how it fails.
    pub(super) async fn guard<T>(
        &self,
        request: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        if self.health.is_closed() {
            return Err(Errno::NOMEDIUM.into());
        }
        let error = match request.await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        match error.downcast::<Corruption>() {
            Ok(found) => Err(self.found(found).await),
            Err(error) => Err(error),
        }
    }

    /// The error for damage that was found: it is told of once, and again if it has become fatal.
    async fn found(&self, found: Corruption) -> io::Error {
        let fatal = !self.read_only.load(Ordering::Acquire);
        let told = self.health.told.swap(true, Ordering::AcqRel);
        let closed = fatal && self.health.closed.swap(true, Ordering::AcqRel);
        if closed || told && !fatal {
            return Errno::IO.into();
        }
        if fatal {
            // If this cannot be written, the image is as closed as if it were.
            let _ = self.mark().await;
        }
        io::Error::other(Corruption { fatal, ..found })
    }

    async fn mark(&self) -> io::Result<()> {
        if self.header.version < 3 {
            return Ok(());
        }
        let features = self.header.incompatible | incompatible::CORRUPT;
        self.file.write(72, &features.to_be_bytes()).await?;
        self.file.flush().await
    }
}

/// A table that is not where tables are.
pub(super) fn unaligned(what: impl fmt::Display, place: impl fmt::Display) -> io::Error {
    error(format!("{what} unaligned ({place})"), None)
}

/// A write that would hit a table.
pub(super) fn overlap(offset: u64, length: u64, table: &str) -> io::Error {
    let message = format!("Preventing invalid write on metadata (overlaps with {table})");
    error(message, Some((offset, length)))
}

fn error(message: String, place: Option<(u64, u64)>) -> io::Error {
    io::Error::other(Corruption {
        message,
        place,
        fatal: true,
    })
}

/// A number as C's `%#x` has it.
pub(super) struct Hex(pub(super) u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            number => write!(f, "{number:#x}"),
        }
    }
}
