//! Page tables: what is permitted, what faults, what is remembered and forgotten.

use tinamou_hart::{Extension, Firmware, Isa, Privilege};

use crate::asm::*;
use crate::rig::{RAM, Rig};

const ROOT: u64 = RAM + 0x10_0000;
const DATA: u64 = RAM + 0x20_0000;
const HANDLER: u64 = RAM + 0x3000;
/// Where the tests map a page.
const PAGE: u64 = 0x40_0000;
const V: u64 = 1;
const R: u64 = 2;
const W: u64 = 4;
const X: u64 = 8;
const U: u64 = 16;
const A: u64 = 64;
const D: u64 = 128;

fn entry(physical: u64, bits: u64) -> u64 {
    physical >> 2 | bits
}

/// Sv39, code in supervisor mode on identity-mapped RAM, and one page at [`PAGE`].
fn mapped(isa: Isa, bits: u64) -> Rig {
    let mut rig = Rig::new(isa, Firmware::Guest, 1);
    let (middle, low) = (ROOT + 0x1000, ROOT + 0x2000);
    for (at, value) in [
        (ROOT + 2 * 8, entry(RAM, V | R | W | X | A | D)),
        (ROOT, entry(middle, V)),
        (middle + 2 * 8, entry(low, V)),
        (low, entry(DATA, bits)),
    ] {
        rig.ram.store(at - RAM, 8, value).unwrap();
    }
    rig.load(HANDLER, &exit());
    rig.ram.store(DATA - RAM, 8, 42).unwrap();
    rig.hart().modify(|state| {
        state.privilege = Privilege::Supervisor;
        let csrs = &mut state.csrs;
        csrs.satp = 8 << 60 | ROOT >> 12;
        csrs.medeleg = 0xb1ff;
        csrs.stvec = HANDLER;
        (csrs.pmpcfg[0], csrs.pmpaddr[0]) = (0x1f, (1 << 54) - 1);
        state.registers.set_x(T0 as u8, PAGE);
    });
    // The exit device is at a low address: map the gigabyte there too, for the handler.
    rig.ram
        .store(middle - RAM, 8, entry(0, V | R | W | A | D))
        .unwrap();
    rig
}

/// Executes `instruction` on the page with these bits: the cause of the trap, or none.
#[track_caller]
fn check(bits: u64, mstatus: u64, mode: Privilege, instruction: u32, expected: Option<u64>) {
    let mut rig = mapped(Isa::default(), bits);
    rig.load(RAM, &[vec![instruction], exit()].concat());
    rig.hart().modify(|state| {
        state.csrs.scause = 99;
        if mode == Privilege::User {
            // Machine mode with MPRV loads as user mode does, and fetches without translation.
            state.privilege = Privilege::Machine;
            state.csrs.mstatus = 1 << 17 | mstatus;
            state.csrs.mtvec = HANDLER;
            state.csrs.mcause = 99;
        } else {
            state.csrs.mstatus = mstatus;
        }
    });
    if mode == Privilege::User {
        // The exit device is behind the same translation: give user mode the gigabyte.
        rig.ram
            .store(ROOT + 0x1000 - RAM, 8, entry(0, V | R | W | U | A | D))
            .unwrap();
    }
    rig.run();
    let csrs = &rig.hart().state().csrs;
    let cause = if mode == Privilege::User {
        csrs.mcause
    } else {
        csrs.scause
    };
    let found = (cause != 99).then_some(cause);
    assert_eq!(
        found, expected,
        "{bits:#x} {mstatus:#x} {mode:?} {instruction:#x}"
    );
}

const SUM: u64 = 1 << 18;
const MXR: u64 = 1 << 19;

