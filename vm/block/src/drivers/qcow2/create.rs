//! An empty image.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::meta::bytes_of;

const CLUSTER: u64 = 65_536;
const BITS: u32 = 16;

/// Writes an empty image of `size` bytes into an empty file: the header, the table of reference
/// count blocks, one such block, and the first-level table.
///
/// # Errors
/// The host's, and `EFBIG` for a size that one reference count block cannot begin with.
pub fn create(file: &File, size: u64) -> io::Result<()> {
    let l1_entries = size.div_ceil(CLUSTER * (CLUSTER / 8));
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER).max(1);
    let used = 3 + l1_clusters;
    if l1_entries * 8 > 32 << 20 {
        return Err(rustix::io::Errno::FBIG.into());
    }
    file.write_all_at(&header(size, l1_entries as u32), 0)?;
    file.write_all_at(&bytes_of(&[2 * CLUSTER]), CLUSTER)?;
    let counts: Vec<u8> = (0..used).flat_map(|_| 1_u16.to_be_bytes()).collect();
    file.write_all_at(&counts, 2 * CLUSTER)?;
    file.set_len(used * CLUSTER)
}

/// A header of version 3.
fn header(size: u64, l1_entries: u32) -> Vec<u8> {
    let mut header = b"QFI\xfb".to_vec();
    let mut put = |bytes: &[u8]| header.extend_from_slice(bytes);
    put(&3_u32.to_be_bytes());
    // No backing file.
    put(&[0; 12]);
    put(&BITS.to_be_bytes());
    put(&size.to_be_bytes());
    // No encryption.
    put(&[0; 4]);
    put(&l1_entries.to_be_bytes());
    put(&(3 * CLUSTER).to_be_bytes());
    put(&CLUSTER.to_be_bytes());
    put(&1_u32.to_be_bytes());
    // No snapshots, no features.
    put(&[0; 12 + 24]);
    put(&4_u32.to_be_bytes());
    put(&104_u32.to_be_bytes());
    // The end of the extensions.
    put(&[0; 8]);
    header
}
