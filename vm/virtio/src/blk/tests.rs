//! A driver's requests, honest and not.

use std::path::Path;
use std::sync::Arc;

use tempfile::NamedTempFile;
use tinamou_block::file::{File, Kind, Options as FileOptions};
use tinamou_block::{BlockBackend, IoError, Node, NodeOptions, Observer, Operation};

use super::spec::{feature, request, status};
use super::{Blk, Options};
use crate::driver::{Guest, Ring};
use crate::{Virtio, VirtioDevice};

struct Nobody;

impl Observer for Nobody {
    fn io_error(&self, _: &IoError) {}
}

/// A guest with a disk of 64 KiB.
struct Bench {
    guest: Guest,
    disk: Arc<BlockBackend>,
    device: Arc<Virtio>,
    ring: Ring,
    image: NamedTempFile,
}

fn node(path: &Path, read_only: bool) -> Arc<Node> {
    let options = FileOptions {
        path: path.to_owned(),
        writable: !read_only,
        ..FileOptions::default()
    };
    let file = File::open(Kind::File, &options).expect("the image opens");
    let options = NodeOptions {
        read_only,
        unmap: true,
        ..NodeOptions::default()
    };
    Node::new("disk", Box::new(file), options)
}

impl Bench {
    fn new(options: Options, read_only: bool) -> Self {
        let image = NamedTempFile::new().expect("a file");
        image.as_file().set_len(64 << 10).expect("a length");
        let disk = BlockBackend::new("disk", Arc::new(Nobody));
        disk.insert(&node(image.path(), read_only))
            .expect("nobody else uses it");
        let guest = Guest::new();
        let backend = Arc::clone(&disk);
        let device = guest.plug(|port| Blk::new(port, backend, options));
        let ring = Ring::split(&guest, 16);
        ring.enable(&device, 0);
        guest.start(
            &device,
            feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES,
        );
        Self {
            guest,
            disk,
            device,
            ring,
            image,
        }
    }

    /// Makes a request and returns its status and what came back before that.
    fn request(&mut self, kind: u32, sector: u64, data: &[u8], room: u32) -> (u8, Vec<u8>) {
        let mut header = kind.to_le_bytes().to_vec();
        header.extend([0; 4]);
        header.extend(sector.to_le_bytes());
        let readable: Vec<&[u8]> = if data.is_empty() {
            vec![&header]
        } else {
            vec![&header, data]
        };
        let writable = if room == 0 { vec![1] } else { vec![room, 1] };
        let head = self.ring.add(&self.guest, &readable, &writable);
        self.device.kick(0);
        let (ring, guest) = (&mut self.ring, &self.guest);
        guest.run_until(|| ring.used(guest) == Some((head, room + 1)));
        let mut bytes = self.ring.filled(&self.guest, head);
        let status = bytes.pop().expect("a status");
        (status, bytes)
    }
}