#[test]
fn permissions() {
    use Privilege::{Supervisor, User};
    let (load, store) = (ld(A0, T0, 0), sd(A0, T0, 0));
    let ready = V | A | D;
    for (bits, mstatus, mode, instruction, expected) in [
        (ready | R, 0, Supervisor, load, None),
        (ready | R, 0, Supervisor, store, Some(15)),
        (ready | R | W, 0, Supervisor, store, None),
        (ready | W, 0, Supervisor, load, Some(13)),
        (ready | X, 0, Supervisor, load, Some(13)),
        (ready | X, MXR, Supervisor, load, None),
        (0, 0, Supervisor, load, Some(13)),
        (ready, 0, Supervisor, load, Some(13)),
        (ready | R | W | U, 0, Supervisor, load, Some(13)),
        (ready | R | W | U, SUM, Supervisor, load, None),
        (ready | R | W | U, SUM, Supervisor, store, None),
        (ready | R | W, 0, User, load, Some(13)),
        (ready | R | W | U, 0, User, load, None),
        (ready | R | U, 0, User, store, Some(15)),
        (ready | R | 1 << 54, 0, Supervisor, load, Some(13)),
        (ready | R | 1 << 63, 0, Supervisor, load, Some(13)),
        (ready | R | 1 << 8 | 1 << 9, 0, Supervisor, load, None),
        (ready | R, 0, Supervisor, amoadd_d(A0, A0, T0), Some(15)),
        (ready | R | W, 0, Supervisor, amoadd_d(A0, A0, T0), None),
        (ready | R | W, 0, Supervisor, jalr(ZERO, T0, 0), Some(12)),
        (ready | X | U, SUM, Supervisor, jalr(ZERO, T0, 0), Some(12)),
    ] {
        check(bits, mstatus, mode, instruction, expected);
    }
}

#[test]
fn accessed_and_dirty_bits() {
    let low = ROOT + 0x2000 - RAM;
    let run = |isa: Isa, bits, instruction| {
        let mut rig = mapped(isa, bits);
        rig.load(RAM, &[vec![instruction], exit()].concat());
        rig.run();
        let after = rig.ram.load(low, 8).unwrap() & 0x3ff;
        (rig.hart().state().csrs.scause, after)
    };
    let (load, store) = (ld(A0, T0, 0), sd(A0, T0, 0));
    let rw = V | R | W;
    assert_eq!(run(Isa::default(), rw, load), (0, rw | A));
    assert_eq!(run(Isa::default(), rw, store), (0, rw | A | D));
    assert_eq!(run(Isa::default(), V | R, store), (15, V | R));
    let mut isa = Isa::default();
    isa.set(Extension::Svadu.name(), false).unwrap();
    assert_eq!(run(isa, rw, load), (13, rw));
    assert_eq!(run(isa, rw | A, load), (0, rw | A));
    assert_eq!(run(isa, rw | A, store), (15, rw | A));
}

#[test]
fn a_load_does_not_open_the_page_for_stores() {
    let mut rig = mapped(Isa::default(), V | R | A);
    rig.load(RAM, &[vec![ld(A0, T0, 0), sd(A0, T0, 0)], exit()].concat());
    rig.run();
    let state = rig.hart().state();
    assert_eq!(
        (state.csrs.scause, state.csrs.sepc, state.csrs.stval),
        (15, RAM + 4, PAGE)
    );
    assert_eq!(rig.x(A0 as u8), 42);
}

#[test]
fn sfence_forgets() {
    for fence in [SFENCE_VMA, SFENCE_VMA | T0 << 15] {
        let mut rig = mapped(Isa::default(), V | R | W | A | D);
        let entry_at = ROOT + 0x2000;
        let other = DATA + 0x5000;
        rig.ram.store(other - RAM, 8, 77).unwrap();
        let code = [
            vec![ld(A0, T0, 0)],
            li(S0, entry_at),
            li(S1, entry(other, V | R | A)),
            vec![sd(S1, S0, 0), fence, ld(A1, T0, 0), sd(A1, T0, 0)],
            exit(),
        ];
        rig.load(RAM, &code.concat());
        rig.run();
        assert_eq!((rig.x(A0 as u8), rig.x(A1 as u8)), (42, 77));
        assert_eq!(rig.hart().state().csrs.scause, 15);
    }
}

