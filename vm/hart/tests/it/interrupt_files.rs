//! The advanced interrupt architecture's registers: what is most urgent, and the way to the
//! interrupt files.

use std::sync::Mutex;

use tinamou_hart::{Firmware, InterruptFile, Isa, Line, csr_number};

use crate::asm::*;
use crate::rig::{RAM, Rig};

/// A file with one register, 0x70, and identities that are claimed from the end of a list.
struct File {
    register: Mutex<u64>,
    pending: Mutex<Vec<u64>>,
}

impl InterruptFile for File {
    fn access(&self, select: u64, change: Option<&dyn Fn(u64) -> u64>) -> Option<u64> {
        let mut register = self.register.lock().unwrap();
        let value = *register;
        if let Some(change) = change {
            *register = change(value);
        }
        (select == 0x70).then_some(value)
    }

    fn top(&self, claim: bool) -> u64 {
        let mut pending = self.pending.lock().unwrap();
        if claim {
            pending.pop().unwrap_or(0)
        } else {
            pending.last().copied().unwrap_or(0)
        }
    }
}

fn aia() -> Rig {
    let mut isa = Isa::default();
    isa.set("smaia", true).unwrap();
    isa.set("ssaia", true).unwrap();
    let rig = Rig::new(isa, Firmware::Guest, 1);
    let file = File {
        register: Mutex::new(6),
        pending: Mutex::new(vec![7, 9]),
    };
    assert!(rig.world.file.set(Box::new(file)).is_ok());
    rig
}

fn number(name: &str) -> u32 {
    csr_number(name).unwrap().into()
}

/// Runs `code`; what it leaves in a0, and whether it got to its end.
fn check(rig: &mut Rig, code: &[u32], expected: Option<u64>) {
    let trap = RAM + 0x1000;
    rig.load(trap, &[vec![addi(A1, ZERO, 1)], exit()].concat());
    let prologue = [li(T1, trap), vec![csrw(0x305, T1)]].concat();
    rig.load(RAM, &[prologue, code.to_vec(), exit()].concat());
    rig.run();
    let found = (rig.x(A1 as u8) == 0).then(|| rig.x(A0 as u8));
    assert_eq!(found, expected);
}

#[test]
fn a_selected_register_is_read_and_written_in_one_step() {
    let (select, register) = (number("siselect"), number("sireg"));
    let code = [
        li(T0, 0x70),
        vec![csrw(select, T0)],
        li(T0, 1),
        vec![csrrs(T2, register, T0), csrr(A0, register), add(A0, A0, T2)],
    ];
    check(&mut aia(), &code.concat(), Some(6 + 7));
}

#[test]
fn what_cannot_be_selected_traps() {
    for (select, register, expected) in [
        ("siselect", "sireg", None),
        ("miselect", "mireg", None),
        ("siselect", "mtopei", None),
    ] {
        let code = [
            li(T0, 0x72),
            vec![csrw(number(select), T0), csrr(A0, number(register))],
        ];
        check(&mut aia(), &code.concat(), expected);
    }
    for (select, expected) in [(0x30, Some(0)), (0x31, None), (0x3e, Some(0))] {
        let write = [li(T0, select), vec![csrw(number("miselect"), T0)]];
        let read = vec![csrw(number("mireg"), T0), csrr(A0, number("mireg"))];
        check(&mut aia(), &[write.concat(), read].concat(), expected);
    }
}

#[test]
fn a_claim_takes_what_it_reads() {
    let stopei = number("stopei");
    let code = [
        csrr(A0, stopei),
        csrrw(T0, stopei, ZERO),
        add(A0, A0, T0),
        csrrw(T0, stopei, ZERO),
        add(A0, A0, T0),
        csrr(T0, stopei),
        add(A0, A0, T0),
    ];
    check(&mut aia(), &code, Some(9 + 9 + 7));
}

#[test]
fn the_most_urgent_interrupt_is_told_per_level() {
    for (name, mideleg, expected) in [
        ("mtopi", 0, 11 << 16 | 1),
        ("mtopi", 0xaaa, 0),
        ("stopi", 0xa22, 9 << 16 | 1),
        ("stopi", 0, 0),
    ] {
        let mut rig = aia();
        rig.hart().modify(|state| {
            state.csrs.mie = if mideleg == 0xa22 { 0x222 } else { 0xaaa };
            state.csrs.mideleg = mideleg;
        });
        for line in [Line::MachineExternal, Line::SupervisorExternal] {
            rig.hart().control().set_line(line, true);
        }
        check(&mut rig, &[csrr(A0, number(name))], Some(expected));
    }
}

#[test]
fn without_the_extensions_nothing_is_there() {
    for name in [
        "mtopi", "stopi", "miselect", "siselect", "stopei", "mvien", "mvip",
    ] {
        check(&mut Rig::single(), &[csrr(A0, number(name))], None);
    }
}
