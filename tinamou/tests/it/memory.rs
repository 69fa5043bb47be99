//! The memory device as a driver sees it that a test plays through the qtest protocol, and what
//! monitors are told meanwhile. QEMU has the device on other architectures only, so there is no
//! peer; the words of the refusals are those of its x86 build.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::pci::Driven;
use crate::support::tinamou;

const MIB: u64 = 1 << 20;
/// Where memory devices begin above so little RAM.
const MEMORY: u64 = 0xc000_0000;
const BLOCK: u64 = 2 * MIB;
/// The second slot's configuration space.
const CONFIG: u64 = 0x3000_8000;
/// Where the test puts the modern bar, and the structures in it.
const BAR: u64 = 0x4000_0000;
const DEVICE: u64 = BAR + 0x2000;
const NOTIFY: u64 = BAR + 0x3000;
/// The queue, a request and its answer, in RAM.
const DESCRIPTORS: u64 = 0x8000_1000;
const AVAILABLE: u64 = 0x8000_2000;
const USED: u64 = 0x8000_3000;
const REQUEST: u64 = 0x8000_4000;
const ANSWER: u64 = 0x8000_5000;

const PLUG: u64 = 0;
const UNPLUG: u64 = 1;
const UNPLUG_ALL: u64 = 2;
const STATE: u64 = 3;

/// Answers: a type, and a state above it.
const ACK: u64 = 0;
const NACK: u64 = 1;
const ERROR: u64 = 3;
const UNPLUGGED: u64 = 1 << 16;
const MIXED: u64 = 2 << 16;

/// The bits of the status, up to the one that says that features are agreed upon.
const FEATURES_OK: u64 = 0xb;
const DRIVER_OK: u64 = 0xf;
const NEEDS_RESET: u64 = 0x40;

struct Rig {
    driven: Driven,
    asked: u64,
}

impl Rig {
    /// A machine with a device of 64 MiB, which is asked to use 8.
    fn start() -> Self {
        let mut driven = Driven::with(
            &tinamou(),
            &[
                "-accel",
                "qtest",
                "-m",
                "maxmem=1G",
                "-object",
                "memory-backend-ram,id=m0,size=64M",
                "-device",
                "virtio-mem-pci,id=v0,memdev=m0,requested-size=8M",
            ],
        );
        driven.qmp.execute("cont", json!({})).expect("it runs");
        let mut rig = Self { driven, asked: 0 };
        rig.write('l', CONFIG + 0x20, BAR);
        rig.write('l', CONFIG + 0x24, 0);
        rig.write('w', CONFIG + 4, 6);
        rig
    }

    fn write(&mut self, width: char, address: u64, value: u64) {
        let line = format!("write{width} {address:#x} {value:#x}");
        assert_eq!(self.driven.ask(&line), "OK\n", "{line}");
    }

    fn read(&mut self, width: char, address: u64) -> u64 {
        let answer = self.driven.ask(&format!("read{width} {address:#x}"));
        let number = answer.trim().strip_prefix("OK 0x").expect("a number");
        u64::from_str_radix(number, 16).expect("hexadecimal")
    }

    fn status(&mut self) -> u64 {
        self.read('b', BAR + 0x14)
    }

    /// Resets the device and agrees on version 1 and these features: the status then.
    fn negotiate(&mut self, features: u64) -> u64 {
        for status in [0, 3] {
            self.write('b', BAR + 0x14, status);
        }
        for (select, features) in [(0, features), (1, 1)] {
            self.write('l', BAR + 8, select);
            self.write('l', BAR + 0xc, features);
        }
        self.write('b', BAR + 0x14, FEATURES_OK);
        self.status()
    }

    /// Begins to drive the device, with an empty queue.
    fn begin(&mut self) {
        assert_eq!(self.negotiate(2), FEATURES_OK);
        self.write('w', BAR + 0x16, 0);
        self.write('w', BAR + 0x18, 8);
        let places = [DESCRIPTORS, AVAILABLE, USED];
        for (register, place) in [0x20, 0x28, 0x30].into_iter().zip(places) {
            self.write('q', BAR + register, place);
            self.write('q', place, 0);
        }
        self.asked = 0;
        self.write('w', BAR + 0x1c, 1);
        self.write('b', BAR + 0x14, DRIVER_OK);
    }

    /// Puts a request of `length` bytes and room for its answer into the queue.
    fn send(&mut self, kind: u64, address: u64, blocks: u64, length: u64) {
        for (at, value) in [(0, kind), (8, address), (16, blocks)] {
            self.write('q', REQUEST + at, value);
        }
        // A readable buffer with a next one, and a writable one.
        let descriptors = [REQUEST, length | 1 << 32 | 1 << 48, ANSWER, 10 | 2 << 32];
        for (at, value) in (0..).step_by(8).zip(descriptors) {
            self.write('q', DESCRIPTORS + at, value);
        }
        self.asked += 1;
        self.write('w', AVAILABLE + 2, self.asked);
        self.write('w', NOTIFY, 0);
    }

