//! `qcow2`: images that grow as they are written and show another image behind them.
//!
//! The format is that of QEMU's document `docs/interop/qcow2`. Read and written: versions 2 and 3,
//! all cluster sizes, all widths of reference counts, deflated clusters (read), images with
//! internal snapshots, which stay as they are.

mod compressed;
mod corruption;
mod create;
mod header;
mod io;
mod mapping;
mod meta;
mod refcounts;

use std::io::Result as IoResult;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tinamou_api as api;
use tokio::sync::{Mutex, Notify, RwLock};

use crate::backend::reason;
use crate::driver::{Driver, Extent, Io, Reopen, Zeroes};
use crate::error::{Error, Result};
use crate::node::{Edge, NodeOptions};

use corruption::{Health, overlap};
pub use create::create;
pub use header::Header;
use meta::Meta;

/// An open image.
pub struct Qcow2 {
    file: Edge,
    backing: Option<Edge>,
    header: Header,
    size: AtomicU64,
    /// The tables. Whoever has them may wait for the file, but not for another request.
    meta: Mutex<Meta>,
    /// A place was found for clusters, and who waits may look again.
    allocated: Notify,
    /// Requests for data share it; whoever takes clusters away has it alone, so that no request
    /// is on its way to a cluster that is something else by then.
    traffic: RwLock<()>,
    unpacked: compressed::Last,
    read_only: AtomicBool,
    health: Health,
}

impl Qcow2 {
    /// Reads the header of the image in `file`.
    ///
    /// # Errors
    /// It is no image, or one that is not understood.
    pub async fn probe(file: &Edge) -> Result<Header> {
        let unreadable = |error| Error::Host("Could not read qcow2 header", error);
        let length = file.size().min(Header::PROBE as u64) as usize;
        let mut start = vec![0; length];
        file.read(0, &mut start).await.map_err(unreadable)?;
        let size = Header::cluster_size(&start)?;
        let mut cluster = vec![0; size.min(usize::try_from(file.size()).unwrap_or(size))];
        file.read(0, &mut cluster).await.map_err(unreadable)?;
        Header::parse(&cluster)
    }

    /// Opens the image whose header has been read.
    ///
    /// # Errors
    /// Its tables cannot be read, or it must not be written in the state it is in.
    pub async fn open(
        file: Edge,
        backing: Option<Edge>,
        header: Header,
        read_only: bool,
        pass_discards: bool,
    ) -> Result<Self> {
        if !read_only {
            make_writable(&file, &header).await?;
        }
        let meta = Meta::load(&file, header.clone(), pass_discards).await;
        let meta = meta.map_err(|error| Error::Host("Could not read L1 table", error))?;
        Ok(Self {
            size: AtomicU64::new(header.size - header.size % 512),
            file,
            backing,
            header,
            meta: Mutex::new(meta),
            allocated: Notify::new(),
            traffic: RwLock::new(()),
            unpacked: compressed::Last::default(),
            read_only: AtomicBool::new(read_only),
            health: Health::default(),
        })
    }

    fn cluster(&self) -> u64 {
        self.header.cluster()
    }

    async fn resize_to(&self, size: u64) -> IoResult<()> {
        let _alone = self.traffic.write().await;
        let old = self.size();
        if !size.is_multiple_of(512) {
            return Err(rustix::io::Errno::INVAL.into());
        }
        if size < old {
            let start = size.next_multiple_of(self.cluster());
            self.drop_clusters(start..old.next_multiple_of(self.cluster()), false)
                .await?;
        }
        let mut meta = self.meta.lock().await;
        let entries = usize::try_from(size.div_ceil(self.header.l2_span()));
        let entries = entries.ok().filter(|entries| *entries * 8 <= 32 << 20);
        let entries = entries.ok_or(rustix::io::Errno::FBIG)?;
        meta.grow_l1(&self.file, entries).await?;
        meta.write_back(&self.file).await?;
        drop(meta);
        let shown = self
            .backing
            .as_ref()
            .map_or(0, |backing| backing.size())
            .min(size);
        if shown > old {
            // What is behind must not show where the disk has just been made longer.
            self.hide(old..shown).await?;
        }
        self.file.write(24, &size.to_be_bytes()).await?;
        self.size.store(size, Ordering::Release);
        Ok(())
    }
}

/// Prepares an image for being written.
async fn make_writable(file: &Edge, header: &Header) -> Result<()> {
    if header.is_corrupt() {
        return Err(is_corrupt());
    }
    if header.is_dirty() {
        let why = "qcow2: Reference counts are out of date; the image needs a repair";
        return Err(Error::Image(why.into()));
    }
    if header.autoclear == 0 {
        return Ok(());
    }
    // Whatever those features describe is out of date after the first write.
    let cleared = file.write(88, &[0; 8]).await;
    cleared
        .map_err(|error| Error::Image(format!("Could not update qcow2 header: {}", reason(&error))))
}

