//! Commands and what they answer.

use std::path::Path;
use std::sync::Arc;

use tempfile::NamedTempFile;
use tinamou_block::file::{File, Kind as FileKind, Options as FileOptions};
use tinamou_block::{BlockBackend, Disk as _, IoError, Node, NodeOptions, Observer};

use super::spec::{control, event, feature, response};
use super::{Address, Host, Kind, Options, Unit, UnitOptions};
use crate::Virtio;
use crate::driver::{Guest, Ring};

struct Nobody;

impl Observer for Nobody {
    fn io_error(&self, _: &IoError) {}
}

const DISK: Address = Address { target: 0, lun: 0 };
const CD: Address = Address { target: 1, lun: 0 };
/// A disk whose target has no unit 0.
const HIGH: Address = Address { target: 3, lun: 2 };

/// A host with a disk of 1 MiB, as big a CD, and another disk.
struct Bench {
    guest: Guest,
    device: Arc<Virtio>,
    host: Arc<Host>,
    rings: [Ring; 3],
    cd: Arc<Unit>,
    _images: Vec<NamedTempFile>,
}

fn node(path: &Path, read_only: bool) -> Arc<Node> {
    let options = FileOptions {
        path: path.to_owned(),
        writable: !read_only,
        ..FileOptions::default()
    };
    let file = File::open(FileKind::File, &options).expect("the image opens");
    let options = NodeOptions {
        read_only,
        unmap: true,
        ..NodeOptions::default()
    };
    Node::new("disk", Box::new(file), options)
}

fn unit(image: &NamedTempFile, kind: Kind, address: Address) -> Arc<Unit> {
    image.as_file().set_len(1 << 20).expect("a length");
    let backend = BlockBackend::new("", Arc::new(Nobody));
    let medium = node(image.path(), kind == Kind::Cd);
    backend.insert(&medium).expect("nobody else uses it");
    let options = UnitOptions {
        serial: (address == DISK).then(|| "ABC".to_owned()),
        ..UnitOptions::new(kind, address)
    };
    Unit::new(backend, options)
}

impl Bench {
    fn new() -> Self {
        let guest = Guest::new();
        let mut host = None;
        let device = guest.plug(|port| {
            let made = Host::new(port, Options::default());
            Arc::clone(host.insert(made))
        });
        let host = host.expect("a host");
        let images: Vec<_> = (0..3)
            .map(|_| NamedTempFile::new().expect("a file"))
            .collect();
        let cd = unit(&images[1], Kind::Cd, CD);
        host.plug(&unit(&images[0], Kind::Disk, DISK));
        host.plug(&cd);
        host.plug(&unit(&images[2], Kind::Disk, HIGH));
        let rings = [0, 1, 2].map(|queue| {
            let ring = Ring::split(&guest, 16);
            ring.enable(&device, queue);
            ring
        });
        guest.start(&device, feature::HOTPLUG | feature::CHANGE);
        Self {
            guest,
            device,
            host,
            rings,
            cd,
            _images: images,
        }
    }

    /// A bench whose units have told that they were reset.
    fn ready() -> Self {
        let mut bench = Self::new();
        for address in [DISK, CD, HIGH] {
            assert_eq!(bench.ask(address, "00", 0).1, "6/29/00");
        }
        bench
    }

    fn exchange(&mut self, queue: usize, readable: &[&[u8]], writable: &[u32]) -> Vec<u8> {
        let head = self.rings[queue].add(&self.guest, readable, writable);
        self.device.kick(queue);
        let (ring, guest) = (&mut self.rings[queue], &self.guest);
        guest.run_until(|| ring.used(guest).is_some_and(|(used, _)| used == head));
        self.rings[queue].filled(&self.guest, head)
    }