fn range(sector: u64, count: u32, flags: u32) -> Vec<u8> {
    let mut bytes = sector.to_le_bytes().to_vec();
    bytes.extend(count.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes
}

#[test]
fn data_come_back() {
    let mut bench = Bench::new(Options::default(), false);
    let data = vec![7; 1024];
    assert_eq!(
        bench.request(request::OUT, 3, &data, 0),
        (status::OK, vec![])
    );
    assert_eq!(bench.request(request::IN, 3, &[], 1024), (status::OK, data));
    assert_eq!(bench.request(request::FLUSH, 0, &[], 0).0, status::OK);
    let content = std::fs::read(bench.image.path()).expect("the image");
    assert_eq!(
        [content[1535], content[1536], content[2559], content[2560]],
        [0, 7, 7, 0]
    );
    let counted = Operation::ALL.map(|operation| bench.disk.stats().counters(operation).operations);
    assert_eq!(counted, [1, 1, 1, 0]);
}

#[test]
fn requests_that_make_no_sense_fail_alone() {
    let mut bench = Bench::new(Options::default(), false);
    let rows = [
        (request::IN, 128, vec![], 512, status::IOERR),
        (request::IN, 127, vec![], 1024, status::IOERR),
        (request::IN, u64::MAX, vec![], 512, status::IOERR),
        (request::IN, 0, vec![], 100, status::IOERR),
        (request::OUT, u64::MAX / 512, vec![1; 512], 0, status::IOERR),
        (request::OUT, 0, vec![1; 7], 0, status::IOERR),
        (request::DISCARD, 0, range(0, 8, 1), 0, status::UNSUPP),
        (request::DISCARD, 0, range(0, u32::MAX, 0), 0, status::IOERR),
        (request::DISCARD, 0, vec![0; 15], 0, status::UNSUPP),
        (request::DISCARD, 0, vec![0; 32], 0, status::UNSUPP),
        (request::WRITE_ZEROES, 0, range(0, 8, 2), 0, status::UNSUPP),
        (
            request::WRITE_ZEROES,
            0,
            range(u64::MAX, 8, 0),
            0,
            status::IOERR,
        ),
        (77, 0, vec![], 0, status::UNSUPP),
    ];
    for (kind, sector, data, room, wanted) in rows {
        let (status, _) = bench.request(kind, sector, &data, room);
        assert_eq!(status, wanted, "{kind} {sector} {}", data.len());
    }
    assert_eq!(bench.request(request::IN, 0, &[], 512).0, status::OK);
    assert!(bench.disk.stats().counters(Operation::Read).invalid > 0);
}

#[test]
fn ranges_are_zeroed_and_discarded() {
    let mut bench = Bench::new(Options::default(), false);
    bench.request(request::OUT, 0, &[9; 8192], 0);
    assert_eq!(
        bench
            .request(request::WRITE_ZEROES, 0, &range(2, 4, 1), 0)
            .0,
        status::OK
    );
    assert_eq!(
        bench.request(request::DISCARD, 0, &range(8, 8, 0), 0).0,
        status::OK
    );
    let (_, bytes) = bench.request(request::IN, 0, &[], 8192);
    let zero = |index: usize| (1024..3072).contains(&index) || index >= 4096;
    let wrong = (0..8192).find(|index| bytes[*index] != if zero(*index) { 0 } else { 9 });
    assert_eq!(wrong, None);
    let counted = bench.disk.stats().counters(Operation::Unmap);
    assert_eq!((counted.operations, counted.failed), (0, 0));
}

#[test]
fn the_serial_number_is_told_in_20_bytes() {
    let options = Options {
        serial: "0123456789abcdefghijKLM".into(),
        ..Options::default()
    };
    let mut bench = Bench::new(options, false);
    let (status, id) = bench.request(request::GET_ID, 0, &[], 20);
    assert_eq!(
        (status, &id[..]),
        (status::OK, &b"0123456789abcdefghij"[..])
    );
    let (_, id) = bench.request(request::GET_ID, 0, &[], 4);
    assert_eq!(id, b"0123");
}

#[test]
fn a_disk_that_cannot_be_written_says_so() {
    let mut bench = Bench::new(Options::default(), true);
    assert_eq!(
        bench.request(request::OUT, 0, &[1; 512], 0).0,
        status::IOERR
    );
    assert_eq!(bench.request(request::IN, 0, &[], 512).0, status::OK);
}

#[test]
fn the_configuration_is_as_qemu_has_it() {
    let guest = Guest::new();
    let disk = BlockBackend::new("disk", Arc::new(Nobody));
    let image = NamedTempFile::new().expect("a file");
    image.as_file().set_len(64 << 20).expect("a length");
    disk.insert(&node(image.path(), false))
        .expect("nobody else uses it");
    let mut blk = None;
    let _device =
        guest.plug(|port| Arc::clone(blk.insert(Blk::new(port, disk, Options::default()))));
    let blk = blk.expect("a device");
    let config = blk.config();
    assert_eq!(config.len(), super::spec::CONFIG);
    let number =
        |offset: usize| u32::from_le_bytes(config[offset..offset + 4].try_into().expect("4"));
    // Capacity, segments, block size, write cache, ranges.
    assert_eq!(
        [number(0), number(12), number(20), number(32)],
        [131_072, 254, 512, 0x1_0001 & 0xffff | 1 << 16]
    );
    assert_eq!(
        [number(36), number(40), number(44), number(48)],
        [4_194_303, 1, 1, 4_194_303]
    );
    assert_eq!(blk.features(), 0x6e54);
    blk.write_config(super::spec::CONFIG_WCE, &[0]);
    assert_eq!(
        blk.config()[super::spec::CONFIG_WCE],
        1,
        "only a driver that knows the switch"
    );
}

#[test]
fn chains_without_room_break_the_device() {
    let mut bench = Bench::new(Options::default(), false);
    bench.ring.add(&bench.guest, &[&[0; 8]], &[1]);
    bench.device.kick(0);
    let device = Arc::clone(&bench.device);
    bench.guest.run_until(|| device.is_broken());
}

#[test]
fn a_reset_in_mid_flight_harms_nobody() {
    let mut bench = Bench::new(Options::default(), false);
    for _ in 0..4 {
        let mut header = request::OUT.to_le_bytes().to_vec();
        header.extend([0; 12]);
        bench.ring.add(&bench.guest, &[&header, &[3; 4096]], &[1]);
    }
    bench.device.kick(0);
    bench.device.process();
    bench.device.reset();
    bench.ring = Ring::split(&bench.guest, 16);
    bench.ring.enable(&bench.device, 0);
    bench.guest.start(&bench.device, feature::FLUSH);
    assert_eq!(bench.request(request::OUT, 0, &[5; 512], 0).0, status::OK);
    let (_, bytes) = bench.request(request::IN, 0, &[], 512);
    assert_eq!(bytes, vec![5; 512], "old writes do not overtake new ones");
}
