//! `file` and `host_device`: a file or block device of the host.
//!
//! What the page cache holds is read at once; everything else is done on the runtime's threads
//! for blocking work, so that nobody waits for the disk who could do something else.

use std::any::Any;
use std::fs::{File as HostFile, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use tinamou_api as api;

use crate::driver::{Driver, Extent, Io, Reopen, Specific, Zeroes};
use crate::error::Error;
use crate::lender::{Lender, Lent};
use crate::node::NodeOptions;
use crate::permission::Claim;

mod direct;
mod lock;

use direct::Alignment;
use lock::Refusal;

/// Sizes are whole sectors.
const SECTOR: u64 = 512;

/// Most zeros written in one go where the host knows no better way.
const ZEROES: usize = 1 << 20;

/// How a file is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `filename`
    pub path: PathBuf,
    /// It will be written to.
    pub writable: bool,
    /// `cache.direct`: past the host's page cache.
    pub direct: bool,
    /// `cache.no-flush`: flushes do nothing.
    pub no_flush: bool,
    /// `locking`: keep other processes away; `None` where the host can.
    pub locking: Option<bool>,
}

/// The two names it goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `file`
    File,
    /// `host_device`
    HostDevice,
}

/// An open file.
pub struct File {
    inner: RwLock<Arc<Inner>>,
    lender: Option<Arc<dyn Lender>>,
}

struct Inner {
    kind: Kind,
    file: HostFile,
    /// Says that the file is in use, if it is not ours.
    _slip: Option<Box<dyn Any + Send + Sync>>,
    options: Options,
    size: AtomicU64,
    /// What the host demands of offsets and buffers, if its cache is passed by.
    alignment: Option<Alignment>,
    /// What is locked, if locks are in use.
    locks: Option<Mutex<Claim>>,
    discards_ok: AtomicU64,
    discards_failed: AtomicU64,
    discarded: AtomicU64,
}

impl File {
    /// Opens what the options name.
    ///
    /// # Errors
    /// The host's. `ENOTBLK` if a `host_device` is no device, `EISDIR` for a directory.
    pub fn open(kind: Kind, options: &Options) -> io::Result<Self> {
        let file = open_host(options)?;
        Ok(Self::around(Inner::new(kind, file, None, options)?, None))
    }

    /// The same, unless the name is one of a file that is lent.
    pub(crate) fn open_from(
        lender: Option<&Arc<dyn Lender>>,
        kind: Kind,
        options: &Options,
    ) -> Result<Self, Error> {
        let inner = Inner::open(lender, kind, options)?;
        Ok(Self::around(inner, lender.cloned()))
    }

    /// Takes a file that is open already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_file(kind: Kind, file: HostFile, options: &Options) -> io::Result<Self> {
        Ok(Self::around(Inner::new(kind, file, None, options)?, None))
    }

    fn around(inner: Inner, lender: Option<Arc<dyn Lender>>) -> Self {
        Self {
            inner: RwLock::new(Arc::new(inner)),
            lender,
        }
    }

    /// Opens the file again with other flags; the locks go with it.
    fn open_again(&self, options: &NodeOptions) -> Result<(), Error> {
        let old = self.inner();
        let options = Options {
            writable: !options.read_only,
            direct: options.direct,
            no_flush: options.no_flush,
            ..old.options.clone()
        };
        if options == old.options {
            return Ok(());
        }
        let refused = |source| Error::Open {
            path: self.filename(),
            source,
        };
        let new = Arc::new(Inner::open(self.lender.as_ref(), old.kind, &options)?);
        if let (Some(old), Some(held)) = (&old.locks, &new.locks) {
            let claim = *old.lock().unwrap_or_else(PoisonError::into_inner);
            lock::copy(&new.file, claim).map_err(refused)?;
            *held.lock().unwrap_or_else(PoisonError::into_inner) = claim;
        }
        new.take_counters(&old);
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn blocking<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'a + 'static,
    ) -> Io<'a, T> {
        let inner = self.inner();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&inner)).await;
            done.map_err(io::Error::other)?
        })
    }

    async fn read_all(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        let done = match inner.alignment {
            None => inner.read_cached(offset, buffer),
            Some(_) => 0,
        };
        let rest = &mut buffer[done..];
        if rest.is_empty() {
            return Ok(());
        }
        let (offset, length) = (offset + done as u64, rest.len());
        let bytes = self
            .blocking(move |inner| inner.read(offset, length))
            .await?;
        rest.copy_from_slice(&bytes);
        Ok(())
    }

    async fn discard_all(&self, range: Range<u64>) -> io::Result<()> {
        let inner = self.inner();
        let length = range.end - range.start;
        let done = self.blocking(move |inner| inner.punch(&range)).await;
        let count = match &done {
            Ok(()) => {
                inner.discarded.fetch_add(length, Ordering::Relaxed);
                &inner.discards_ok
            }
            Err(_) => &inner.discards_failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        done
    }
}

