//! Configuration space under writes of every size at every offset.

use std::sync::Arc;

use proptest::prelude::*;
use tinamou_pci::bridge::{PortConfig, root_port, upstream_port};
use tinamou_pci::{Bar, ConfigSpace, Devfn, Express, Function, Identity, devices, spec};

use crate::rig::{Rig, probe};

/// What of a byte no write changes: mask and value.
fn fixed(function: &Function, offset: u16) -> (u8, u8) {
    let read = || function.config_read(offset, 1) as u8;
    let before = read();
    function.config_write(offset, 1, 0xff);
    let ones = read();
    function.config_write(offset, 1, 0);
    let zeros = read();
    function.config_write(offset, 1, before.into());
    (!(ones ^ zeros), zeros)
}

/// Functions of each kind, plugged in.
fn functions(rig: &Rig) -> Vec<Arc<Function>> {
    let root = rig.host.root();
    let port = root_port(root, "rp0", &PortConfig::default()).unwrap();
    let all = [
        port,
        upstream_port(root, "up", 0, 8, false),
        devices::testdev("t", 0x1000, false),
        devices::pvpanic("p", 7, false, |_| ()),
        probe("a", &[(0, Bar::memory64(1 << 20))], true).0,
    ];
    for function in &all {
        root.plug(None, Arc::clone(function), false).unwrap();
    }
    all.into()
}

/// A slot's registers change by themselves, and the interrupt with them.
const SLOT: [u16; 5] = [spec::header::STATUS, 0x6c, 0x6d, 0x6e, 0x6f];

#[test]
fn accesses_of_every_size_agree() {
    let rig = Rig::new();
    for (slot, function) in (1..).zip(functions(&rig)) {
        let place = (0, Devfn::new(slot, 0));
        for offset in 0..0x1000 {
            let byte = rig.config(place, offset, 1);
            assert_eq!(byte, u64::from(function.config_read(offset, 1)));
            for size in [2, 4, 8].into_iter().filter(|size| offset % size == 0) {
                let bytes = (0..size).map(|index| rig.config(place, offset + index, 1));
                let joined = bytes.rev().fold(0, |word, byte| word << 8 | byte);
                assert_eq!(rig.config(place, offset, size as u8), joined, "{offset:#x}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_cannot_be_written_stays(
        writes in prop::collection::vec((0u16..0x1000, 0u8..3, any::<u32>()), 1..200)
    ) {
        let rig = Rig::new();
        for function in functions(&rig) {
            let expected: Vec<_> = (0..0x200).map(|offset| fixed(&function, offset)).collect();
            for (offset, size, value) in &writes {
                // Half of them go where most registers are.
                let offset = if value & 1 == 0 { offset & 0x1ff } else { *offset };
                function.config_write(offset, 1 << size, *value);
            }
            for (offset, (mask, value)) in (0..).zip(expected) {
                let read = function.config_read(offset, 1) as u8;
                let bridge = function.secondary().is_some();
                prop_assert!(
                    read & mask == value & mask || bridge && SLOT.contains(&offset),
                    "{:?} at {offset:#x}", function.kind()
                );
            }
            function.reset();
        }
    }
}

#[test]
fn a_function_that_sleeps_answers_nothing() {
    let identity = Identity::new(0x1234, 0x5678, 0xff00);
    let mut config = ConfigSpace::express(&identity);
    config.add_bar(0, Bar::memory(0x1000));
    let power = config.add_power_management(None, true) + spec::pm::CONTROL;
    let express = config.add_express(None, &Express::endpoint());
    let (probe, _) = probe("", &[], false);
    let function = Function::new("sleeper", "", config, None, |_| Arc::clone(probe.device()));
    let rig = Rig::new();
    rig.host.root().plug(None, function, false).unwrap();
    let place = (0, Devfn::new(1, 0));
    rig.set_config(place, 0x10, 4, 0x4000_0000);
    rig.set_config(place, 4, 2, 2);
    let check = |state, expected, answer| {
        rig.set_config(place, power, 2, state);
        assert_eq!(rig.config(place, power, 2), expected);
        assert_eq!(rig.memory(0x4000_0008, 4), answer);
    };
    check(0, 0, 8);
    check(1, 0, 8);
    check(3, 3, 0xffff_ffff);
    check(2, 3, 0xffff_ffff);
    check(0, 0, 8);
    // Told to reset itself, it forgets where it was.
    rig.set_config(place, express + spec::express::DEVCTL, 2, 0x8000);
    assert_eq!(rig.config(place, express + spec::express::DEVCTL, 2), 0);
    assert_eq!(rig.config(place, 0x10, 4), 0);
    assert_eq!(rig.memory(0x4000_0008, 4), 0xffff_ffff);
}
