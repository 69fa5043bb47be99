use tinamou_memory::{AddressSpace, Ram};

use super::*;

const BASE: u64 = 0x1010_0000;
const RAM: u64 = 0x8000_0000;

struct Rig {
    space: Arc<AddressSpace>,
    device: Arc<FwCfg>,
}

impl Rig {
    /// A device with the files "b" and "a" and 64 KiB of RAM.
    fn new() -> Self {
        let space = Arc::new(AddressSpace::new("memory"));
        let ram = Arc::new(Ram::new(0x1_0000).unwrap());
        space.add(Region::ram("ram", RAM, ram)).unwrap();
        let device = FwCfg::new(Dma::new(Arc::clone(&space)));
        for region in device.regions(BASE) {
            space.add(region).unwrap();
        }
        device.add_file("b", b"second".into()).unwrap();
        device.add_file("a", b"first!".into()).unwrap();
        Self { space, device }
    }

    fn select(&self, key: u16) {
        let key = key.swap_bytes().into();
        self.space.store(BASE + 8, 2, key).unwrap();
    }

    fn read(&self, size: u8) -> u64 {
        self.space.load(BASE, size).unwrap()
    }

    /// Has a transfer done that is described at the beginning of RAM: the status, and 16 bytes
    /// of what is at its target.
    fn transfer(&self, command: u32, length: u32) -> (u32, [u8; 16]) {
        let target = RAM + 0x100;
        self.describe(command, length, target);
        self.ring(RAM);
        let status = self.space.load(RAM, 4).unwrap() as u32;
        let mut bytes = [0; 16];
        self.space.read(target, &mut bytes).unwrap();
        (status.swap_bytes(), bytes)
    }

    fn describe(&self, command: u32, length: u32, target: u64) {
        let description = [
            &command.to_be_bytes()[..],
            &length.to_be_bytes(),
            &target.to_be_bytes(),
        ];
        let dma = Dma::new(Arc::clone(&self.space)).view();
        dma.write(RAM, &description.concat()).unwrap();
        dma.write(target & 0xffff_fff0, &[0xee; 16]).ok();
    }

    fn ring(&self, address: u64) {
        let address = address.swap_bytes();
        self.space.store(BASE + 0x10, 8, address).unwrap();
    }
}

#[test]
fn items_are_read_in_order_and_end_in_zeros() {
    let rig = Rig::new();
    let check = |key, size, expected: &[u64]| {
        rig.select(key);
        for expected in expected {
            assert_eq!(rig.read(size), *expected, "{key:#x}");
        }
    };
    check(key::SIGNATURE, 1, &[0x51, 0x45, 0x4d, 0x55, 0]);
    check(key::SIGNATURE, 8, &[0x554d_4551, 0]);
    check(key::ID, 4, &[3, 0]);
    check(0x20, 4, &[0x7372_6966, 0x2174]);
    check(0x4020, 1, &[0x66]);
    check(0x8020, 1, &[0]);
    check(0x22, 8, &[0]);
    check(0xffff, 8, &[0]);
    rig.select(key::ID);
    rig.device.reset();
    assert_eq!(rig.read(1), 0x51);
}

#[test]
fn the_directory_is_sorted() {
    let rig = Rig::new();
    let directory = |rig: &Rig| {
        rig.select(key::FILE_DIR);
        let bytes: Vec<_> = (0..4 + 2 * 64).map(|_| rig.read(1) as u8).collect();
        let entry = |at: usize| (bytes[at + 3], bytes[at + 5], bytes[at + 8]);
        (bytes[3], entry(4), entry(68))
    };
    assert_eq!(directory(&rig), (2, (6, 0x20, b'a'), (6, 0x21, b'b')));
    rig.device.replace_file("a", Vec::new());
    assert_eq!(directory(&rig), (2, (0, 0x20, b'a'), (6, 0x21, b'b')));
}

#[test]
fn bad_files_are_refused() {
    let device = Rig::new().device;
    let twice = device.add_file("a", Vec::new());
    assert_eq!(twice, Err(Error::Duplicate("a".into())));
    let long = device.add_file(&"x".repeat(56), Vec::new());
    assert_eq!(long, Err(Error::NameTooLong));
    device.add_file(&"x".repeat(55), Vec::new()).unwrap();
    for number in 3..FILES_MAX {
        device.add_file(&number.to_string(), Vec::new()).unwrap();
    }
    assert_eq!(device.add_file("more", Vec::new()), Err(Error::TooMany));
}

#[test]
fn transfers_fetch_skip_and_select() {
    let rig = Rig::new();
    let untouched = [0xee; 16];
    let with = |bytes: &[u8]| {
        let mut all = untouched;
        all[..bytes.len()].copy_from_slice(bytes);
        all
    };
    let (read, skip, select, write) = (2, 4, 8, 0x10);
    let check = |command, length, expected| {
        assert_eq!(rig.transfer(command, length), expected, "{command:#x}");
    };
    check(0x0020_0000 | select | read, 3, (0, with(b"fir")));
    check(read, 5, (0, with(b"st!\0\0")));
    check(read, 2, (0, with(b"\0\0")));
    check(0x0021_0000 | select, 9, (0, untouched));
    check(skip, 4, (0, untouched));
    check(read, 2, (0, with(b"nd")));
    check(0x0021_0000 | select | skip, u32::MAX, (0, untouched));
    check(read, 1, (0, with(b"\0")));
    check(0x0021_0000 | select | write, 1, (1, untouched));
    check(write, 0, (0, untouched));
    check(read, u32::MAX, (1, *b"second\0\0\0\0\0\0\0\0\0\0"));
}

#[test]
fn transfers_stay_in_ram() {
    let rig = Rig::new();
    let read_first = 0x0020_000a;
    for target in [0, BASE, RAM + 0xfffe, u64::MAX] {
        rig.describe(read_first, 6, target);
        rig.ring(RAM);
        assert_eq!(rig.space.load(RAM, 4), Ok(0x0100_0000), "{target:#x}");
    }
    for description in [0, BASE + 0x10, RAM + 0xfff8, u64::MAX] {
        rig.ring(description);
    }
    // By halves, the upper one first.
    rig.describe(read_first, 1, RAM + 0x100);
    rig.space.store(BASE + 0x10, 4, 0).unwrap();
    rig.space.store(BASE + 0x14, 4, 0x80).unwrap();
    assert_eq!(rig.space.load(RAM + 0x100, 1), Ok(u64::from(b'f')));
}

#[test]
fn no_access_panics() {
    let rig = Rig::new();
    let mut signature = [0; 8];
    rig.space.read(BASE + 0x10, &mut signature).unwrap();
    assert_eq!(&signature, b"QEMU CFG");
    for value in [0, 1, RAM, u64::MAX] {
        for (offset, size) in (0..SIZE).flat_map(|offset| [1, 2, 4, 8].map(|size| (offset, size))) {
            // Some of it faults.
            let _ = rig.space.store(BASE + offset, size, value);
            let _ = rig.space.load(BASE + offset, size);
        }
    }
}