impl Driver for File {
    fn name(&self) -> &'static str {
        match self.inner().kind {
            Kind::File => "file",
            Kind::HostDevice => "host_device",
        }
    }

    fn size(&self) -> u64 {
        self.inner().size.load(Ordering::Acquire)
    }

    fn read<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> Io<'a> {
        Box::pin(self.read_all(offset, buffer))
    }

    fn write<'a>(&'a self, offset: u64, data: &'a [u8]) -> Io<'a> {
        let data = data.to_vec();
        self.blocking(move |inner| {
            let done = inner.write(offset, &data);
            if offset + data.len() as u64 > inner.size.load(Ordering::Acquire) {
                // A write that fails may have made the file longer all the same.
                inner.size.fetch_max(length(&inner.file)?, Ordering::AcqRel);
            }
            done
        })
    }

    fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> Io<'_> {
        self.blocking(move |inner| inner.write_zeroes(&range, how))
    }

    fn discard(&self, range: Range<u64>) -> Io<'_> {
        Box::pin(self.discard_all(range))
    }

    fn flush(&self) -> Io<'_> {
        if self.inner().options.no_flush {
            return Box::pin(async { Ok(()) });
        }
        self.blocking(|inner| inner.file.sync_data())
    }

    fn resize(&self, size: u64) -> Io<'_> {
        self.blocking(move |inner| {
            if inner.kind == Kind::HostDevice {
                // A device has the size it has.
                return match size <= inner.size.load(Ordering::Acquire) {
                    true => Ok(()),
                    false => Err(Errno::INVAL.into()),
                };
            }
            inner.file.set_len(size)?;
            inner.size.store(length(&inner.file)?, Ordering::Release);
            Ok(())
        })
    }

    fn grows(&self) -> bool {
        self.inner().kind == Kind::File
    }

    fn extent(&self, range: Range<u64>) -> Io<'_, Extent> {
        self.blocking(move |inner| inner.extent(&range))
    }

    fn permit(&self, claim: Claim) -> Result<(), Error> {
        let inner = self.inner();
        let Some(locks) = &inner.locks else {
            return Ok(());
        };
        let mut held = locks.lock().unwrap_or_else(PoisonError::into_inner);
        lock::claim(&inner.file, *held, claim).map_err(|refusal| match refusal {
            Refusal::Held(lock) => Error::Locked {
                lock,
                file: self.filename(),
            },
            Refusal::Host(byte, error) => Error::LockByte(byte, error),
        })?;
        *held = claim;
        Ok(())
    }

    fn reopen<'a>(&'a self, options: &'a NodeOptions) -> Reopen<'a> {
        Box::pin(async move { self.open_again(options) })
    }

    fn describe(&self, info: &mut api::BlockNodeInfo) {
        let blocks = rustix::fs::fstat(&self.inner().file).map(|stat| stat.st_blocks);
        info.actual_size = blocks
            .ok()
            .and_then(|blocks| blocks.checked_mul(SECTOR as i64));
        info.dirty_flag = Some(false);
        let data = api::ImageInfoSpecificFile {
            extent_size_hint: None,
        };
        info.format_specific = Some(api::ImageInfoSpecific {
            branch: api::ImageInfoSpecificBranch::File(api::ImageInfoSpecificFileWrapper { data }),
        });
    }

    fn filename(&self) -> String {
        self.inner().options.path.to_string_lossy().into_owned()
    }

    fn specific(&self) -> Option<Specific> {
        let inner = self.inner();
        Some(Specific::Discards {
            ok: inner.discards_ok.load(Ordering::Relaxed),
            failed: inner.discards_failed.load(Ordering::Relaxed),
            bytes: inner.discarded.load(Ordering::Relaxed),
        })
    }
}

impl Inner {
    fn open(
        lender: Option<&Arc<dyn Lender>>,
        kind: Kind,
        options: &Options,
    ) -> Result<Self, Error> {
        let name = options.path.to_string_lossy();
        let lent = lender.and_then(|lender| lender.lend(&name, options.flags()));
        let opened = match lent {
            Some(Ok(Lent { fd, slip })) => Self::new(kind, fd.into(), Some(slip), options),
            Some(Err(words)) => return Err(Error::NotLent(words)),
            None => open_host(options).and_then(|file| Self::new(kind, file, None, options)),
        };
        opened.map_err(|source| match source.raw_os_error() {
            Some(errno) if errno == Errno::NOTBLK.raw_os_error() => {
                Error::NotDevice(name.into_owned())
            }
            _ => Error::Open {
                path: name.into_owned(),
                source,
            },
        })
    }