    /// Sends a command with data; the response, the sense in short, and what came back.
    fn send(
        &mut self,
        address: Address,
        cdb: &str,
        out: &[u8],
        room: u32,
    ) -> (u8, String, Vec<u8>) {
        let mut cdb = bytes(cdb);
        cdb.resize(32, 0);
        let [high, low] = address.lun.to_be_bytes();
        let mut head = vec![1, address.target, high | 0x40, low, 0, 0, 0, 0];
        head.extend([0; 11]);
        let head = [head, cdb].concat();
        let readable: &[&[u8]] = if out.is_empty() {
            &[&head]
        } else {
            &[&head, out]
        };
        let writable: &[u32] = if room == 0 { &[108] } else { &[108, room] };
        let filled = self.exchange(2, readable, writable);
        let residual = u32::from_le_bytes(filled[4..8].try_into().expect("4")) as usize;
        let sense = match filled[10] {
            0 => String::new(),
            _ => {
                assert_eq!((filled[0], filled[12]), (18, 0x70));
                format!("{:x}/{:02x}/{:02x}", filled[14], filled[24], filled[25])
            }
        };
        let data = filled[108..filled.len() - residual.min(room as usize)].to_vec();
        (filled[11], sense, data)
    }

    fn ask(&mut self, address: Address, cdb: &str, room: u32) -> (u8, String, Vec<u8>) {
        self.send(address, cdb, &[], room)
    }

    /// A command, and the head of what it answers, or its sense.
    #[track_caller]
    fn check(&mut self, address: Address, cdb: &str, room: u32, expected: &str) {
        let (response, sense, data) = self.ask(address, cdb, room);
        assert_eq!(response, response::OK, "{cdb}");
        let answer = match sense.is_empty() {
            true => data.iter().map(|byte| format!("{byte:02x}")).collect(),
            false => sense,
        };
        assert!(
            answer.starts_with(expected),
            "{cdb}: {answer}, not {expected}"
        );
        assert!(!expected.is_empty() || answer.is_empty(), "{cdb}: {answer}");
    }

