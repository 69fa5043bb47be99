//! Drivers that break the rules: the device stops with `DEVICE_NEEDS_RESET`, once, and says so.

use tinamou_virtio::driver::RAM_BASE;
use tinamou_virtio::feature;

use crate::rings::{Rig, rig};

const NEXT: u64 = 1;
const WRITE: u64 = 2;
const INDIRECT: u64 = 4;

impl Rig {
    fn put(&self, address: u64, size: u8, value: u64) {
        self.guest.memory().store(address, size, value).unwrap();
    }

    /// Writes a split descriptor.
    fn descriptor(&self, index: u64, address: u64, length: u64, flags: u64, next: u64) {
        self.descriptor_in(self.ring.descriptors, index, address, length, flags, next);
    }

    fn descriptor_in(
        &self,
        table: u64,
        index: u64,
        address: u64,
        length: u64,
        flags: u64,
        next: u64,
    ) {
        let at = table + 16 * index;
        self.put(at, 8, address);
        self.put(at + 8, 4, length);
        self.put(at + 12, 2, flags);
        self.put(at + 14, 2, next);
    }

    /// Makes the chain at descriptor 0 available.
    fn publish(&self) {
        self.put(self.ring.driver + 4, 2, 0);
        self.put(self.ring.driver + 2, 2, 1);
    }
}

fn check(name: &str, prepare: impl Fn(&Rig)) {
    let rig = rig(feature::RING_INDIRECT_DESC, 0);
    prepare(&rig);
    rig.kick(0);
    assert_needs_reset(&rig, name);
}

fn assert_needs_reset(rig: &Rig, name: &str) {
    assert!(rig.device.is_broken(), "{name}");
    assert_eq!(rig.device.status() & 0x40, 0x40, "{name}");
    assert_eq!(rig.counter.config_interrupts(), 1, "{name}");
    assert_eq!(rig.counter.queue_interrupts(), 0, "{name}");
    // Further kicks do nothing, and a reset makes all well.
    rig.kick(0);
    assert_eq!(rig.counter.config_interrupts(), 1, "{name}");
    rig.device.reset();
    assert!(
        !rig.device.is_broken() && rig.device.status() == 0,
        "{name}"
    );
}

#[test]
fn split_rings() {
    let buffer = RAM_BASE + 0x8000;
    check("more chains than the ring holds", |rig| {
        rig.put(rig.ring.driver + 2, 2, 9);
    });
    check("a head outside the table", |rig| {
        rig.publish();
        rig.put(rig.ring.driver + 4, 2, 8);
    });
    check("a next outside the table", |rig| {
        rig.descriptor(0, buffer, 1, NEXT, 8);
        rig.publish();
    });
    check("a loop", |rig| {
        rig.descriptor(0, buffer, 1, NEXT, 1);
        rig.descriptor(1, buffer, 1, NEXT, 0);
        rig.publish();
    });
    check("a buffer of nothing", |rig| {
        rig.descriptor(0, buffer, 0, 0, 0);
        rig.publish();
    });
    check("a buffer out of RAM", |rig| {
        rig.descriptor(0, 0x1000, 1, 0, 0);
        rig.publish();
    });
    check("a buffer that leaves RAM", |rig| {
        rig.descriptor(0, buffer, u64::from(u32::MAX), WRITE, 0);
        rig.publish();
    });
    check("a buffer that wraps around", |rig| {
        rig.descriptor(0, u64::MAX - 1, 8, WRITE, 0);
        rig.publish();
    });
    check("to read after to write", |rig| {
        rig.descriptor(0, buffer, 1, WRITE | NEXT, 1);
        rig.descriptor(1, buffer, 1, 0, 0);
        rig.publish();
    });
    check("rings out of RAM", |rig| {
        rig.device.configure(0, |setup| setup.driver = 0x1000);
    });
    check("used ring out of RAM", |rig| {
        rig.descriptor(0, buffer, 1, 0, 0);
        rig.publish();
        rig.device.configure(0, |setup| setup.device = u64::MAX - 3);
    });
}

#[test]
fn indirect_tables() {
    let (buffer, table) = (RAM_BASE + 0x8000, RAM_BASE + 0x9000);
    for length in [0, 1, 15, 17, u64::from(u32::MAX)] {
        check("a table of broken descriptors", |rig| {
            rig.descriptor(0, table, length, INDIRECT, 0);
            rig.publish();
        });
    }
    check("a table in a table", |rig| {
        rig.descriptor(0, table, 16, INDIRECT, 0);
        rig.descriptor_in(table, 0, table, 16, INDIRECT, 0);
        rig.publish();
    });
    check("a loop in a table", |rig| {
        rig.descriptor(0, table, 16 * 4, INDIRECT, 0);
        for index in 0..4 {
            rig.descriptor_in(table, index, buffer, 1, NEXT, (index + 1) % 4);
        }
        rig.publish();
    });
    check("a table that is too long", |rig| {
        let count = 1100;
        rig.descriptor(0, table, 16 * count, INDIRECT, 0);
        for index in 0..count {
            rig.descriptor_in(table, index, buffer, 1, NEXT, index + 1);
        }
        rig.publish();
    });
    check("a table out of RAM", |rig| {
        rig.descriptor(0, 0x1000, 16, INDIRECT, 0);
        rig.publish();
    });
}

fn check_packed(name: &str, prepare: impl Fn(&Rig)) {
    let rig = rig(feature::RING_PACKED | feature::RING_INDIRECT_DESC, 0);
    prepare(&rig);
    rig.kick(0);
    assert_needs_reset(&rig, name);
}

#[test]
fn packed_rings() {
    const AVAILABLE: u64 = 1 << 7;
    let (buffer, table) = (RAM_BASE + 0x8000, RAM_BASE + 0x9000);
    // Id and flags are the other way round in packed descriptors.
    check_packed("a chain longer than the ring", |rig| {
        for index in 0..8 {
            rig.descriptor(index, buffer, 1, 0, AVAILABLE | NEXT);
        }
    });
    check_packed("a buffer of nothing", |rig| {
        rig.descriptor(0, buffer, 0, 0, AVAILABLE);
    });
    check_packed("a table among others", |rig| {
        rig.descriptor(0, buffer, 1, 0, AVAILABLE | NEXT);
        rig.descriptor(1, table, 16, 0, AVAILABLE | INDIRECT);
    });
    check_packed("a table in a table", |rig| {
        rig.descriptor(0, table, 16, 0, AVAILABLE | INDIRECT);
        rig.descriptor_in(table, 0, table, 16, 0, INDIRECT);
    });
    check_packed("a table that is too long", |rig| {
        rig.descriptor(0, table, 16 * 1100, 0, AVAILABLE | INDIRECT);
        for index in 0..1100 {
            rig.descriptor_in(table, index, buffer, 1, 0, 0);
        }
    });
    check_packed("a ring out of RAM", |rig| {
        rig.device.configure(0, |setup| setup.descriptors = 0);
    });
}

#[test]
fn one_chain_made_available_for_ever_is_bounded() {
    let rig = rig(0, 1);
    rig.descriptor(0, RAM_BASE + 0x8000, 1, 0, 0);
    // The device keeps one chain back, so one more than it returns is in use.
    for index in 1..100 {
        rig.put(rig.ring.driver + 2, 2, index);
        rig.kick(1);
        assert_eq!(rig.device.position(1).unwrap().in_use, 1);
    }
    assert!(!rig.device.is_broken());
}
