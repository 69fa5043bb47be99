//! Damage to an image that shows while it is in use. Wordings and places are QEMU's.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tinamou_block::{Corruption, Graph, IoError, Node, Observer};

use crate::qcow2::qemu_img;
use crate::support::{Image, options, run};

/// Where things are in an image that `qemu-img` has made, with data in the clusters behind them.
const REFCOUNT_TABLE: u64 = 0x10000;
const REFCOUNTS: u64 = 0x20000;
const L1: u64 = 0x30000;
const L2: u64 = 0x40000;
const DATA: u64 = 0x50000;

const CLUSTER: u64 = 0x10000;
const COPIED: u64 = 1 << 63;

#[derive(Default)]
struct Heard(Mutex<Vec<(String, String, Corruption)>>);

impl Observer for Heard {
    fn io_error(&self, _: &IoError) {}

    fn image_corrupted(&self, device: &str, node: &str, corruption: &Corruption) {
        let mut heard = self.0.lock().expect("no panic");
        heard.push((device.to_owned(), node.to_owned(), corruption.clone()));
    }
}

impl Heard {
    fn take(&self) -> Vec<(String, String, Corruption)> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }
}

/// An image with two clusters of data, in which something is changed then.
fn image(changes: &[(u64, u64)]) -> Image {
    let (raw, image) = (Image::new(&[1; 2 * CLUSTER as usize]), Image::new(&[]));
    let (from, to) = (raw.path(), image.path());
    let [from, to] = [&from, &to].map(|path| path.to_str().expect("a path"));
    let here = Path::new(".");
    qemu_img(&["convert", "-f", "raw", "-O", "qcow2", from, to], here);
    qemu_img(&["resize", "-q", "-f", "qcow2", to, "64M"], here);
    let mut bytes = image.content();
    for (offset, value) in changes {
        let offset = *offset as usize;
        bytes[offset..offset + 8].copy_from_slice(&value.to_be_bytes());
    }
    std::fs::write(image.path(), bytes).expect("the image");
    image
}

async fn open(image: &Image, rest: &str) -> Result<(Graph, Arc<Node>, Arc<Heard>), String> {
    let heard = Arc::new(Heard::default());
    let runtime = tokio::runtime::Handle::current();
    let graph = Graph::new(runtime, Arc::clone(&heard) as _);
    let path = image.path();
    let text = format!(
        "{{'driver': 'qcow2', 'node-name': 'd0'{rest},
           'file': {{'driver': 'file', 'filename': '{}'}}}}",
        path.display()
    );
    let node = graph.add(options(&text)).await;
    node.map(|node| (graph, node, heard))
        .map_err(|error| error.to_string())
}

const EIO: i32 = 5;
const ENOMEDIUM: i32 = 123;

enum Op {
    Read(u64),
    Write(u64, usize),
    Discard,
}

impl Op {
    async fn errno(&self, node: &Node) -> Option<i32> {
        let done = match *self {
            Self::Read(offset) => node.read(offset, &mut [0; 4096]).await,
            Self::Write(offset, length) => node.write(offset, &vec![2; length]).await,
            Self::Discard => node.discard(0..CLUSTER).await,
        };
        done.err().and_then(|error| error.raw_os_error())
    }
}