    fn new(
        kind: Kind,
        file: HostFile,
        slip: Option<Box<dyn Any + Send + Sync>>,
        options: &Options,
    ) -> io::Result<Self> {
        let file_type = file.metadata()?.file_type();
        if file_type.is_dir() {
            return Err(Errno::ISDIR.into());
        }
        let device = file_type.is_block_device() || file_type.is_char_device();
        if kind == Kind::HostDevice && !device {
            return Err(Errno::NOTBLK.into());
        }
        let alignment = match options.direct {
            true => Some(Alignment::probe(&file)?),
            false => None,
        };
        let locking = options.locking.unwrap_or_else(|| lock::available(&file));
        Ok(Self {
            options: options.clone(),
            locks: locking.then(|| Mutex::new(Claim::IDLE)),
            size: AtomicU64::new(length(&file)?),
            kind,
            file,
            _slip: slip,
            alignment,
            discards_ok: AtomicU64::new(0),
            discards_failed: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
        })
    }

    fn take_counters(&self, old: &Self) {
        let counters = [
            (&self.discards_ok, &old.discards_ok),
            (&self.discards_failed, &old.discards_failed),
            (&self.discarded, &old.discarded),
        ];
        for (new, old) in counters {
            new.store(old.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Reads what is in the page cache already and returns how much that was.
    fn read_cached(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let mut slices = [io::IoSliceMut::new(buffer)];
        let flags = ReadWriteFlags::NOWAIT;
        rustix::io::preadv2(&self.file, &mut slices, offset, flags).unwrap_or(0)
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        if let Some(alignment) = self.alignment {
            return alignment.read(&self.file, offset, length);
        }
        let mut bytes = vec![0; length];
        read_to_end_or(&self.file, offset, &mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self.alignment {
            Some(alignment) => alignment.write(&self.file, offset, data),
            None => self.file.write_all_at(data, offset),
        }
    }

    fn punch(&self, range: &Range<u64>) -> io::Result<()> {
        self.allocate(
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            range,
        )
    }

    fn write_zeroes(&self, range: &Range<u64>, how: Zeroes) -> io::Result<()> {
        let kept = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        let done = match how.unmap {
            true => self.punch(range).or_else(|_| self.allocate(kept, range)),
            false => self.allocate(kept, range),
        };
        match done {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.write_out(range),
            done => done,
        }
    }

    fn write_out(&self, range: &Range<u64>) -> io::Result<()> {
        let zeroes = vec![0; ZEROES];
        let mut offset = range.start;
        while offset < range.end {
            let length = ZEROES.min(usize::try_from(range.end - offset).unwrap_or(ZEROES));
            self.write(offset, &zeroes[..length])?;
            offset += length as u64;
        }
        Ok(())
    }

    fn allocate(&self, flags: FallocateFlags, range: &Range<u64>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let length = range.end - range.start;
        Ok(rustix::fs::fallocate(
            &self.file,
            flags,
            range.start,
            length,
        )?)
    }

    /// Holes read as zeros.
    fn extent(&self, range: &Range<u64>) -> io::Result<Extent> {
        let whole = range.end - range.start;
        let data = |length| Extent {
            length,
            allocated: true,
            zero: false,
        };
        let zero = |length| Extent {
            zero: true,
            ..data(length)
        };
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(range.start)) {
            Ok(start) if start > range.start => Ok(zero(whole.min(start - range.start))),
            Ok(_) => {
                let end = rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Hole(range.start));
                let end = end.unwrap_or(range.end);
                Ok(data(whole.min(end.saturating_sub(range.start).max(1))))
            }
            // There is no data behind the start.
            Err(Errno::NXIO) => Ok(zero(whole)),
            Err(_) => Ok(data(whole)),
        }
    }
}

impl Options {
    fn flags(&self) -> OFlags {
        let access = if self.writable {
            OFlags::RDWR
        } else {
            OFlags::RDONLY
        };
        access
            | if self.direct {
                OFlags::DIRECT
            } else {
                OFlags::empty()
            }
    }
}

fn open_host(options: &Options) -> io::Result<HostFile> {
    let direct = options.flags() & OFlags::DIRECT;
    OpenOptions::new()
        .read(true)
        .write(options.writable)
        .custom_flags(direct.bits() as i32)
        .open(&options.path)
}

/// Fills `buffer`; what lies behind the end of the file is zero.
fn read_to_end_or(file: &HostFile, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => {
                buffer.fill(0);
                return Ok(());
            }
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The file's length in whole sectors.
fn length(mut file: &HostFile) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    Ok(length.div_ceil(SECTOR).saturating_mul(SECTOR))
}
