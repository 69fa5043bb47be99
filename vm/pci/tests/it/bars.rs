//! Bars: sizing, moving, windows of bridges, message tables.

use tinamou_pci::bridge::{PortConfig, root_port};
use tinamou_pci::{Bar, Devfn};

use crate::rig::{Rig, probe};

const COMMAND: u16 = 0x04;
const SLOT1: (u8, Devfn) = (0, Devfn::new(1, 0));
const SLOT2: (u8, Devfn) = (0, Devfn::new(2, 0));

#[test]
fn sizing_tells_size_and_kind() {
    let rig = Rig::new();
    let bars = [
        (0, Bar::memory(0x1000)),
        (1, Bar::io(0x20)),
        (2, Bar::memory64(1 << 33).prefetchable()),
        (6, Bar::memory(0x8000)),
    ];
    let (function, _) = probe("a", &bars, false);
    rig.host.root().plug(None, function, false).unwrap();
    let check = |register, expected| {
        rig.set_config(SLOT1, register, 4, 0xffff_ffff);
        assert_eq!(rig.config(SLOT1, register, 4), expected, "{register:#x}");
    };
    check(0x10, 0xffff_f000);
    check(0x14, 0xffff_ffe1);
    check(0x18, 0x0000_000c);
    check(0x1c, 0xffff_fffe);
    check(0x20, 0);
    check(0x30, 0xffff_8001);
}

#[test]
fn a_bar_is_where_the_guest_puts_it_while_decoding_is_on() {
    let rig = Rig::new();
    let bars = [(0, Bar::memory(0x1000)), (1, Bar::io(0x20))];
    let (function, _) = probe("a", &bars, false);
    rig.host.root().plug(None, function, false).unwrap();
    rig.set_config(SLOT1, 0x10, 4, 0x4000_0000);
    rig.set_config(SLOT1, 0x14, 4, 0x1000);
    let nothing = 0xffff_ffff;
    assert_eq!(rig.memory(0x4000_0010, 4), nothing);
    rig.set_config(SLOT1, COMMAND, 2, 2);
    assert_eq!(rig.memory(0x4000_0010, 4), 0x10);
    assert_eq!(rig.io(0x1004, 4), nothing);
    rig.set_config(SLOT1, COMMAND, 2, 1);
    assert_eq!(rig.memory(0x4000_0010, 4), nothing);
    assert_eq!(rig.io(0x1004, 4), 0x1_0004);
    rig.set_config(SLOT1, COMMAND, 2, 3);
    rig.set_config(SLOT1, 0x10, 4, 0x5000_0000);
    assert_eq!(rig.memory(0x4000_0010, 4), nothing);
    // What begins in a bar is the bar's, wherever it ends.
    assert_eq!(rig.memory(0x5000_0ffc, 8), 0x1000_0000_0ffc);
    rig.host.reset();
    assert_eq!(rig.memory(0x5000_0010, 4), nothing);
}

#[test]
fn bars_on_each_other_hurt_nobody() {
    let rig = Rig::new();
    for id in ["a", "b"] {
        let (function, _) = probe(
            id,
            &[(0, Bar::memory(0x1000)), (3, Bar::memory(0x10))],
            false,
        );
        rig.host.root().plug(None, function, false).unwrap();
    }
    for place in [SLOT1, SLOT2] {
        rig.set_config(place, 0x10, 4, 0x4000_0000);
        rig.set_config(place, 0x1c, 4, 0x4000_0800);
        rig.set_config(place, COMMAND, 2, 2);
    }
    assert_eq!(rig.memory(0x4000_0804, 4), 0x804);
    rig.set_config(SLOT1, COMMAND, 2, 0);
    assert_eq!(rig.memory(0x4000_0804, 4), 0x804);
    rig.set_config(SLOT2, 0x10, 4, 0x4000_1000);
    assert_eq!(rig.memory(0x4000_0804, 4), 0x3_0004);
}

#[test]
fn what_is_behind_a_bridge_is_seen_through_its_windows() {
    let rig = Rig::new();
    let root = rig.host.root();
    let port = root_port(root, "rp0", &PortConfig::default()).unwrap();
    root.plug(Some(Devfn::new(1, 0)), port, false).unwrap();
    let bus = rig.host.bus("rp0").unwrap();
    let (function, _) = probe("a", &[(0, Bar::memory(0x20_0000))], false);
    bus.plug(None, function, false).unwrap();
    let behind = (1, Devfn::ZERO);
    assert_eq!(rig.config(behind, 0, 4), 0xffff_ffff);
    rig.set_config(SLOT1, 0x18, 4, 0x0001_0100);
    assert_eq!(rig.config(behind, 0, 4), 0x5678_1234);
    rig.set_config(behind, 0x10, 4, 0x4000_0000);
    rig.set_config(behind, COMMAND, 2, 2);
    rig.set_config(SLOT1, COMMAND, 2, 2);
    assert_eq!(rig.memory(0x4000_0000, 4), 0xffff_ffff);
    rig.set_config(SLOT1, 0x20, 4, 0x4000_4000);
    assert_eq!(rig.memory(0x4000_0004, 4), 4);
    assert_eq!(rig.memory(0x4010_0000, 4), 0xffff_ffff);
    rig.set_config(SLOT1, COMMAND, 2, 0);
    assert_eq!(rig.memory(0x4000_0004, 4), 0xffff_ffff);
}

