//! Retired instructions are counted exactly.

use crate::asm::*;
use crate::rig::{RAM, Rig};

const MINSTRET: u32 = 0xb02;
const MCOUNTINHIBIT: u32 = 0x320;

/// `body` between two reads of minstret executes this many instructions, the first read included.
fn check(body: &[u32], expected: u64) {
    let mut rig = Rig::single();
    let code = [
        &[csrr(S0, MINSTRET)],
        body,
        &[csrr(S1, MINSTRET)],
        exit().as_slice(),
    ]
    .concat();
    rig.load(RAM, &code);
    rig.run();
    assert_eq!(rig.x(S1 as u8) - rig.x(S0 as u8), expected);
}

#[test]
fn straight_lines_and_branches() {
    check(&[], 1);
    check(&[NOP; 5], 6);
    check(&[beq(ZERO, ZERO, 8), NOP, NOP], 3);
    check(&[bne(ZERO, ZERO, 8), NOP, NOP], 4);
    check(
        &[addi(T0, ZERO, 10), addi(T0, T0, -1), bne(T0, ZERO, -4)],
        22,
    );
}

#[test]
fn across_pages() {
    // Two jumps, a no-op and a return by way of the second page, then three more no-ops.
    let mut body = vec![jal(RA, 4096), NOP];
    body.resize(1025, NOP);
    body.push(jalr(ZERO, RA, 0));
    body[1] = jal(ZERO, 4 * 1026);
    body.extend([NOP; 4]);
    check(&body, 1 + 4 + 3);
    check(&vec![NOP; 3000], 3001);
}

#[test]
fn csr_writes_and_inhibition() {
    check(&[addi(T0, ZERO, 4), csrw(MCOUNTINHIBIT, T0), NOP, NOP], 3);
    let mut rig = Rig::single();
    let code = [
        addi(T0, ZERO, 100),
        csrw(MINSTRET, T0),
        csrr(S0, MINSTRET),
        csrr(S1, MINSTRET),
    ];
    rig.load(RAM, &[code.to_vec(), exit()].concat());
    rig.run();
    assert_eq!((rig.x(S0 as u8), rig.x(S1 as u8)), (100, 101));
}

#[test]
fn single_steps_count_too() {
    let mut rig = Rig::single();
    rig.load(
        RAM,
        &[NOP, jal(ZERO, 8), NOP, addi(A0, ZERO, 5), jal(ZERO, -16)],
    );
    // Twice, as the second time everything has been decoded.
    for round in 0..2 {
        let mut seen = Vec::new();
        for _ in 0..4 {
            rig.hart().step();
            seen.push((
                rig.hart().state().pc - RAM,
                rig.hart().retired() - round * 4,
            ));
        }
        assert_eq!(seen, [(4, 1), (12, 2), (16, 3), (0, 4)]);
    }
    assert_eq!(rig.x(A0 as u8), 5);
}
