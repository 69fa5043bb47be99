//! The registers as drivers use them.

use super::*;
use crate::driver::{Guest, Ring};
use crate::rng::{Entropy, Rate, Rng};
use crate::{DeviceType, RingOptions};

fn slot(guest: &Guest, legacy: bool) -> (VirtioMmio, IrqLine) {
    let line = IrqLine::unconnected();
    let slot = VirtioMmio::new(line.clone(), legacy);
    let rings = RingOptions::default();
    let device = Virtio::new(guest.site.clone(), &rings, slot.features(), |port| {
        Rng::new(port, Arc::new(Entropy::Builtin), Rate::default())
    });
    assert!(slot.plug(device));
    (slot, line)
}

#[test]
fn an_empty_slot_names_no_device() {
    let slot = VirtioMmio::new(IrqLine::unconnected(), true);
    let check = |offset, size, expected| {
        assert_eq!(slot.read(offset, size), expected, "{size} at {offset:#x}");
    };
    check(0, 4, 0x7472_6976);
    check(4, 4, 1);
    check(8, 4, 0);
    check(12, 4, 0x554d_4551);
    check(0, 1, 0x76);
    check(1, 1, 0);
    check(0, 2, 0x6976);
    check(0, 8, 0x1_7472_6976);
    check(0x1f8, 8, 0);
}

#[test]
fn a_device_is_named() {
    let guest = Guest::new();
    for (legacy, version, features) in [
        (true, 1, [0x3900_0000, 0]),
        (false, 2, [0x3000_0000, 0x101]),
    ] {
        let (slot, _) = slot(&guest, legacy);
        assert_eq!(slot.read(4, 4), version);
        assert_eq!(slot.read(8, 4), DeviceType::Rng as u64);
        for (sel, expected) in (0..).zip(features) {
            slot.write(0x14, 4, sel);
            assert_eq!(slot.read(0x10, 4), expected, "{legacy} {sel}");
        }
        assert_eq!(slot.read(0x34, 4), 1024);
        slot.write(0x30, 4, 1);
        assert_eq!(slot.read(0x34, 4), 0);
        assert_eq!(slot.read(0x100, 4), 0xffff_ffff);
        assert_eq!(slot.read(0, 1), 0);
    }
}

/// Waits for the interrupt that says the request was carried out, and acknowledges it.
fn served(guest: &Guest, slot: &VirtioMmio, line: &IrqLine, ring: &mut Ring, head: u16) {
    guest.run_until(|| line.level());
    assert_eq!(ring.used(guest), Some((head, 32)));
    assert_eq!(slot.read(0x60, 4), 1);
    slot.write(0x64, 4, 1);
    assert!(!line.level() && slot.read(0x60, 4) == 0);
}

#[test]
fn a_modern_driver_is_served() {
    let guest = Guest::new();
    let (slot, line) = slot(&guest, false);
    let mut ring = Ring::split(&guest, 8);
    for value in [1, 3] {
        slot.write(0x70, 4, value);
    }
    slot.write(0x24, 4, 1);
    slot.write(0x20, 4, 1);
    slot.write(0x70, 4, 0xb);
    assert_eq!(slot.read(0x70, 4), 0xb);
    let mut program = vec![(0x38, 8)];
    for (register, address) in [
        (0x80, ring.descriptors),
        (0x90, ring.driver),
        (0xa0, ring.device),
    ] {
        program.extend([
            (register, address & 0xffff_ffff),
            (register + 4, address >> 32),
        ]);
    }
    program.extend([(0x44, 1), (0x70, 0xf)]);
    for (register, value) in program {
        slot.write(register, 4, value);
    }
    assert_eq!(slot.read(0x44, 4), 1);
    let head = ring.add(&guest, &[], &[32]);
    slot.write(0x50, 4, 0);
    served(&guest, &slot, &line, &mut ring, head);
    slot.write(0x44, 4, 0);
    assert_eq!(slot.read(0x44, 4), 0);
    slot.write(0x70, 4, 0);
    assert_eq!(slot.read(0x70, 4), 0);
}

#[test]
fn a_legacy_driver_is_served() {
    let guest = Guest::new();
    let (slot, line) = slot(&guest, true);
    let mut ring = Ring::split(&guest, 8);
    // The parts of a legacy ring follow each other, the last one on the next page.
    let base = guest.allocate(0x3000).next_multiple_of(4096);
    (ring.descriptors, ring.driver, ring.device) = (base, base + 128, base + 4096);
    // Linux tells its page size before the reset.
    let program = [
        (0x28, 4096),
        (0x70, 0),
        (0x70, 3),
        (0x20, 0),
        (0x38, 8),
        (0x3c, 4096),
        (0x40, base >> 12),
    ];
    for (register, value) in program {
        slot.write(register, 4, value);
    }
    slot.write(0x70, 4, 7);
    assert_eq!(slot.read(0x40, 4), base >> 12);
    let head = ring.add(&guest, &[], &[32]);
    slot.write(0x50, 4, 0);
    served(&guest, &slot, &line, &mut ring, head);
    slot.write(0x40, 4, 0);
    assert_eq!((slot.read(0x40, 4), slot.read(0x70, 4)), (0, 0));
}

#[test]
fn a_broken_driver_is_told() {
    let guest = Guest::new();
    let (slot, line) = slot(&guest, false);
    let device = slot.device().unwrap();
    let ring = Ring::split(&guest, 8);
    guest.negotiate(device, 0);
    ring.enable(device, 0);
    guest.start(device, 0);
    // 9 chains in a ring of 8.
    guest.memory().store(ring.driver + 2, 2, 9).unwrap();
    slot.write(0x50, 4, 0);
    guest.run_until(|| line.level());
    assert_eq!(slot.read(0x70, 4), 0x4f);
    assert_eq!(slot.read(0x60, 4), 3);
    slot.write(0x70, 4, 0);
    assert!(!line.level() && !device.is_broken());
}

#[test]
fn no_access_does_harm() {
    let guest = Guest::new();
    for legacy in [true, false] {
        let (slot, _) = slot(&guest, legacy);
        for offset in 0..SIZE {
            for size in [1, 2, 4, 8] {
                for value in [0, 1, u64::MAX, 0x8000_0000] {
                    slot.write(offset, size, value);
                    slot.read(offset, size);
                }
            }
        }
        guest.settle();
    }
}