    /// The answer to a request, with the state above its type.
    fn ask(&mut self, kind: u64, address: u64, blocks: u64) -> u64 {
        self.write('q', ANSWER, u64::MAX);
        self.write('w', ANSWER + 8, 0);
        self.send(kind, address, blocks, 24);
        let asked = self.asked;
        self.until(|rig| rig.read('w', USED + 2) == asked);
        self.read('w', ANSWER) | self.read('w', ANSWER + 8) << 16
    }

    /// Waits for what the device does on a thread of its own.
    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !done(self) {
            assert!(Instant::now() < deadline, "the device did not get there");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn qmp(&mut self, command: &str, arguments: Value) -> Value {
        let answer = self.driven.qmp.execute(command, arguments);
        answer.expect("it can")
    }

    /// How much is plugged, as monitors see it and as the driver does.
    fn sizes(&mut self) -> [u64; 2] {
        let devices = self.qmp("query-memory-devices", json!({}));
        let size = devices[0]["data"]["size"].as_u64().expect("a size");
        [size, self.read('q', DEVICE + 40)]
    }
}

#[test]
fn requests_are_answered() {
    let mut rig = Rig::start();
    rig.begin();
    let fields = [0, 16, 24, 48].map(|at| rig.read('q', DEVICE + at));
    assert_eq!(fields, [BLOCK, MEMORY, 64 * MIB, 8 * MIB]);
    let block = |number| MEMORY + number * BLOCK;
    for (kind, address, blocks, answer) in [
        (STATE, MEMORY, 32, ACK | UNPLUGGED),
        (PLUG, MEMORY, 5, NACK),
        (PLUG, MEMORY, 3, ACK),
        (PLUG, block(2), 1, ERROR),
        (UNPLUG, block(2), 2, ERROR),
        (STATE, MEMORY, 4, ACK | MIXED),
        (STATE, MEMORY, 33, ERROR),
        (PLUG, MEMORY - BLOCK, 1, ERROR),
        (PLUG, block(32), 1, ERROR),
        (PLUG, block(3) + MIB, 1, ERROR),
        (PLUG, block(3), 0, ERROR),
        (PLUG, block(3), 0xffff, ERROR),
        (UNPLUG, u64::MAX - BLOCK + 1, 0xffff, ERROR),
        (UNPLUG, MEMORY, 1, ACK),
    ] {
        let found = rig.ask(kind, address, blocks);
        assert_eq!(found, answer, "{kind} {address:#x} {blocks}");
    }
    assert_eq!(rig.sizes(), [2 * BLOCK; 2]);
    let summary = rig.qmp("query-memory-size-summary", json!({}));
    let expected = json!({"base-memory": 64 * MIB, "plugged-memory": 2 * BLOCK});
    assert_eq!(summary, expected);
    let event = rig.driven.qmp.event("MEMORY_DEVICE_SIZE_CHANGE");
    let path = "/machine/peripheral/v0";
    let expected = json!({"id": "v0", "size": 3 * BLOCK, "qom-path": path});
    assert_eq!(event["data"], expected);
}

#[test]
fn unplugged_memory_is_empty() {
    let mut rig = Rig::start();
    rig.begin();
    rig.ask(PLUG, MEMORY, 2);
    for unplug in [(UNPLUG, MEMORY, 2), (UNPLUG_ALL, 0, 0)] {
        let (kind, address, blocks) = unplug;
        rig.write('q', MEMORY + 8, 7);
        assert_eq!(rig.read('q', MEMORY + 8), 7);
        assert_eq!(rig.ask(kind, address, blocks), ACK);
        // What a driver must not read harms nobody.
        assert_eq!(rig.read('q', MEMORY + 8), 0);
        assert_eq!(rig.ask(PLUG, MEMORY, 2), ACK);
    }
    // A driver that begins anew finds what it had, and a machine that does has nothing.
    rig.write('q', MEMORY, 7);
    rig.begin();
    assert_eq!(rig.sizes(), [2 * BLOCK; 2]);
    assert_eq!(rig.read('q', MEMORY), 7);
    rig.qmp("system_reset", json!({}));
    assert_eq!(rig.read('q', MEMORY), 0);
    assert_eq!(
        rig.qmp("query-memory-devices", json!({}))[0]["data"]["size"],
        0
    );
}

#[test]
fn a_driver_that_talks_nonsense_must_begin_anew() {
    let mut rig = Rig::start();
    assert_eq!(rig.negotiate(0), 3, "memory must be left alone");
    for (kind, length) in [(4, 24), (0xffff, 24), (PLUG, 23), (PLUG, 1)] {
        rig.begin();
        rig.send(kind, MEMORY, 1, length);
        rig.until(|rig| rig.status() & NEEDS_RESET != 0);
        assert_eq!(rig.sizes(), [0; 2]);
    }
    rig.begin();
    assert_eq!(rig.ask(PLUG, MEMORY, 1), ACK);
}