    fn manage(&mut self, subtype: u32, address: Address) -> u8 {
        let [high, low] = address.lun.to_be_bytes();
        let mut request = control::TMF.to_le_bytes().to_vec();
        request.extend(subtype.to_le_bytes());
        request.extend([1, address.target, high | 0x40, low, 0, 0, 0, 0]);
        request.extend([0; 8]);
        self.exchange(0, &[&request], &[1])[0]
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let text = digits.map(|pair| std::str::from_utf8(pair).expect("digits"));
    text.map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}

#[test]
fn units_say_what_they_are() {
    let mut bench = Bench::ready();
    for (address, cdb, room, expected) in [
        (
            DISK,
            "120000002400",
            36,
            "000005121f00001251454d552020202051454d5520484152444449534b202020322e352b",
        ),
        (
            CD,
            "120000002400",
            36,
            "058005121f00001251454d552020202051454d552043442d524f4d20",
        ),
        (DISK, "120000000500", 5, "000005121f"),
        (DISK, "120001002400", 36, "5/24/00"),
        (DISK, "120100000a00", 10, "00000006008083b0b1b2"),
        (DISK, "120180000700", 7, "00800003414243"),
        (DISK, "120183000b00", 11, "0083000702000003414243"),
        (
            DISK,
            "1201b0002c00",
            44,
            "00b0003c01000000003fffff00000000000000000020000000000 0ff000000080000000000000000003fffff",
        ),
        (DISK, "1201b1000600", 6, "00b1003c0000"),
        (DISK, "1201b2000800", 8, "00b2000400e00200"),
        (DISK, "120184004000", 64, "5/24/00"),
        (CD, "120180004000", 64, "5/24/00"),
        (DISK, "25000000000000000000", 8, "000007ff00000200"),
        (CD, "25000000000000000000", 8, "000001ff00000800"),
        (DISK, "25000000000100000000", 8, "5/24/00"),
        (
            DISK,
            "9e100000000000000000000000200000",
            32,
            "00000000000007ff0000020000008000",
        ),
        (DISK, "9e120000000000000000000000200000", 32, "5/24/00"),
        (
            DISK,
            "1a003f006400",
            100,
            "630000080000080000000200010a8000000000000000000004160000021000000200000200c8ffffff00000015180000051e1388103f02000002000200020001010001010100000000000000151800000812040000000000",
        ),
        (
            DISK,
            "1a004800ff00",
            255,
            "1f000008000008000000020008120400",
        ),
        (DISK, "1a00c800ff00", 255, "5/39/00"),
        (DISK, "1a002a00ff00", 255, "5/24/00"),
        (
            CD,
            "5a003f00000000006400",
            100,
            "004c000000000000010a802000000000000000000812040000000000",
        ),
        (
            CD,
            "1a002a006400",
            100,
            "190000002a143b007fff2d002260000208000b0000000b000b000000",
        ),
        (
            DISK,
            "030000001200",
            18,
            "700000000000000a00000000000000000000",
        ),
        (DISK, "030100000800", 8, "7200000000000000"),
    ] {
        bench.check(address, cdb, room, &expected.replace(' ', ""));
    }
}

#[test]
fn targets_answer_for_units_that_are_not_there() {
    let mut bench = Bench::ready();
    let zero = Address { lun: 0, ..HIGH };
    let five = Address { lun: 5, ..HIGH };
    bench.check(zero, "000000000000", 0, "");
    bench.check(five, "000000000000", 0, "5/25/00");
    bench.check(zero, "120000002400", 36, "3f0005121f00001251454d5520202020");
    bench.check(five, "120000002400", 36, "7f0000000000");
    bench.check(zero, "28000000000000000100", 512, "5/25/00");
    let list = "000000100000000000000000000000000002000000000000";
    bench.check(HIGH, "a00000000000000000400000", 64, list);
    bench.check(DISK, "a00000000000000000080000", 8, "5/24/00");
    let nobody = Address { target: 7, lun: 0 };
    assert_eq!(bench.ask(nobody, "00", 0).0, response::BAD_TARGET);
}

#[test]
fn data_come_back() {
    let mut bench = Bench::ready();
    for (cdb, lba) in [
        ("0a0000060100", 6),
        ("2a000000000700000100", 7),
        ("aa0000000008000000010000", 8),
        ("8a000000000000000009000000010000", 9),
        ("2e000000000a00000100", 10),
        ("2a080000000b00000100", 11),
    ] {
        let (response, sense, _) = bench.send(DISK, cdb, &[lba; 512], 0);
        assert_eq!((response, sense.as_str()), (response::OK, ""), "{cdb}");
        for read in [
            format!("080000{lba:02x}0100"),
            format!("2800000000{lba:02x}00000100"),
            format!("a800000000{lba:02x}000000010000"),
            format!("8800000000000000 00{lba:02x}000000010000").replace(' ', ""),
        ] {
            assert_eq!(bench.ask(DISK, &read, 512).2, [lba; 512], "{read}");
        }
    }
    bench.check(DISK, "35000000000000000000", 0, "");
    bench.check(DISK, "2f000000000600000400", 0, "");
    // Bytes that nobody asked for stay as they were.
    assert_eq!(bench.ask(DISK, "28000000000600000100", 2048).2, [6; 512]);
}

#[test]
fn ranges_are_zeroed_and_unmapped() {
    let mut bench = Bench::ready();
    let send = |bench: &mut Bench, cdb: &str, out: &[u8]| bench.send(DISK, cdb, out, 0).1;
    assert_eq!(send(&mut bench, "41000000001000001000", &[7; 512]), "");
    assert_eq!(bench.ask(DISK, "28000000001000001000", 8192).2, [7; 8192]);
    assert_eq!(
        send(&mut bench, "93080000000000000010000000020000", &[0; 512]),
        ""
    );
    assert_eq!(
        send(&mut bench, "93010000000000000012000000020000", &[]),
        ""
    );
    let list = bytes("001600100000000000000000000000140000000200000000");
    assert_eq!(send(&mut bench, "42000000000000001800", &list), "");
    let expected = [vec![0; 6 * 512], vec![7; 10 * 512]].concat();
    assert_eq!(bench.ask(DISK, "28000000001000001000", 8192).2, expected);
    for (cdb, out, sense) in [
        ("42010000000000001800", list.clone(), "5/24/00"),
        ("42000000000000000400", vec![0, 2, 0, 0], "5/1a/00"),
        ("42000000000000000800", bytes("ffffffff00000000"), "5/1a/00"),
        (
            "42000000000000001800",
            bytes(
                "00160010000000000000000000000800000000010 0000000"
                    .replace(' ', "")
                    .as_str(),
            ),
            "5/21/00",
        ),
        ("93000000000000000010000000000000", vec![0; 512], "5/24/00"),
        ("4108000007ff00000200", vec![0; 512], "5/21/00"),
        ("41020000001000000100", vec![0; 512], "5/24/00"),
    ] {
        assert_eq!(send(&mut bench, cdb, &out), sense, "{cdb}");
    }
}

#[test]
fn commands_that_make_no_sense_fail_alone() {
    let mut bench = Bench::ready();
    for (address, cdb, room, sense) in [
        (DISK, "28000000080000000100", 512, "5/21/00"),
        (DISK, "8800ffffffffffffffff000000010000", 512, "5/21/00"),
        (DISK, "8800000000000000000affffffff0000", 0, ""),
        (DISK, "28200000000000000100", 512, "5/24/00"),
        (CD, "2f020000000000000100", 0, "5/24/00"),
        (DISK, "ff", 0, "5/20/00"),
        (DISK, "7f", 0, "5/20/00"),
        (DISK, "43000000000000006400", 100, "5/20/00"),
        (DISK, "9c", 0, "5/20/00"),
    ] {
        let (response, told, _) = bench.ask(address, cdb, room);
        let expected = match sense {
            "" => response::OVERRUN,
            _ => response::OK,
        };
        assert_eq!((response, told.as_str()), (expected, sense), "{cdb}");
    }
    let overrun = bench.send(DISK, "2a000000000500000200", &[1; 512], 0).0;
    assert_eq!(overrun, response::OVERRUN);
    assert_eq!(
        bench.send(CD, "2a000000000500000100", &[1; 2048], 0).1,
        "7/27/00"
    );
    assert_eq!(bench.send(DISK, "00", &[1; 16], 16).0, response::FAILURE);
    bench.check(DISK, "000000000000", 0, "");
}

#[test]
fn no_command_kills_the_device() {
    let mut bench = Bench::ready();
    let mut seed = 1_u64;
    for code in 0..=255_u8 {
        for _ in 0..4 {
            let mut cdb = vec![code];
            for _ in 0..15 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                cdb.push((seed >> 56) as u8);
            }
            let cdb: String = cdb.iter().map(|byte| format!("{byte:02x}")).collect();
            let address = if code & 1 == 0 { DISK } else { CD };
            bench.ask(address, &cdb, 512);
            bench.send(address, &cdb, &[code; 512], 0);
        }
    }
    assert!(!bench.device.is_broken());
}

