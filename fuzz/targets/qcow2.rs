//! Images in qcow2 format: any bytes give a disk or an error, and a disk can be used.

use std::io;
use std::ops::Range;
use std::sync::Mutex;

use tinamou_block::qcow2::Qcow2;
use tinamou_block::{Bond, Claim, Driver, Io, Node, NodeOptions, Zeroes};

/// Longest image that a disk's writes may make.
const LIMIT: usize = 8 << 20;

/// A file in memory.
struct Memory(Mutex<Vec<u8>>);

impl Memory {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        act(&mut self.0.lock().expect("nobody panics with it"))
    }

    fn put(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(LIMIT);
        let end = start.saturating_add(data.len());
        if end > LIMIT {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.with(|bytes| {
            bytes.resize(bytes.len().max(end), 0);
            bytes[start..end].copy_from_slice(data);
        });
        Ok(())
    }
}

impl Driver for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn size(&self) -> u64 {
        self.with(|bytes| bytes.len() as u64).next_multiple_of(512)
    }

    fn read<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> Io<'a> {
        self.with(|bytes| {
            let start = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let length = buffer.len().min(bytes.len() - start);
            buffer.fill(0);
            buffer[..length].copy_from_slice(&bytes[start..start + length]);
        });
        Box::pin(async { Ok(()) })
    }

    fn write<'a>(&'a self, offset: u64, data: &'a [u8]) -> Io<'a> {
        Box::pin(async move { self.put(offset, data) })
    }

    fn write_zeroes(&self, range: Range<u64>, _: Zeroes) -> Io<'_> {
        Box::pin(async move { self.put(range.start, &vec![0; (range.end - range.start) as usize]) })
    }

    fn discard(&self, _: Range<u64>) -> Io<'_> {
        Box::pin(async { Ok(()) })
    }

    fn flush(&self) -> Io<'_> {
        Box::pin(async { Ok(()) })
    }

    fn resize(&self, _: u64) -> Io<'_> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn grows(&self) -> bool {
        true
    }

    fn filename(&self) -> String {
        "memory".to_owned()
    }
}

/// Runs the target on one input, an image.
pub fn run(input: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(open(input));
}

async fn open(input: &[u8]) {
    let memory = Memory(Mutex::new(input.to_vec()));
    let file = Node::new("file", Box::new(memory), NodeOptions::default());
    let claim = Bond::Format.claim(Claim::IDLE, true);
    let file = file
        .join("node 'disk'", "file", Bond::Format, claim)
        .expect("nobody else uses it");
    let Ok(header) = Qcow2::probe(&file).await else {
        return;
    };
    let Ok(image) = Qcow2::open(file, None, header, false, true).await else {
        return;
    };
    let disk = Node::new("disk", Box::new(image), NodeOptions::default());
    use_disk(&disk).await;
}

/// Does a little of everything; all of it may fail.
async fn use_disk(disk: &Node) {
    let size = disk.size();
    let mut bytes = vec![0; 8192.min(size as usize)];
    for place in [0, size / 3, size / 2] {
        let place = place.min(size - bytes.len() as u64);
        let _ = disk.read(place, &mut bytes).await;
        let _ = disk
            .write(place + place % 512, &bytes[..bytes.len() / 2])
            .await;
    }
    let end = size.min(100_000);
    let _ = disk
        .write_zeroes(1000.min(end)..end, Zeroes { unmap: true })
        .await;
    let _ = disk.extent(0..end).await;
    let _ = disk.flush().await;
    let _ = disk.resize(size.saturating_add(1 << 20) / 512 * 512).await;
    let _ = disk.read(0, &mut bytes).await;
    let _ = disk.close().await;
}