#[test]
fn the_image_is_marked_and_closed() {
    let overlap = |table| format!("Preventing invalid write on metadata (overlaps with {table})");
    let l2 = "L2 table offset 0x40200 unaligned (L1 index: 0)";
    let cluster = "Cluster allocation offset 0x50200 unaligned (L2 offset: 0x40000, L2 index: 0)";
    let second = "Cluster allocation offset 0x60200 unaligned (L2 offset: 0x40000, L2 index: 0x1)";
    let rows = [
        ((L1, COPIED | (L2 + 512)), Op::Read(0), l2.to_owned(), None),
        (
            (L1, COPIED | (L2 + 512)),
            Op::Write(0, 4096),
            l2.into(),
            None,
        ),
        (
            (L2, COPIED | (DATA + 512)),
            Op::Read(0),
            cluster.into(),
            None,
        ),
        (
            (L2, COPIED | (DATA + 512) | 1),
            Op::Read(0),
            cluster.into(),
            None,
        ),
        (
            (L2, COPIED | (DATA + 512)),
            Op::Write(0, 4096),
            cluster.into(),
            None,
        ),
        (
            (L2, COPIED | (DATA + 512)),
            Op::Discard,
            cluster.into(),
            None,
        ),
        (
            (L2 + 8, COPIED | (DATA + CLUSTER + 512)),
            Op::Read(CLUSTER),
            second.into(),
            None,
        ),
        (
            (L2, COPIED | L1),
            Op::Write(0, 4096),
            overlap("active L1 table"),
            Some((L1, 4096)),
        ),
        (
            (L2, COPIED | L2),
            Op::Write(4096, 8192),
            overlap("active L2 table"),
            Some((L2 + 4096, 8192)),
        ),
        (
            (L2, COPIED | REFCOUNT_TABLE),
            Op::Write(4096, 8192),
            overlap("refcount table"),
            Some((REFCOUNT_TABLE + 4096, 8192)),
        ),
        (
            (L2, COPIED | REFCOUNTS),
            Op::Write(4096, 8192),
            overlap("refcount block"),
            Some((REFCOUNTS + 4096, 8192)),
        ),
        (
            (REFCOUNT_TABLE, REFCOUNTS + 512),
            Op::Write(1 << 20, 8192),
            "Refblock offset 0x20200 unaligned (reftable index: 0)".into(),
            None,
        ),
    ];
    for (change, op, message, place) in rows {
        run(async {
            let image = image(&[change]);
            let (graph, node, heard) = open(&image, ",'discard':'unmap'").await.expect("it opens");
            assert_eq!(op.errno(&node).await, Some(EIO), "{message}");
            let corruption = Corruption {
                message: message.clone(),
                place,
                fatal: true,
            };
            assert_eq!(heard.take(), [(String::new(), "d0".into(), corruption)]);
            // The bit in the header is set, and nothing goes on.
            assert_eq!(image.content()[79], 2, "{message}");
            for op in [op, Op::Read(0), Op::Write(8 << 20, 512)] {
                assert_eq!(op.errno(&node).await, Some(ENOMEDIUM), "{message}");
            }
            let closed = image.content();
            graph.close().await;
            assert_eq!(heard.take(), []);
            assert!(image.content() == closed, "{message}: nothing is written");
            drop((graph, node));
            let refused = "qcow2: Image is corrupt; cannot be opened read/write";
            assert_eq!(open(&image, "").await.err().as_deref(), Some(refused));
            let (_, node, _) = open(&image, ",'read-only':true").await.expect("it opens");
            assert!(node.is_read_only());
        });
    }
}

#[test]
fn what_is_only_read_is_told_once() {
    run(async {
        let image = image(&[(L2, COPIED | (DATA + 512))]);
        let before = image.content();
        let (_graph, node, heard) = open(&image, ",'read-only':true").await.expect("it opens");
        for told in [1, 0] {
            assert_eq!(Op::Read(0).errno(&node).await, Some(EIO));
            assert_eq!(heard.take().len(), told);
        }
        assert_eq!(Op::Read(CLUSTER).errno(&node).await, None);
        assert!(image.content() == before, "nothing is written");
    });
}

#[test]
fn the_drive_is_named() {
    run(async {
        let image = image(&[(L1, COPIED | (L2 + 512))]);
        let (graph, node, heard) = open(&image, "").await.expect("it opens");
        let drive = graph.new_backend("drive0");
        drive.insert(&node).expect("nobody else uses it");
        drive.read(0, &mut [0; 512]).await.expect_err("damage");
        let heard = heard.take();
        assert_eq!((heard[0].0.as_str(), heard[0].1.as_str()), ("drive0", "d0"));
    });
}
