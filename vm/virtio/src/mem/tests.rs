//! The memory device as a driver, a good or a bad one, uses it.

use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::Virtio;
use crate::driver::{Guest, Ring};
use crate::spec::status;

const MIB: u64 = 1 << 20;
const BASE: u64 = 1 << 32;
const BLOCK: u64 = 2 * MIB;
const SIZE: u64 = 16 * MIB;

struct Rig {
    guest: Guest,
    device: Arc<Virtio>,
    mem: Arc<Mem>,
    sizes: Receiver<u64>,
    ring: Ring,
}

fn options(requested_size: u64) -> Options {
    Options {
        address: BASE,
        block_size: BLOCK,
        requested_size,
        unplugged_inaccessible: true,
        prealloc: false,
    }
}

fn rig(options: Options) -> Rig {
    let guest = Guest::new();
    let (sender, sizes) = channel();
    let mut mem = None;
    let ram = Arc::new(Ram::new(SIZE).unwrap());
    let device = guest.plug(|port| {
        let observer = Box::new(move |size| sender.send(size).unwrap());
        let made = Mem::new(port, options, ram, observer);
        mem = Some(Arc::clone(&made));
        made
    });
    let ring = Ring::split(&guest, 32);
    guest.negotiate(&device, device.offered() & 0x3f);
    ring.enable(&device, 0);
    guest.start(&device, 0);
    Rig {
        guest,
        device,
        mem: mem.unwrap(),
        sizes,
        ring,
    }
}

fn request(kind: u16, address: u64, count: u16) -> [u8; request::SIZE] {
    let mut bytes = [0; request::SIZE];
    bytes[..2].copy_from_slice(&kind.to_le_bytes());
    bytes[8..16].copy_from_slice(&address.to_le_bytes());
    bytes[16..18].copy_from_slice(&count.to_le_bytes());
    bytes
}

impl Rig {
    /// The answer to a request: its type and the state.
    fn ask(&mut self, kind: u16, address: u64, count: u16) -> Option<(u16, u16)> {
        self.send(&request(kind, address, count), RESPONSE_SIZE)
    }

    fn send(&mut self, request: &[u8], room: u32) -> Option<(u16, u16)> {
        let head = self.ring.add(&self.guest, &[request], &[room]);
        self.device.kick(0);
        self.device.process();
        let (used, length) = self.ring.used(&self.guest)?;
        assert_eq!((used, length), (head, RESPONSE_SIZE));
        let answer = self.ring.filled(&self.guest, head);
        let word = |at: usize| u16::from_le_bytes([answer[at], answer[at + 1]]);
        Some((word(0), word(8)))
    }

