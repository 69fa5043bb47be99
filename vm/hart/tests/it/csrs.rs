//! Which registers are there, and what they keep of what is written.

use tinamou_hart::{Extension, Firmware, Isa, csr_number};

use crate::asm::*;
use crate::rig::{RAM, Rig};

/// Writes `value` and reads back; `None` when that traps.
#[track_caller]
fn check_with(isa: Isa, name: &str, value: u64, expected: Option<u64>) {
    let number: u32 = csr_number(name).expect("a known register").into();
    let mut rig = Rig::new(isa, Firmware::Guest, 1);
    let trap = RAM + 0x1000;
    rig.load(trap, &[vec![addi(A1, ZERO, 1)], exit()].concat());
    let write = if number >> 10 == 3 {
        NOP
    } else {
        csrw(number, T0)
    };
    let code = [
        li(T1, trap),
        vec![csrw(0x305, T1)],
        li(T0, value),
        vec![write, csrr(A0, number)],
    ];
    rig.load(RAM, &[code.concat(), exit()].concat());
    rig.run();
    let found = (rig.x(A1 as u8) == 0).then(|| rig.x(A0 as u8));
    assert_eq!(
        found.map(|v| format!("{v:#x}")),
        expected.map(|v| format!("{v:#x}")),
        "{name}"
    );
}

#[track_caller]
fn check(name: &str, value: u64, expected: Option<u64>) {
    check_with(Isa::default(), name, value, expected);
}

const ONES: u64 = u64::MAX;
/// Loads and stores as another mode does, which would keep the test from its way out.
const MPRV: u64 = 1 << 17;

#[test]
fn registers_keep_what_they_have() {
    for (name, value, expected) in [
        ("mstatus", ONES & !(3 << 11 | MPRV), 0x8000_000a_007c_61aa),
        ("mstatus", 3 << 11, 0xa_0000_1800),
        ("misa", 0, 0x8000_0000_0014_112d),
        ("medeleg", ONES, 0xb3ff),
        ("mideleg", ONES, 0x222),
        ("mie", ONES, 0xaaa),
        ("mip", ONES, 0x222),
        ("mtvec", 0x8000_0001, 0x8000_0001),
        ("mepc", ONES, ONES - 1),
        ("menvcfg", ONES, 0xa000_0000_0000_00f1),
        ("senvcfg", 0x20, 0),
        ("mcounteren", ONES, 0xffff_ffff),
        ("mcountinhibit", ONES, 5),
        ("satp", 8 << 60 | 1, 8 << 60 | 1),
        ("satp", 7 << 60, 0),
        ("sstatus", ONES, 0x8000_0002_000c_6122),
        ("mhpmcounter3", ONES, 0),
        ("pmpaddr0", ONES, 0x3f_ffff_ffff_fc00),
        ("pmpcfg0", 0x1f, 0x1f),
        ("pmpcfg0", 0x17, 0x07),
        ("pmpcfg2", 2, 0),
        ("mhartid", 0, 0),
        ("stimecmp", 77, 77),
    ] {
        check(name, value, Some(expected));
    }
}

#[test]
fn what_is_absent_traps() {
    for name in ["pmpcfg1", "pmpaddr16", "fcsr", "frm"] {
        check(name, 0, None);
    }
    let without = |extension: Extension| {
        let mut isa = Isa::default();
        isa.set(extension.name(), false).unwrap();
        isa
    };
    check_with(without(Extension::Sstc), "stimecmp", 0, None);
    check_with(without(Extension::Zicntr), "cycle", 0, None);
    check_with(without(Extension::Zihpm), "hpmcounter3", 0, None);
    check_with(without(Extension::Pmp), "pmpcfg0", 0, None);
    check_with(without(Extension::Svadu), "menvcfg", 1 << 61, Some(0));
    check_with(without(Extension::Sv57), "satp", 10 << 60, Some(0));
    check_with(
        without(Extension::F),
        "mstatus",
        3 << 13,
        Some(0xa_0000_0000),
    );
}