#[test]
fn trays_open_lock_and_tell() {
    let mut bench = Bench::ready();
    let poll = "4a010000100000000800";
    bench.check(CD, "1e0000000100", 0, "");
    bench.check(CD, "1b0000000200", 0, "5/53/02");
    assert!(
        bench
            .cd
            .tray()
            .is_some_and(|tray| tray.locked && !tray.open)
    );
    // From outside: the guest is asked, and lets go.
    bench.cd.eject_request(false);
    bench.check(CD, poll, 8, "0004041001020000");
    bench.check(CD, poll, 8, "0004041000020000");
    bench.check(CD, "1e0000000000", 0, "");
    bench.check(CD, "1b0000000200", 0, "");
    assert!(bench.cd.tray().is_some_and(|tray| tray.open));
    bench.check(CD, "000000000000", 0, "2/3a/00");
    bench.check(CD, "28000000000000000100", 2048, "2/3a/00");
    bench.check(CD, poll, 8, "0004041000010000");
    bench.cd.medium_changed(true);
    bench.check(CD, poll, 8, "0004041002020000");
    bench.check(CD, "000000000000", 0, "6/3a/00");
    bench.check(CD, "000000000000", 0, "6/28/00");
    bench.check(CD, "000000000000", 0, "");
    // By force it comes out whatever the guest says.
    bench.check(CD, "1e0000000100", 0, "");
    bench.cd.eject_request(true);
    assert!(bench.cd.tray().is_some_and(|tray| !tray.locked));
    bench.check(
        CD,
        "43000000000000006400",
        100,
        "001201010014010000000000 0016aa0000000200"
            .replace(' ', "")
            .as_str(),
    );
    bench.check(
        CD,
        "43020000000000006400",
        100,
        "0012010100140100000002000016aa000000083e",
    );
    bench.check(
        CD,
        "43000200000000006400",
        100,
        "002e0101011400a0 00000000010000011400a1"
            .replace(' ', "")
            .as_str(),
    );
    bench.check(
        CD,
        "46000000000000010000",
        256,
        "000000240000000800000308001000000008010000010b08000000010100000000030b0439000000",
    );
    bench.check(CD, "51000000000000002200", 34, "00200e0101010120");
}