    fn config(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        self.device.read_config(offset, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn is_broken(&self) -> bool {
        self.device.status() & status::DEVICE_NEEDS_RESET != 0
    }
}

const ACK: u16 = Response::Ack as u16;
const NACK: u16 = Response::Nack as u16;
const ERROR: u16 = Response::Error as u16;

#[test]
fn memory_comes_and_goes() {
    let mut rig = rig(options(4 * BLOCK));
    let fields = [0, 8, 16, 24, 32, 40, 48].map(|at| rig.config(at));
    assert_eq!(fields, [BLOCK, 0, BASE, SIZE, SIZE, 0, 4 * BLOCK]);
    assert_eq!(rig.ask(request::PLUG, BASE, 3), Some((ACK, 0)));
    assert_eq!(rig.config(40), 3 * BLOCK);
    rig.mem.ram.store(0, 8, 7).unwrap();
    rig.mem.ram.store(2 * BLOCK, 8, 7).unwrap();
    assert_eq!(rig.ask(request::UNPLUG, BASE, 1), Some((ACK, 0)));
    let words = [0, 2 * BLOCK].map(|at| rig.mem.ram.load(at, 8).unwrap());
    assert_eq!(words, [0, 7]);
    assert_eq!(rig.ask(request::UNPLUG_ALL, 0, 0), Some((ACK, 0)));
    assert_eq!(rig.mem.ram.load(2 * BLOCK, 8), Ok(0));
    assert_eq!(
        rig.sizes.try_iter().collect::<Vec<_>>(),
        [3 * BLOCK, 2 * BLOCK, 0]
    );
}

#[test]
fn states_of_blocks() {
    let mut rig = rig(options(4 * BLOCK));
    rig.ask(request::PLUG, BASE + BLOCK, 2);
    let mut check = |block: u64, count, state: BlockState| {
        let answer = rig.ask(request::STATE, BASE + block * BLOCK, count);
        assert_eq!(answer, Some((ACK, state as u16)), "{block}, {count}");
    };
    check(0, 1, BlockState::Unplugged);
    check(1, 2, BlockState::Plugged);
    check(0, 8, BlockState::Mixed);
    check(3, 5, BlockState::Unplugged);
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let mut rig = rig(options(4 * BLOCK));
    rig.ask(request::PLUG, BASE, 2);
    let end = BASE + SIZE;
    let addresses = [
        (BASE - BLOCK, 1),
        (BASE + 1, 1),
        (BASE + MIB, 1),
        (BASE, 0),
        (BASE, 9),
        (BASE, u16::MAX),
        (end, 1),
        (end - BLOCK, 2),
        (0, 1),
        (u64::MAX, u16::MAX),
        (0u64.wrapping_sub(BLOCK), 1),
    ];
    for kind in [request::PLUG, request::UNPLUG, request::STATE] {
        for (address, count) in addresses {
            let answer = rig.ask(kind, address, count);
            assert_eq!(answer, Some((ERROR, 0)), "{kind}: {address:#x}, {count}");
        }
    }
    // Blocks that are what they should become, all or some of them.
    for (kind, block, count) in [
        (request::PLUG, 0, 1),
        (request::PLUG, 1, 2),
        (request::UNPLUG, 2, 1),
        (request::UNPLUG, 1, 2),
    ] {
        let answer = rig.ask(kind, BASE + block * BLOCK, count);
        assert_eq!(answer, Some((ERROR, 0)), "{kind}: {block}, {count}");
    }
    assert_eq!(rig.mem.size(), 2 * BLOCK);
    assert!(!rig.is_broken());
}

#[test]
fn more_than_requested_is_refused() {
    let mut rig = rig(options(2 * BLOCK));
    assert_eq!(rig.ask(request::PLUG, BASE, 3), Some((NACK, 0)));
    assert_eq!(rig.ask(request::PLUG, BASE, 2), Some((ACK, 0)));
    rig.mem.set_requested_size(BLOCK).unwrap();
    assert_eq!(rig.ask(request::PLUG, BASE + 2 * BLOCK, 1), Some((NACK, 0)));
    assert_eq!(rig.ask(request::UNPLUG, BASE, 1), Some((ACK, 0)));
    assert_eq!(rig.mem.size(), BLOCK);
}

#[test]
fn requests_of_no_kind_break_the_device() {
    let whole = request(request::STATE, BASE, 1);
    let check = |request: &[u8], room| {
        let mut rig = rig(options(BLOCK));
        assert_eq!(rig.send(request, room), None);
        assert!(rig.is_broken());
    };
    check(&request(4, BASE, 1), RESPONSE_SIZE);
    check(&request(u16::MAX, BASE, 1), RESPONSE_SIZE);
    check(&whole[..23], RESPONSE_SIZE);
    check(&whole, RESPONSE_SIZE - 1);
}

#[test]
fn the_user_asks_for_sizes() {
    let rig = rig(options(0));
    let check = |size, expected: Option<SizeError>| {
        assert_eq!(rig.mem.set_requested_size(size).err(), expected);
    };
    assert_eq!(rig.config(32), 0);
    check(1, Some(SizeError::Unaligned(BLOCK)));
    check(BLOCK + MIB, Some(SizeError::Unaligned(BLOCK)));
    check(SIZE + BLOCK, Some(SizeError::TooLarge(SIZE)));
    let generation = rig.device.generation();
    check(BLOCK, None);
    assert_ne!(rig.device.generation(), generation);
    assert_eq!((rig.config(32), rig.config(48)), (SIZE, BLOCK));
    // What the guest may still have in use does not shrink under it.
    check(0, None);
    assert_eq!((rig.config(32), rig.config(48)), (SIZE, 0));
}

#[test]
fn the_usable_part_is_a_little_more_than_requested() {
    let guest = Guest::new();
    // As much as that is not touched.
    let ram = Arc::new(Ram::new(4 << 30).unwrap());
    let mut mem = None;
    let _device = guest.plug(|port| {
        let made = Mem::new(port, options(BLOCK), ram, Box::new(|_| ()));
        Arc::clone(mem.insert(made))
    });
    let mem = mem.unwrap();
    assert_eq!(mem.usable(0), 0);
    assert_eq!(mem.usable(BLOCK), BLOCK + USABLE_EXTENT);
    assert_eq!(mem.usable(4 << 30), 4 << 30);
    assert_eq!(mem.usable(u64::MAX), 4 << 30);
}

#[test]
fn a_reset_of_the_machine_takes_everything_and_one_by_the_driver_nothing() {
    let mut rig = rig(options(2 * BLOCK));
    rig.ask(request::PLUG, BASE, 2);
    rig.mem.ram.store(0, 8, 7).unwrap();
    rig.mem.ram.store(SIZE - 8, 8, 7).unwrap();
    rig.device.reset();
    assert_eq!((rig.mem.size(), rig.mem.ram.load(0, 8)), (2 * BLOCK, Ok(7)));
    rig.mem.set_requested_size(0).unwrap();
    rig.mem.system_reset();
    assert_eq!((rig.mem.size(), rig.config(32)), (0, 0));
    // Also what was touched without being plugged.
    let words = [0, SIZE - 8].map(|at| rig.mem.ram.load(at, 8).unwrap());
    assert_eq!(words, [0, 0]);
    rig.mem.system_reset();
    assert_eq!(rig.sizes.try_iter().collect::<Vec<_>>(), [2 * BLOCK, 0]);
}

#[test]
fn a_driver_must_leave_alone_what_is_not_plugged() {
    let check = |unplugged_inaccessible, accepted| {
        let rig = rig(Options {
            unplugged_inaccessible,
            ..options(0)
        });
        rig.device.reset();
        rig.guest.negotiate(&rig.device, 0);
        let status = rig.device.status();
        assert_eq!(status & status::FEATURES_OK != 0, accepted);
    };
    check(true, false);
    check(false, true);
}

#[test]
fn memory_may_be_taken_from_the_host_at_once() {
    let mut rig = rig(Options {
        prealloc: true,
        ..options(2 * BLOCK)
    });
    assert_eq!(rig.ask(request::PLUG, BASE, 2), Some((ACK, 0)));
    assert_eq!(rig.ask(request::UNPLUG, BASE, 2), Some((ACK, 0)));
}