#[test]
fn switching_spaces_switches_translations() {
    // A second root maps the page elsewhere; going to and fro needs no fence with other ASIDs.
    let mut rig = mapped(Isa::default(), V | R | W | A | D);
    let (root, middle, low) = (ROOT + 0x4000, ROOT + 0x5000, ROOT + 0x6000);
    for (at, value) in [
        (root + 2 * 8, entry(RAM, V | R | W | X | A | D)),
        (root, entry(middle, V)),
        (middle, entry(0, V | R | W | A | D)),
        (middle + 2 * 8, entry(low, V)),
        (low, entry(DATA + 0x1000, V | R | A)),
    ] {
        rig.ram.store(at - RAM, 8, value).unwrap();
    }
    rig.ram.store(DATA + 0x1000 - RAM, 8, 43).unwrap();
    let code = [
        li(S0, 8 << 60 | 1 << 44 | ROOT >> 12),
        li(S1, 8 << 60 | 2 << 44 | root >> 12),
        vec![
            csrw(0x180, S0),
            ld(A0, T0, 0),
            csrw(0x180, S1),
            ld(A1, T0, 0),
        ],
        vec![
            csrw(0x180, S0),
            ld(A2, T0, 0),
            csrw(0x180, S1),
            sd(A2, T0, 0),
        ],
        exit(),
    ];
    rig.load(RAM, &code.concat());
    rig.run();
    assert_eq!([A0, A1, A2].map(|r| rig.x(r as u8)), [42, 43, 42]);
    assert_eq!(rig.hart().state().csrs.scause, 15);
}

#[test]
fn deeper_tables_and_their_canonical_addresses() {
    for (mode, levels) in [(8, 3), (9, 4), (10, 5)] {
        let mut rig = mapped(Isa::default(), V | R | W | A | D);
        // Chain tables above the old root by their entry 0.
        let mut root = ROOT;
        for above in 3..levels {
            let table = ROOT + 0x10_000 + above * 0x1000;
            rig.ram.store(table - RAM, 8, entry(root, V)).unwrap();
            root = table;
        }
        rig.load(RAM, &[vec![ld(A0, T0, 0), ld(A1, S0, 0)], exit()].concat());
        let beyond = 1 << (11 + 9 * levels);
        rig.hart().modify(|state| {
            state.csrs.satp = mode << 60 | root >> 12;
            state.registers.set_x(S0 as u8, beyond);
        });
        assert_eq!(rig.hart().translate(PAGE + 5), Some(DATA + 5));
        assert_eq!(rig.hart().translate(beyond), None);
        rig.run();
        let csrs = &rig.hart().state().csrs;
        assert_eq!((csrs.scause, csrs.stval), (13, beyond));
        assert_eq!(rig.x(A0 as u8), 42);
    }
}

#[test]
fn misaligned_large_pages_fault() {
    let mut rig = mapped(Isa::default(), 0);
    let middle = ROOT + 0x1000;
    rig.ram
        .store(middle + 2 * 8 - RAM, 8, entry(DATA + 0x1000, V | R | A))
        .unwrap();
    rig.load(RAM, &[vec![ld(A0, T0, 0)], exit()].concat());
    rig.run();
    assert_eq!(rig.hart().state().csrs.scause, 13);
}

#[test]
fn protection_refuses_page_table_entries_too() {
    let mut rig = mapped(Isa::default(), V | R | A);
    rig.load(RAM, &[vec![ld(A0, T0, 0)], exit()].concat());
    rig.hart().modify(|state| {
        // The page with the lowest table is out of bounds for supervisor mode.
        let table = ROOT + 0x2000;
        (state.csrs.pmpcfg[0], state.csrs.pmpaddr[0]) = (0x18, table >> 2 | 0x1ff);
        (state.csrs.pmpcfg[1], state.csrs.pmpaddr[1]) = (0x1f, (1 << 54) - 1);
    });
    rig.run();
    let csrs = &rig.hart().state().csrs;
    assert_eq!((csrs.scause, csrs.stval), (5, PAGE));
}