#[test]
fn the_write_cache_is_a_switch() {
    let mut bench = Bench::ready();
    let select = "151000001800";
    let page = |cache: u8, other: u8| {
        let mut list = vec![0, 0, 0, 0, 8, 0x12, cache, other];
        list.resize(24, 0);
        list
    };
    assert_eq!(bench.send(DISK, select, &page(0, 0), 0).1, "");
    bench.check(DISK, "1a080800ff00", 255, "1700000008120000");
    assert_eq!(bench.send(DISK, select, &page(4, 0), 0).1, "");
    bench.check(DISK, "1a080800ff00", 255, "1700000008120400");
    assert_eq!(bench.send(DISK, select, &page(4, 1), 0).1, "5/26/00");
    assert_eq!(
        bench.send(DISK, "151100001800", &page(0, 0), 0).1,
        "5/24/00"
    );
}

#[test]
fn task_management_resets_and_refuses() {
    let mut bench = Bench::ready();
    let missing = Address { lun: 9, ..DISK };
    let nobody = Address { target: 7, lun: 0 };
    for (function, address, expected) in [
        (control::ABORT_TASK, DISK, response::OK),
        (control::QUERY_TASK_SET, DISK, response::OK),
        (control::QUERY_TASK, missing, response::INCORRECT_LUN),
        (control::CLEAR_ACA, DISK, response::FUNCTION_REJECTED),
        (77, DISK, response::FUNCTION_REJECTED),
        (control::LOGICAL_UNIT_RESET, nobody, response::BAD_TARGET),
        (control::LOGICAL_UNIT_RESET, DISK, response::OK),
        (control::I_T_NEXUS_RESET, CD, response::OK),
    ] {
        assert_eq!(bench.manage(function, address), expected, "{function}");
    }
    bench.check(DISK, "000000000000", 0, "6/29/00");
    bench.check(CD, "000000000000", 0, "6/29/00");
    bench.check(HIGH, "000000000000", 0, "");
    let question = [control::AN_QUERY.to_le_bytes().to_vec(), vec![0; 12]].concat();
    assert_eq!(bench.exchange(0, &[&question], &[5]), [0; 5]);
}

#[test]
fn units_that_come_and_go_are_told() {
    let mut bench = Bench::ready();
    let head = bench.rings[1].add(&bench.guest, &[], &[16]);
    bench.host.unplug(HIGH);
    let (ring, guest) = (&mut bench.rings[1], &bench.guest);
    guest.run_until(|| ring.used(guest) == Some((head, 16)));
    let mut expected =
        [event::TRANSPORT_RESET, 0x0200_0301, 0, event::REMOVED].map(u32::to_le_bytes);
    assert_eq!(
        bench.rings[1].filled(&bench.guest, head),
        expected.as_flattened()
    );
    bench.check(DISK, "000000000000", 0, "6/3f/0e");

    // Without buffers 16 wait; then something is lost, and said to be.
    bench.device.kick(1);
    for _ in 0..20 {
        bench.cd.resized(0);
    }
    let mut heads = Vec::new();
    for _ in 0..14 {
        heads.push(bench.rings[1].add(&bench.guest, &[], &[16]));
    }
    bench.device.kick(1);
    let mut last = 0;
    for _ in 0..17 {
        let (ring, guest) = (&mut bench.rings[1], &bench.guest);
        guest.run_until(|| match ring.used(guest) {
            Some((head, _)) => {
                last = head;
                true
            }
            None => false,
        });
        let filled = bench.rings[1].filled(&bench.guest, last);
        expected[0] = filled[..4].try_into().expect("4");
        bench.rings[1].add(&bench.guest, &[], &[16]);
        bench.device.kick(1);
    }
    assert_eq!(expected[0], (event::NO_EVENT | event::MISSED).to_le_bytes());
}

#[test]
fn chains_without_room_break_the_device() {
    for (queue, readable, writable) in [
        (0, 3, 1),
        (0, 24, 0),
        (2, 50, 108),
        (2, 51, 107),
        (2, 51, 0),
    ] {
        let mut bench = Bench::ready();
        let sent = vec![0; readable];
        let room: &[u32] = if writable == 0 { &[] } else { &[writable] };
        bench.rings[queue].add(&bench.guest, &[&sent], room);
        bench.device.kick(queue);
        let device = Arc::clone(&bench.device);
        bench.guest.run_until(|| device.is_broken());
    }
}
