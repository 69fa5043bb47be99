//! Placement: instructions at the ends of pages, compressed and not.

use crate::asm::*;
use crate::rig::{RAM, Rig};

/// Loads halfwords at any even address.
fn load_halves(rig: &Rig, address: u64, halves: &[u16]) {
    for (i, half) in halves.iter().enumerate() {
        rig.ram
            .store(address - RAM + i as u64 * 2, 2, (*half).into())
            .unwrap();
    }
}

fn halves(code: &[u32]) -> Vec<u16> {
    code.iter()
        .flat_map(|word| [*word as u16, (*word >> 16) as u16])
        .collect()
}

#[test]
fn an_instruction_may_straddle_pages() {
    let rest = exit();
    for first in [
        addi(A0, A0, 5),
        jal(A0, 8),
        bne(ZERO, RA, 8),
        csrr(A0, 0xb02),
        lw(A0, RA, 0),
    ] {
        let mut rig = Rig::single();
        let at = RAM + 0x2000 - 2;
        load_halves(
            &rig,
            at,
            &halves(&[&[first, NOP], rest.as_slice()].concat()),
        );
        rig.hart().modify(|state| {
            state.pc = at;
            state.registers.set_x(1, at);
        });
        rig.run();
        let pc = rig.hart().state().pc;
        assert!(
            (at + 8..at + 8 + 4 * rest.len() as u64).contains(&pc),
            "{first:#x} {pc:#x}"
        );
    }
}

#[test]
fn a_straddling_fault_names_the_second_page() {
    let mut rig = Rig::single();
    let at = RAM + crate::rig::SIZE - 2;
    load_halves(&rig, at, &[addi(A0, A0, 5) as u16]);
    rig.load(RAM, &exit());
    rig.hart().modify(|state| {
        state.pc = at;
        state.csrs.mtvec = RAM;
    });
    rig.run();
    let csrs = &rig.hart().state().csrs;
    assert_eq!((csrs.mcause, csrs.mepc, csrs.mtval), (1, at, at + 2));
}

#[test]
fn code_can_be_entered_in_the_middle() {
    // lui a0, 0x505 contains "addi a0, a0, 1" in its upper half: c.addi is 0x0505.
    let mut rig = Rig::single();
    let code = [lui(A0, 0x0505_0000)];
    rig.load(RAM, &[code.to_vec(), exit()].concat());
    rig.run();
    assert_eq!(rig.x(A0 as u8), 0x0505_0000);
    rig.hart().control().resume();
    rig.hart().modify(|state| {
        state.pc = RAM + 2;
        state.registers.set_x(10, 7);
    });
    rig.run();
    assert_eq!(rig.x(A0 as u8), 8);
}
