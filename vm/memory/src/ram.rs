//! A block of guest RAM: zeroed host pages that harts and devices share.
//!
//! Every access here is a relaxed atomic one, so that racing guest threads and devices are
//! well-defined on the host; ordering comes from the guest's own fences.
#![expect(
    unsafe_code,
    reason = "guest RAM is host memory mapped by hand and shared between threads"
)]

use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use crate::{Error, Fault};

/// The granule of guest memory: sizes and mappings of RAM are multiples of it.
pub const PAGE_SIZE: u64 = 4096;

/// A page-aligned block of guest RAM, zero at first, backed by the host as it is touched.
#[derive(Debug)]
pub struct Ram {
    host: NonNull<u8>,
    size: usize,
    backing: Pages,
}

/// What is behind the pages, which decides how they are given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    /// Nothing but zeroes.
    Zeroes,
    /// A file that others see change.
    File,
    /// A file whose changes stay here: what it held comes back.
    Copy,
}

/// What a block of RAM is made of.
#[derive(Clone, Copy, Debug)]
pub struct RamOptions<'a> {
    /// Bytes, a multiple of [`PAGE_SIZE`].
    pub size: u64,
    /// A file and where in it the block begins; zeroes without one.
    pub file: Option<(BorrowedFd<'a>, u64)>,
    /// Whether other processes see what is written.
    pub shared: bool,
    /// Whether the host sets swap space aside.
    pub reserve: bool,
}

// SAFETY: the mapping belongs to this value alone and does not depend on the thread that made it.
unsafe impl Send for Ram {}
// SAFETY: all access through `&Ram` is atomic.
unsafe impl Sync for Ram {}

/// An unsigned integer that has an atomic twin: 1, 2, 4 or 8 bytes.
pub trait Word: Copy + sealed::Sealed {
    /// The atomic twin.
    type Atomic;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! words {
    ($($word:ty => $atomic:ty),*) => {$(
        impl sealed::Sealed for $word {}
        impl Word for $word {
            type Atomic = $atomic;
        }
    )*};
}
words!(u8 => AtomicU8, u16 => AtomicU16, u32 => AtomicU32, u64 => AtomicU64);

impl Ram {
    /// Maps `size` bytes of zeroes.
    ///
    /// # Errors
    /// [`Error::Size`] when `size` is zero or no multiple of [`PAGE_SIZE`], [`Error::Allocate`]
    /// when the host refuses.
    pub fn new(size: u64) -> Result<Self, Error> {
        Self::map(&RamOptions {
            size,
            file: None,
            shared: false,
            reserve: false,
        })
    }

    /// Maps zeroes or a part of a file, which must be as long as that.
    ///
    /// # Errors
    /// Those of [`Ram::new`].
    pub fn map(mapping: &RamOptions<'_>) -> Result<Self, Error> {
        let size = mapping.size;
        if size == 0 || !size.is_multiple_of(PAGE_SIZE) || size > isize::MAX as u64 {
            return Err(Error::Size(size));
        }
        let length = usize::try_from(size).map_err(|_| Error::Size(size))?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let mut flags = if mapping.shared {
            MapFlags::SHARED
        } else {
            MapFlags::PRIVATE
        };
        flags.set(MapFlags::NORESERVE, !mapping.reserve);
        let anywhere = std::ptr::null_mut();
        let mapped = match mapping.file {
            // SAFETY: a fresh anonymous mapping at an address the kernel chooses overlaps nothing.
            None => unsafe { mmap_anonymous(anywhere, length, protection, flags) },
            // SAFETY: a fresh mapping at an address the kernel chooses overlaps nothing. Other
            // processes may change the file, which is why all access here is atomic; one that
            // shortens it ends this process by SIGBUS, and harms no memory.
            Some((file, offset)) => unsafe {
                mmap(anywhere, length, protection, flags, file, offset)
            },
        };
        let host = mapped.map_err(|errno| Error::Allocate {
            size,
            source: errno.into(),
        })?;
        Ok(Self {
            host: NonNull::new(host.cast()).ok_or(Error::Size(size))?,
            size: length,
            backing: match mapping {
                RamOptions { shared: true, .. } => Pages::File,
                RamOptions { file: Some(_), .. } => Pages::Copy,
                _ => Pages::Zeroes,
            },
        })
    }