fn is_corrupt() -> Error {
    Error::Image("qcow2: Image is corrupt; cannot be opened read/write".into())
}

impl Driver for Qcow2 {
    fn name(&self) -> &'static str {
        "qcow2"
    }

    fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    fn read<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> Io<'a> {
        Box::pin(self.guard(async move {
            let _traffic = self.traffic.read().await;
            self.read_all(offset, buffer).await
        }))
    }

    fn write<'a>(&'a self, offset: u64, data: &'a [u8]) -> Io<'a> {
        Box::pin(self.guard(async move {
            let _traffic = self.traffic.read().await;
            self.write_all(offset, data).await
        }))
    }

    fn write_zeroes(&self, range: Range<u64>, how: Zeroes) -> Io<'_> {
        Box::pin(self.guard(self.zero(range, how)))
    }

    fn discard(&self, range: Range<u64>) -> Io<'_> {
        Box::pin(self.guard(async move {
            let start = range.start.next_multiple_of(self.cluster());
            let end = self.whole_end(range.end);
            if start >= end {
                return Ok(());
            }
            let _alone = self.traffic.write().await;
            self.drop_clusters(start..end, false).await
        }))
    }

    fn flush(&self) -> Io<'_> {
        Box::pin(self.guard(async move {
            self.meta.lock().await.write_back(&self.file).await?;
            self.file.flush().await
        }))
    }

    fn resize(&self, size: u64) -> Io<'_> {
        Box::pin(self.guard(self.resize_to(size)))
    }

    fn extent(&self, range: Range<u64>) -> Io<'_, Extent> {
        Box::pin(self.guard(async move {
            let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            if wanted == 0 {
                return Ok(Extent {
                    length: 0,
                    allocated: false,
                    zero: false,
                });
            }
            let _traffic = self.traffic.read().await;
            let (mapping, length) = self.run(range.start, wanted).await?;
            Ok(Extent {
                length: length as u64,
                allocated: mapping != mapping::Mapping::Unallocated,
                zero: self.reads_as_zeros(mapping),
            })
        }))
    }

    fn close(&self) -> Io<'_> {
        Box::pin(async move {
            if self.health.is_closed() {
                // What is in memory must not make things worse.
                return Ok(());
            }
            let written = async { self.meta.lock().await.write_back(&self.file).await };
            self.guard(written).await
        })
    }

    fn children(&self) -> Vec<&Edge> {
        let file = std::iter::once(&self.file);
        file.chain(&self.backing).collect()
    }

    fn reopen<'a>(&'a self, options: &'a NodeOptions) -> Reopen<'a> {
        Box::pin(async move {
            if !options.read_only {
                if self.health.is_closed() {
                    return Err(is_corrupt());
                }
                make_writable(&self.file, &self.header).await?;
            }
            self.read_only.store(options.read_only, Ordering::Release);
            Ok(())
        })
    }

    fn describe(&self, info: &mut api::BlockNodeInfo) {
        let mut file = api::BlockNodeInfo { ..info.clone() };
        self.file.describe(&mut file);
        let header = &self.header;
        info.actual_size = file.actual_size;
        info.dirty_flag = Some(header.is_dirty());
        info.cluster_size = Some(header.cluster() as i64);
        info.backing_filename.clone_from(&header.backing_file);
        info.backing_filename_format
            .clone_from(&header.backing_format);
        info.full_backing_filename = header
            .backing_file
            .as_ref()
            .map(|name| crate::filename::beside(&self.file.filename(), name));
        let new = |value| (header.version >= 3).then_some(value);
        let data = api::ImageInfoSpecificQCow2 {
            compat: if header.version >= 3 { "1.1" } else { "0.10" }.into(),
            extended_l2: new(false),
            lazy_refcounts: new(header.has_lazy_refcounts()),
            corrupt: new(header.is_corrupt() || self.health.is_closed()),
            refcount_bits: 1 << header.refcount_order,
            compression_type: api::Qcow2CompressionType::Zlib,
        };
        info.format_specific = Some(api::ImageInfoSpecific {
            branch: api::ImageInfoSpecificBranch::Qcow2(api::ImageInfoSpecificQCow2Wrapper {
                data,
            }),
        });
    }

    fn filename(&self) -> String {
        self.file.filename()
    }
}

impl Qcow2 {
    /// The end of the last whole cluster before `end`; the disk's last cluster counts as whole.
    fn whole_end(&self, end: u64) -> u64 {
        match end == self.size() {
            true => end.next_multiple_of(self.cluster()),
            false => end - end % self.cluster(),
        }
    }

    /// A range of the file that data may be written to.
    fn check_place(&self, meta: &Meta, host: u64, length: u64) -> IoResult<()> {
        match meta.overlap(host, length) {
            Some(table) => Err(overlap(host, length, table)),
            None => Ok(()),
        }
    }
}