#[test]
fn interrupt_pins_are_turned_by_slots() {
    let rig = Rig::new();
    let root = rig.host.root();
    let port = root_port(root, "rp0", &PortConfig::default()).unwrap();
    root.plug(Some(Devfn::new(3, 0)), port, false).unwrap();
    let (behind, far) = probe("a", &[], false);
    rig.host
        .bus("rp0")
        .unwrap()
        .plug(None, behind, false)
        .unwrap();
    let (function, near) = probe("b", &[], false);
    root.plug(Some(Devfn::new(7, 0)), function, false).unwrap();
    let levels = || rig.intx.each_ref().map(|line| line.level());
    far.set_intx(true);
    assert_eq!(levels(), [false, false, false, true]);
    near.set_intx(true);
    far.set_intx(false);
    assert_eq!(levels(), [false, false, false, true]);
    let place = (0, Devfn::new(7, 0));
    assert_eq!(rig.config(place, 6, 2) & 8, 8);
    rig.set_config(place, COMMAND, 2, 0x400);
    assert_eq!(levels(), [false; 4]);
    rig.set_config(place, COMMAND, 2, 0);
    assert!(levels()[3]);
    rig.host.reset();
    assert_eq!(levels(), [false; 4]);
}

#[test]
fn messages_wait_while_they_are_masked() {
    let rig = Rig::new();
    let (function, side) = probe("a", &[], true);
    rig.host.root().plug(None, function, false).unwrap();
    rig.set_config(SLOT1, 0x14, 4, 0x4000_0000);
    rig.set_config(SLOT1, COMMAND, 2, 6);
    assert!(!side.notify(0));
    for (vector, data) in [(0, 0x11), (1, 0x22)] {
        let entry = 0x4000_0000 + 16 * vector;
        rig.set_memory(entry, 8, 0x1_2800_0000);
        rig.set_memory(entry + 8, 4, data);
    }
    let capability = rig.config(SLOT1, 0x34, 1) as u16;
    rig.set_config(SLOT1, capability + 2, 2, 0x8000);
    let sent = || std::mem::take(&mut *rig.messages.0.lock().unwrap());
    assert!(side.notify(1));
    assert!(sent().is_empty());
    assert_eq!(rig.memory(0x4000_0800, 8), 2);
    rig.set_memory(0x4000_001c, 4, 0);
    assert_eq!(sent(), [(0x1_2800_0000, 0x22)]);
    assert_eq!(rig.memory(0x4000_0800, 8), 0);
    rig.set_config(SLOT1, capability + 2, 2, 0xc000);
    assert!(side.notify(1));
    assert!(side.notify(7));
    assert!(sent().is_empty());
    rig.set_config(SLOT1, capability + 2, 2, 0x8000);
    assert_eq!(sent(), [(0x1_2800_0000, 0x22)]);
    // Without bus mastering nothing leaves the function.
    rig.set_config(SLOT1, COMMAND, 2, 2);
    assert!(side.notify(1));
    assert!(sent().is_empty());
}

#[test]
fn an_expansion_rom_is_read_while_it_is_on() {
    let rig = Rig::new();
    let (function, side) = probe("a", &[], false);
    side.config(|config| config.add_rom(0, [1, 2, 3, 4, 5].as_slice().into()));
    rig.host.root().plug(None, function, false).unwrap();
    rig.set_config(SLOT1, 0x30, 4, 0xffff_ffff);
    assert_eq!(rig.config(SLOT1, 0x30, 4), 0xffff_fff9);
    rig.set_config(SLOT1, COMMAND, 2, 2);
    rig.set_config(SLOT1, 0x30, 4, 0x4000_0000);
    assert_eq!(rig.memory(0x4000_0000, 4), 0xffff_ffff);
    rig.set_config(SLOT1, 0x30, 4, 0x4000_0001);
    assert_eq!(rig.memory(0x4000_0000, 4), 0x0403_0201);
    rig.set_memory(0x4000_0000, 4, 0);
    assert_eq!(rig.memory(0x4000_0000, 8), 0x0005_0403_0201);
    rig.host.reset();
    rig.set_config(SLOT1, 0x30, 4, 0xffff_ffff);
    assert_eq!(rig.config(SLOT1, 0x30, 4), 0xffff_fff9);
}