#[test]
fn execution_follows_a_new_satp_at_once() {
    // The instruction after the write is fetched through the new tables, where it is not mapped.
    let mut rig = mapped(Isa::default(), V | R | A);
    let code = [
        li(S0, 8 << 60 | (ROOT + 0x2000) >> 12),
        vec![csrw(0x180, S0), addi(A0, ZERO, 1)],
    ];
    let code = code.concat();
    rig.load(RAM, &code);
    rig.ram.store(ROOT + 0x2000 - RAM, 8, 0).unwrap();
    rig.hart().modify(|state| {
        state.csrs.medeleg = 0;
        state.csrs.mtvec = HANDLER;
    });
    rig.run();
    let csrs = &rig.hart().state().csrs;
    let after = RAM + 4 * (code.len() as u64 - 1);
    assert_eq!((csrs.mcause, csrs.mepc, csrs.mtval), (12, after, after));
    assert_eq!(rig.x(A0 as u8), 0);
}

#[test]
fn running_out_of_contexts_forgets_nothing_that_counts() {
    // Two spaces that map the page differently, and a fence in each round: every round needs new
    // contexts, and there are only so many.
    let mut rig = mapped(Isa::default(), V | R | W | A | D);
    let rounds = 2000;
    let code = [
        li(S0, 8 << 60 | 1 << 44 | ROOT >> 12),
        li(S1, 8 << 60 | 2 << 44 | ROOT >> 12),
        li(A1, rounds),
        vec![
            csrw(0x180, S0),
            ld(A0, T0, 0),
            addi(A0, A0, 1),
            sd(A0, T0, 0),
        ],
        vec![csrw(0x180, S1), SFENCE_VMA, ld(A2, T0, 0), addi(A1, A1, -1)],
        vec![bne(A1, ZERO, -32)],
        exit(),
    ];
    rig.load(RAM, &code.concat());
    rig.run();
    assert_eq!(
        (rig.x(A0 as u8), rig.x(A2 as u8)),
        (42 + rounds, 42 + rounds)
    );
}

#[test]
fn mappings_are_listed_as_ranges() {
    let mut rig = mapped(Isa::default(), V | R | W | A | D);
    let low = ROOT + 0x2000 - RAM;
    // A second page behind the first one, a third that leads elsewhere, and the last of all.
    for (index, value) in [
        (1, entry(DATA + 0x1000, V | R | W | A | D)),
        (2, entry(DATA + 0x4000, V | R | W | A | D)),
        (3, entry(DATA + 0x5000, V | R | X | U | 32)),
    ] {
        rig.ram.store(low + 8 * index, 8, value).unwrap();
    }
    let last = entry(0x4000_0000, V | X | A);
    rig.ram.store(ROOT - RAM + 8 * 511, 8, last).unwrap();
    let mappings = rig.hart().mappings().unwrap();
    let expected = "\
vaddr            paddr            size             attr
---------------- ---------------- ---------------- -------
0000000000000000 0000000000000000 0000000000200000 rw---ad
0000000000400000 0000000080200000 0000000000002000 rw---ad
0000000000402000 0000000080204000 0000000000001000 rw---ad
0000000000403000 0000000080205000 0000000000001000 r-xug--
0000000080000000 0000000080000000 0000000040000000 rwx--ad
ffffffffc0000000 0000000040000000 0000000040000000 --x--a-
";
    assert_eq!(mappings.to_string(), expected);
    rig.hart().modify(|state| state.csrs.satp = 0);
    assert_eq!(rig.hart().mappings(), None);
}

#[test]
fn a_table_that_holds_itself_is_listed_in_part() {
    let mut rig = mapped(Isa::default(), 0);
    for index in 0..512 {
        rig.ram
            .store(ROOT - RAM + 8 * index, 8, entry(ROOT, V))
            .unwrap();
    }
    // Four levels of it lead nowhere, after more entries than anybody waits for.
    rig.hart()
        .modify(|state| state.csrs.satp = 9 << 60 | ROOT >> 12);
    let mappings = rig.hart().mappings().unwrap();
    assert!(mappings.truncated && mappings.ranges.is_empty());
}
