//! `null-co` and `null-aio`: a disk of which nothing is kept.

use std::io;
use std::ops::Range;
use std::time::Duration;

use tinamou_api as api;

use crate::driver::{Driver, Extent, Io, Zeroes};

/// The two names it goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `null-co`
    Co,
    /// `null-aio`
    Aio,
}

/// A disk that swallows what is written.
#[derive(Clone, Copy, Debug)]
pub struct Null {
    /// Its name.
    pub flavour: Flavour,
    /// `size`: its length in bytes.
    pub size: u64,
    /// `latency-ns`: how long a request takes at least.
    pub latency: Duration,
    /// `read-zeroes`: reads give zeros, rather than leaving what was in the buffer.
    pub read_zeroes: bool,
}

impl Null {
    /// The size of one that was not given any.
    pub const SIZE: u64 = 1 << 30;

    fn wait(&self) -> Io<'_> {
        Box::pin(async {
            if !self.latency.is_zero() {
                tokio::time::sleep(self.latency).await;
            }
            Ok(())
        })
    }
}

impl Driver for Null {
    fn name(&self) -> &'static str {
        match self.flavour {
            Flavour::Co => "null-co",
            Flavour::Aio => "null-aio",
        }
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read<'a>(&'a self, _: u64, buffer: &'a mut [u8]) -> Io<'a> {
        if self.read_zeroes {
            buffer.fill(0);
        }
        self.wait()
    }

    fn write<'a>(&'a self, _: u64, _: &'a [u8]) -> Io<'a> {
        self.wait()
    }

    fn write_zeroes(&self, _: Range<u64>, _: Zeroes) -> Io<'_> {
        self.wait()
    }

    fn discard(&self, _: Range<u64>) -> Io<'_> {
        self.wait()
    }

    fn flush(&self) -> Io<'_> {
        self.wait()
    }

    fn resize(&self, _: u64) -> Io<'_> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn extent(&self, range: Range<u64>) -> Io<'_, Extent> {
        let extent = Extent {
            length: range.end - range.start,
            allocated: true,
            zero: self.read_zeroes,
        };
        Box::pin(async move { Ok(extent) })
    }

    fn describe(&self, info: &mut api::BlockNodeInfo) {
        info.actual_size = Some(0);
    }

    fn filename(&self) -> String {
        format!("{}://", self.name())
    }
}