    /// Takes the pages of a range from the host now rather than when they are first used.
    pub fn populate(&self, range: Range<u64>) {
        for offset in range.step_by(4096) {
            if let Some(byte) = self.atomic::<u8>(offset) {
                byte.fetch_or(0, Relaxed);
            }
        }
    }

    /// Lets the host merge pages with equal ones elsewhere, or not.
    pub fn set_mergeable(&self, mergeable: bool) {
        let advice = if mergeable {
            Advice::LinuxMergeable
        } else {
            Advice::LinuxUnmergeable
        };
        self.advise(advice);
    }

    /// Makes the block part of this process's core dumps, or not.
    pub fn set_dumped(&self, dumped: bool) {
        let advice = if dumped {
            Advice::LinuxDoDump
        } else {
            Advice::LinuxDontDump
        };
        self.advise(advice);
    }

    /// Tells the host what it may as well ignore.
    fn advise(&self, advice: Advice) {
        // SAFETY: the range is our own mapping, and none of the advice above changes what it
        // holds.
        let _ = unsafe { madvise(self.host.as_ptr().cast(), self.size, advice) };
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size as u64
    }

    /// Where the block begins in the host's address space, for a software TLB.
    ///
    /// Whoever dereferences it must keep this block alive, stay inside it, and use atomic accesses.
    #[must_use]
    pub fn host(&self) -> *mut u8 {
        self.host.as_ptr()
    }

    /// The naturally aligned word at `offset`, as an atomic in guest (little-endian) byte order.
    #[must_use]
    pub fn atomic<W: Word>(&self, offset: u64) -> Option<&W::Atomic> {
        let size = size_of::<W>();
        let offset = self.range(offset, size)?;
        if !offset.is_multiple_of(size) {
            return None;
        }
        // SAFETY: in bounds and aligned as just checked (the block itself is page-aligned); the
        // memory lives as long as `self`, and every access to it is atomic.
        Some(unsafe { self.host.add(offset).cast::<W::Atomic>().as_ref() })
    }

