//! The header of an image: what it says, and whether that can be true.

use crate::error::Error;

/// `QFI\xfb`
const MAGIC: u32 = 0x5146_49fb;
/// Length of the header of version 2, and of the least one of version 3.
const LENGTH_V2: usize = 72;
const LENGTH_V3: usize = 104;
/// Longest name of a backing file.
const NAME_LIMIT: usize = 1023;
/// Largest table of first-level entries, in bytes.
const L1_LIMIT: u64 = 32 << 20;
/// Largest table of reference count blocks, in bytes.
const REFCOUNT_TABLE_LIMIT: u64 = 8 << 20;

const EXTENSION_END: u32 = 0;
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;

/// Features that forbid use by programs that do not know them.
pub(super) mod incompatible {
    /// Reference counts may be out of date.
    pub(crate) const DIRTY: u64 = 1;
    /// The image is damaged.
    pub(crate) const CORRUPT: u64 = 2;
    /// The way of compression is in the header.
    pub(crate) const COMPRESSION: u64 = 8;
    /// Those that are known here.
    pub(crate) const KNOWN: u64 = DIRTY | CORRUPT | COMPRESSION;
    /// Those that are known by name only, by bit.
    pub(crate) const NAMES: [(u64, &str); 2] =
        [(4, "external data file"), (16, "extended L2 entries")];
}

/// Reference counts may lag behind.
const LAZY_REFCOUNTS: u64 = 1;

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the format: 2 or 3.
    pub version: u32,
    /// Binary logarithm of the cluster size.
    pub cluster_bits: u32,
    /// Bytes of the disk.
    pub size: u64,
    /// Entries of the first-level table.
    pub l1_size: u32,
    /// Where it is.
    pub l1_offset: u64,
    /// Where the table of reference count blocks is.
    pub refcount_table_offset: u64,
    /// How many clusters it has.
    pub refcount_table_clusters: u32,
    /// Binary logarithm of the bits of a reference count.
    pub refcount_order: u32,
    /// Internal snapshots.
    pub snapshots: u32,
    /// `incompatible_features`
    pub incompatible: u64,
    /// `compatible_features`
    pub compatible: u64,
    /// `autoclear_features`
    pub autoclear: u64,
    /// The image behind.
    pub backing_file: Option<String>,
    /// Its format.
    pub backing_format: Option<String>,
}

/// A header as numbers at fixed places.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&self, offset: usize) -> u32 {
        let bytes = self.0.get(offset..offset + 4);
        bytes.map_or(0, |bytes| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
        })
    }

    fn u64(&self, offset: usize) -> u64 {
        u64::from(self.u32(offset)) << 32 | u64::from(self.u32(offset + 4))
    }
}

impl Header {
    /// Bytes to read before anything is known: more than any header has at first.
    pub const PROBE: usize = 512;

    /// The cluster size that a beginning tells, so that all of the first cluster can be read.
    ///
    /// # Errors
    /// It is no image of this format.
    pub fn cluster_size(start: &[u8]) -> Result<usize, Error> {
        let fields = Fields(start);
        if start.len() < LENGTH_V2 || fields.u32(0) != MAGIC {
            return refuse("Image is not in qcow2 format");
        }
        let version = fields.u32(4);
        if !(2..=3).contains(&version) {
            return refuse(format!("Unsupported qcow2 version {version}"));
        }
        let bits = fields.u32(20);
        if !(9..=21).contains(&bits) {
            return refuse(format!("Unsupported cluster size: 2^{bits}"));
        }
        Ok(1 << bits)
    }

    /// Reads the header out of the first cluster.
    ///
    /// # Errors
    /// It is no image of this format, or one that is not understood, or its parts contradict each
    /// other.
    pub fn parse(cluster: &[u8]) -> Result<Self, Error> {
        let cluster_size = Self::cluster_size(cluster)?;
        let fields = Fields(cluster);
        let version = fields.u32(4);
        let is_new = version >= 3;
        let length = if is_new {
            fields.u32(100) as usize
        } else {
            LENGTH_V2
        };
        if is_new && length < LENGTH_V3 {
            return refuse("qcow2 header too short");
        }
        if length > cluster_size {
            return refuse("qcow2 header exceeds cluster size");
        }
        let header = Self {
            version,
            cluster_bits: fields.u32(20),
            size: fields.u64(24),
            l1_size: fields.u32(36),
            l1_offset: fields.u64(40),
            refcount_table_offset: fields.u64(48),
            refcount_table_clusters: fields.u32(56),
            refcount_order: if is_new { fields.u32(96) } else { 4 },
            snapshots: fields.u32(60),
            incompatible: if is_new { fields.u64(72) } else { 0 },
            compatible: if is_new { fields.u64(80) } else { 0 },
            autoclear: if is_new { fields.u64(88) } else { 0 },
            backing_file: backing_file(cluster, &fields, cluster_size)?,
            backing_format: extensions(cluster, length, fields.u64(8))?,
        };
        header.check_features(&fields, length)?;
        header.check_tables()?;
        Ok(header)
    }

    /// Bytes of a cluster.
    pub fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Entries of a second-level table.
    pub fn l2_entries(&self) -> u64 {
        self.cluster() / 8
    }

