//! Code that changes while it runs, or while others run it.

use tinamou_hart::{Firmware, Isa};

use crate::asm::*;
use crate::rig::{RAM, Rig};

const FUNCTION: u64 = RAM + 0x2000;

#[test]
fn fence_i_makes_new_code_visible() {
    let mut rig = Rig::single();
    rig.load(FUNCTION, &[addi(A0, ZERO, 1), jalr(ZERO, RA, 0)]);
    let code = [
        li(S0, FUNCTION),
        vec![jalr(RA, S0, 0), addi(S1, A0, 0)],
        li(T0, addi(A0, ZERO, 2).into()),
        vec![sw(T0, S0, 0), FENCE_I, jalr(RA, S0, 0)],
        exit(),
    ];
    rig.load(RAM, &code.concat());
    rig.run();
    assert_eq!((rig.x(S1 as u8), rig.x(A0 as u8)), (1, 2));
}

#[test]
fn a_page_may_rewrite_itself() {
    let mut rig = Rig::single();
    let patch = li(T0, addi(A0, A0, 16).into());
    // The instruction after the fence is replaced before it is reached.
    let code = [
        vec![auipc(S0, 0)],
        patch.clone(),
        vec![
            sw(T0, S0, 4 * (patch.len() as i32 + 3)),
            FENCE_I,
            addi(A0, A0, 1),
        ],
        exit(),
    ];
    rig.load(RAM, &code.concat());
    rig.run();
    assert_eq!(rig.x(A0 as u8), 16);
}

#[test]
fn writes_from_outside_are_seen_after_a_flush() {
    let mut rig = Rig::new(Isa::default(), Firmware::Guest, 1);
    rig.load(RAM, &[vec![addi(A0, ZERO, 1)], exit()].concat());
    rig.run();
    rig.load(RAM, &[addi(A0, ZERO, 9)]);
    let control = rig.hart().control().clone();
    control.flush_instructions();
    control.resume();
    rig.hart().modify(|state| state.pc = RAM);
    rig.run();
    assert_eq!(rig.x(A0 as u8), 9);
}

#[test]
fn many_pages_of_code() {
    // More pages than the cache keeps: a jump from each to the next.
    let mut rig = Rig::single();
    let pages = 3000;
    for page in 0..pages {
        rig.load(RAM + page * 4096, &[addi(A0, A0, 1), jal(ZERO, 4092)]);
    }
    rig.load(RAM + pages * 4096, &exit());
    rig.run();
    assert_eq!(rig.x(A0 as u8), pages);
}

#[test]
fn a_halfword_decoded_twice_is_not_taken_for_current() {
    // lui a0 holds c.addi a0, 1 in its upper half. Both are decoded, with the memory changed in
    // between, so that only the second decoding is of what memory holds.
    let mut rig = Rig::single();
    rig.load(FUNCTION, &[lui(A0, 0x0505_0000), jalr(ZERO, RA, 0)]);
    let code = [
        li(S0, FUNCTION),
        vec![jalr(RA, S0, 0)],
        // Now c.addi a0, 2, and the immediate of the lui with it.
        li(T0, lui(A0, 0x0509_0000).into()),
        vec![sw(T0, S0, 0), jalr(RA, S0, 2), FENCE_I, jalr(RA, S0, 0)],
        exit(),
    ];
    rig.load(RAM, &code.concat());
    rig.run();
    assert_eq!(rig.x(A0 as u8), 0x0509_0000);
}
