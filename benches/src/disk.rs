//! The rows of disks: requests past the guest's page cache, one at a time.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::linux::{self, Linux};
use crate::peer::Program;
use crate::table::{Row, Unit};

const MIB: u64 = 1 << 20;
/// Bytes of the disk.
const SIZE: u64 = 512 * MIB;

/// What is measured: name, kind of request, its length, how many.
const RAW: [(&str, &str, u64, u64); 6] = [
    ("disk, raw: 1 MiB writes", "write", MIB, 256),
    ("disk, raw: 1 MiB reads", "read", MIB, 256),
    ("disk, raw: 4 KiB writes", "write", 4096, 4096),
    ("disk, raw: 4 KiB reads", "read", 4096, 8192),
    (
        "disk, raw: 4 KiB writes anywhere",
        "random-write",
        4096,
        4096,
    ),
    ("disk, raw: 4 KiB reads anywhere", "random-read", 4096, 8192),
];

/// The same for an image that grows under the writes.
const QCOW2: [(&str, &str, u64, u64); 5] = [
    ("disk, qcow2: 1 MiB writes that allocate", "write", MIB, 256),
    ("disk, qcow2: 1 MiB reads", "read", MIB, 256),
    ("disk, qcow2: 4 KiB reads", "read", 4096, 8192),
    (
        "disk, qcow2: 4 KiB writes anywhere",
        "random-write",
        4096,
        4096,
    ),
    (
        "disk, qcow2: 4 KiB reads anywhere",
        "random-read",
        4096,
        8192,
    ),
];

/// Measures every row of disks for one program.
pub fn measure(program: &Program) -> io::Result<Vec<Row>> {
    let Some(artifacts) = linux::artifacts() else {
        eprintln!("TINAMOU_GUEST is not set: disks are not measured");
        return Ok(Vec::new());
    };
    let mut rows = image(program, &artifacts, "raw", &RAW)?;
    rows.extend(image(program, &artifacts, "qcow2", &QCOW2)?);
    Ok(rows)
}

fn image(
    program: &Program,
    artifacts: &Path,
    format: &str,
    requests: &[(&'static str, &str, u64, u64)],
) -> io::Result<Vec<Row>> {
    let directory = TempDir::new()?;
    let path = directory.path().join("disk");
    let created = Command::new("qemu-img")
        .args(["create", "-q", "-f", format])
        .arg(&path)
        .arg(SIZE.to_string())
        .status()?;
    if !created.success() {
        return Err(io::Error::other("qemu-img cannot make an image"));
    }
    let drive = format!("file={},format={format},if=none,id=d0", path.display());
    let device = "virtio-blk-pci,drive=d0";
    let arguments = ["-M", "virt", "-drive", &drive, "-device", device];
    let mut guest = Linux::start(program, artifacts, "Image.small", &arguments)?;
    guest.expect("@> ")?;
    let rows = requests.iter().map(|(name, kind, length, count)| {
        // What a line costs that does next to nothing.
        let idle = time(&mut guest, &format!("t io {kind} 0 {length} 1"))?;
        let busy = time(&mut guest, &format!("t io {kind} 0 {length} {count}"))?;
        let seconds = (busy - idle).max(f64::EPSILON);
        let requests = (count - 1) as f64;
        Ok(match *length {
            MIB => Row::more(
                name,
                requests * MIB as f64 / 1e6 / seconds,
                Unit::MegabytesPerSecond,
            ),
            _ => Row::more(name, requests / seconds, Unit::PerSecond),
        })
    });
    rows.collect()
}

fn time(guest: &mut Linux, line: &str) -> io::Result<f64> {
    let start = Instant::now();
    guest.run(line)?;
    Ok(start.elapsed().as_secs_f64())
}