    /// Loads `size` (1, 2, 4 or 8) bytes; atomic when naturally aligned, else byte by byte.
    ///
    /// # Errors
    /// [`Fault`] when the bytes are not all inside the block.
    pub fn load(&self, offset: u64, size: u8) -> Result<u64, Fault> {
        let aligned = match size {
            1 => self
                .atomic::<u8>(offset)
                .map(|word| word.load(Relaxed).into()),
            2 => self
                .atomic::<u16>(offset)
                .map(|word| u16::from_le(word.load(Relaxed)).into()),
            4 => self
                .atomic::<u32>(offset)
                .map(|word| u32::from_le(word.load(Relaxed)).into()),
            _ => self
                .atomic::<u64>(offset)
                .map(|word| u64::from_le(word.load(Relaxed))),
        };
        if let Some(value) = aligned {
            return Ok(value);
        }
        let mut bytes = [0; 8];
        let size = usize::from(size).min(8);
        self.read(offset, &mut bytes[..size])?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Stores the low `size` (1, 2, 4 or 8) bytes of `value`; atomic when naturally aligned.
    ///
    /// # Errors
    /// [`Fault`] when the bytes are not all inside the block.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low bytes are what is stored"
    )]
    pub fn store(&self, offset: u64, size: u8, value: u64) -> Result<(), Fault> {
        let aligned = match size {
            1 => self
                .atomic::<u8>(offset)
                .map(|word| word.store(value as u8, Relaxed)),
            2 => self
                .atomic::<u16>(offset)
                .map(|word| word.store((value as u16).to_le(), Relaxed)),
            4 => self
                .atomic::<u32>(offset)
                .map(|word| word.store((value as u32).to_le(), Relaxed)),
            _ => self
                .atomic::<u64>(offset)
                .map(|word| word.store(value.to_le(), Relaxed)),
        };
        if aligned.is_some() {
            return Ok(());
        }
        let size = usize::from(size).min(8);
        self.write(offset, &value.to_le_bytes()[..size])
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// [`Fault`], with nothing copied, when they are not all inside the block.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        let from = self.bounds(offset, bytes.len())?;
        let head = from.align_offset(8).min(bytes.len());
        let (head, rest) = bytes.split_at_mut(head);
        for (i, byte) in head.iter_mut().enumerate() {
            *byte = byte_at(from, i).load(Relaxed);
        }
        let done = head.len();
        let (words, tail) = rest.as_chunks_mut::<8>();
        for (i, word) in words.iter_mut().enumerate() {
            *word = word_at(from, done + i * 8).load(Relaxed).to_ne_bytes();
        }
        let done = done + words.len() * 8;
        for (i, byte) in tail.iter_mut().enumerate() {
            *byte = byte_at(from, done + i).load(Relaxed);
        }
        Ok(())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// [`Fault`], with nothing copied, when they are not all inside the block.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        let to = self.bounds(offset, bytes.len())?;
        let head = to.align_offset(8).min(bytes.len());
        let (head, rest) = bytes.split_at(head);
        for (i, byte) in head.iter().enumerate() {
            byte_at(to, i).store(*byte, Relaxed);
        }
        let done = head.len();
        let (words, tail) = rest.as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            word_at(to, done + i * 8).store(u64::from_ne_bytes(*word), Relaxed);
        }
        let done = done + words.len() * 8;
        for (i, byte) in tail.iter().enumerate() {
            byte_at(to, done + i).store(*byte, Relaxed);
        }
        Ok(())
    }

    /// Gives whole pages back to the host; they read as zero afterwards.
    ///
    /// # Errors
    /// [`Error::Extent`] when the range is not made of pages of this block, [`Error::Discard`]
    /// when the host refuses.
    pub fn discard(&self, offset: u64, length: u64) -> Result<(), Error> {
        let extent = || Error::Extent {
            name: "discard".into(),
            base: offset,
            size: length,
        };
        if !offset.is_multiple_of(PAGE_SIZE) || !length.is_multiple_of(PAGE_SIZE) {
            return Err(extent());
        }
        let length = usize::try_from(length).map_err(|_| extent())?;
        let start = self.range(offset, length).ok_or_else(extent)?;
        let advice = match self.backing {
            Pages::Zeroes => Advice::LinuxDontNeed,
            Pages::File => Advice::LinuxRemove,
            Pages::Copy => return Err(Error::Discard(std::io::ErrorKind::Unsupported.into())),
        };
        // SAFETY: the range is inside our own mapping, where MADV_DONTNEED (on private zeroes)
        // and MADV_REMOVE (on what is shared) leave zeroed pages behind.
        let advised = unsafe { madvise(self.host.add(start).as_ptr().cast(), length, advice) };
        advised.map_err(|errno| Error::Discard(errno.into()))
    }

    fn range(&self, offset: u64, length: usize) -> Option<usize> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(length)?;
        (end <= self.size).then_some(offset)
    }

    fn bounds(&self, offset: u64, length: usize) -> Result<*mut u8, Fault> {
        let start = self.range(offset, length).ok_or(Fault {
            address: offset.max(self.size()),
        })?;
        // SAFETY: `start` is within the mapping or one past its end.
        Ok(unsafe { self.host.add(start).as_ptr() })
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `new`, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.host.as_ptr().cast(), self.size) };
        debug_assert!(unmapped.is_ok(), "unmapping our own mapping");
    }
}