    /// Bytes of the disk that one second-level table maps.
    pub fn l2_span(&self) -> u64 {
        self.cluster() * self.l2_entries()
    }

    /// Entries of a reference count block.
    pub fn refcount_entries(&self) -> u64 {
        (self.cluster() * 8) >> self.refcount_order
    }

    /// Whether reference counts may be out of date.
    pub fn is_dirty(&self) -> bool {
        self.incompatible & incompatible::DIRTY != 0
    }

    /// Whether the image is marked as damaged.
    pub fn is_corrupt(&self) -> bool {
        self.incompatible & incompatible::CORRUPT != 0
    }

    /// Whether reference counts may lag behind.
    pub fn has_lazy_refcounts(&self) -> bool {
        self.compatible & LAZY_REFCOUNTS != 0
    }

    fn check_features(&self, fields: &Fields<'_>, length: usize) -> Result<(), Error> {
        if fields.u32(32) != 0 {
            return refuse(format!("Unsupported encryption method {}", fields.u32(32)));
        }
        let unknown = self.incompatible & !incompatible::KNOWN;
        if unknown != 0 {
            let names = incompatible::NAMES.iter();
            let mut names: Vec<String> = names
                .filter(|(bit, _)| unknown & bit != 0)
                .map(|(_, name)| (*name).to_owned())
                .collect();
            let rest = incompatible::NAMES
                .iter()
                .fold(unknown, |rest, (bit, _)| rest & !bit);
            if rest != 0 {
                names.push(format!("Unknown incompatible feature: {rest:x}"));
            }
            return refuse(format!(
                "Unsupported qcow2 feature(s): {}",
                names.join(", ")
            ));
        }
        let compression = if length > LENGTH_V3 {
            fields.u32(104) >> 24
        } else {
            0
        };
        let told = self.incompatible & incompatible::COMPRESSION != 0;
        if compression != 0 || told {
            return refuse(format!("qcow2: unknown compression type: {compression}"));
        }
        if self.refcount_order > 6 {
            return refuse("Reference count entry width too large; may not exceed 64 bits");
        }
        Ok(())
    }

    fn check_tables(&self) -> Result<(), Error> {
        if self.refcount_table_clusters == 0 {
            return refuse("Image does not contain a reference count table");
        }
        let bytes = u64::from(self.refcount_table_clusters) << self.cluster_bits;
        let offset = self.refcount_table_offset;
        self.check_table("Reference count table", offset, bytes, REFCOUNT_TABLE_LIMIT)?;
        let bytes = u64::from(self.l1_size) * 8;
        self.check_table("Active L1 table", self.l1_offset, bytes, L1_LIMIT)?;
        if self.size > i64::MAX as u64 {
            return refuse("Image is too big");
        }
        let needed = self.size.div_ceil(self.l2_span());
        if needed * 8 > L1_LIMIT {
            return refuse("Image is too big");
        }
        if u64::from(self.l1_size) < needed {
            return refuse("L1 table is too small");
        }
        Ok(())
    }

    fn check_table(&self, name: &str, offset: u64, bytes: u64, limit: u64) -> Result<(), Error> {
        if bytes > limit {
            return refuse(format!("{name} too large"));
        }
        let end = offset
            .checked_add(bytes)
            .filter(|end| *end <= i64::MAX as u64);
        if end.is_none() || !offset.is_multiple_of(self.cluster()) {
            return refuse(format!("{name} offset invalid"));
        }
        Ok(())
    }
}

fn backing_file(
    cluster: &[u8],
    fields: &Fields<'_>,
    cluster_size: usize,
) -> Result<Option<String>, Error> {
    let (offset, length) = (fields.u64(8), fields.u32(16) as usize);
    if offset > cluster_size as u64 {
        return refuse("Invalid backing file offset");
    }
    if offset == 0 {
        return Ok(None);
    }
    if length > NAME_LIMIT.min(cluster_size - offset as usize) {
        return refuse("Backing file name too long");
    }
    let name = cluster.get(offset as usize..offset as usize + length);
    let name = name.ok_or_else(|| Error::Image("Could not read backing file name".into()))?;
    Ok((length > 0).then(|| String::from_utf8_lossy(name).into_owned()))
}

/// Walks the extensions behind the header, up to the backing file's name, and returns the format
/// that one of them gives it.
fn extensions(cluster: &[u8], start: usize, backing: u64) -> Result<Option<String>, Error> {
    let end = match backing {
        0 => cluster.len(),
        backing => cluster
            .len()
            .min(usize::try_from(backing).unwrap_or(usize::MAX)),
    };
    let fields = Fields(cluster);
    let mut format = None;
    let mut offset = start;
    while offset + 8 <= end {
        let (kind, length) = (fields.u32(offset), fields.u32(offset + 4) as usize);
        offset += 8;
        if kind == EXTENSION_END {
            break;
        }
        if length > end - offset {
            return refuse("Header extension too large");
        }
        if kind == EXTENSION_BACKING_FORMAT {
            let name = &cluster[offset..offset + length];
            format = Some(String::from_utf8_lossy(name).into_owned());
        }
        offset += length.next_multiple_of(8);
    }
    Ok(format)
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Image(why.into()))
}