/// The byte `index` after `base`, which [`Ram::bounds`] has checked to be inside the block.
fn byte_at<'a>(base: *mut u8, index: usize) -> &'a AtomicU8 {
    // SAFETY: the callers stay within the length given to `bounds`.
    unsafe { AtomicU8::from_ptr(base.add(index)) }
}

/// The aligned word `index` bytes after `base`, under the same promise.
fn word_at<'a>(base: *mut u8, index: usize) -> &'a AtomicU64 {
    // SAFETY: the callers stay within the length given to `bounds` and start at an aligned head.
    unsafe { AtomicU64::from_ptr(base.add(index).cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn sizes_are_whole_pages() {
        for size in [0, 1, 4095, 4097, u64::MAX, !4095] {
            assert!(
                matches!(Ram::new(size), Err(Error::Size(s)) if s == size),
                "{size:#x}"
            );
        }
        assert_eq!(Ram::new(8192).unwrap().size(), 8192);
    }

    #[test]
    fn a_file_is_shared_or_copied() {
        let file = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, 8192).unwrap();
        let map = |shared| {
            Ram::map(&RamOptions {
                size: 4096,
                file: Some((file.as_fd(), 4096)),
                shared,
                reserve: true,
            })
            .unwrap()
        };
        let (shared, copy) = (map(true), map(false));
        shared.store(8, 8, 1).unwrap();
        copy.store(16, 8, 2).unwrap();
        let mut bytes = [0; 24];
        rustix::io::pread(&file, &mut bytes, 4096).unwrap();
        assert_eq!((bytes[8], bytes[16]), (1, 0));
        shared.populate(0..4096);
        shared.discard(0, 4096).unwrap();
        assert_eq!(shared.load(8, 8), Ok(0));
        assert!(matches!(copy.discard(0, 4096), Err(Error::Discard(_))));
    }

    #[test]
    fn words_at_any_alignment() {
        let ram = Ram::new(4096).unwrap();
        for size in [1, 2, 4, 8] {
            for offset in 0..32 {
                let value = 0x8877_6655_4433_2211 & (u64::MAX >> (64 - 8 * u32::from(size)));
                ram.store(offset, size, 0x8877_6655_4433_2211).unwrap();
                assert_eq!(ram.load(offset, size), Ok(value), "{size} at {offset}");
            }
        }
        ram.store(64, 4, 0xffff_ffff_0403_0201).unwrap();
        assert_eq!(ram.load(64, 8), Ok(0x0403_0201));
    }

    #[test]
    fn bytes_at_any_alignment() {
        let ram = Ram::new(4096).unwrap();
        let data: Vec<u8> = (1..=64).collect();
        for offset in 0..16 {
            for length in 0..40 {
                ram.write(offset, &data[..length]).unwrap();
                let mut back = vec![0; length];
                ram.read(offset, &mut back).unwrap();
                assert_eq!(back, data[..length], "{length} at {offset}");
            }
        }
    }

    #[test]
    fn the_end_is_the_end() {
        let ram = Ram::new(4096).unwrap();
        assert!(ram.load(4088, 8).is_ok());
        for offset in [4089, 4096, u64::MAX - 3, u64::MAX] {
            assert!(ram.load(offset, 8).is_err(), "{offset:#x}");
            assert!(ram.store(offset, 8, 0).is_err(), "{offset:#x}");
        }
        assert!(ram.write(4090, &[0; 7]).is_err());
        assert!(ram.read(4096, &mut []).is_ok());
    }

    #[test]
    fn discarded_pages_are_zero() {
        let ram = Ram::new(8192).unwrap();
        ram.write(4096, &[7; 4096]).unwrap();
        ram.write(0, &[9; 4096]).unwrap();
        ram.discard(4096, 4096).unwrap();
        assert_eq!(ram.load(4096, 8), Ok(0));
        assert_eq!(ram.load(0, 1), Ok(9));
        assert!(ram.discard(4096, 8192).is_err());
        assert!(ram.discard(1, 4096).is_err());
    }
}
