//! Atomics across harts.

use tinamou_hart::{Firmware, Isa};

use crate::asm::*;
use crate::rig::{RAM, Rig};

const COUNTER: u64 = RAM + 0x10_0000;
const ROUNDS: u64 = 20_000;

/// Both harts run `body` on the address in s0 many times; then the counter must show every round.
fn check(body: &[u32]) {
    let mut rig = Rig::new(Isa::default(), Firmware::Guest, 2);
    let done = COUNTER + 64;
    let back = -4 * (body.len() as i32 + 1);
    let finish = [
        li(S1, done),
        vec![addi(T0, ZERO, 1), amoadd_d(T1, T0, S1)],
        // The last of the two leaves.
        vec![beq(T1, ZERO, 4 * 15)],
        exit(),
        vec![STAY; 4],
    ];
    let code = [
        li(S0, COUNTER),
        li(A1, ROUNDS),
        body.to_vec(),
        vec![addi(A1, A1, -1), bne(A1, ZERO, back)],
        finish.concat(),
    ];
    rig.load(RAM, &code.concat());
    std::thread::scope(|scope| {
        for hart in &mut rig.harts {
            scope.spawn(|| hart.run());
        }
    });
    assert_eq!(rig.ram.load(COUNTER - RAM, 8), Ok(2 * ROUNDS));
}

#[test]
fn amo_add() {
    check(&[addi(T0, ZERO, 1), amoadd_d(ZERO, T0, S0)]);
}

#[test]
fn load_reserved_store_conditional() {
    check(&[
        lr_d(T0, S0),
        addi(T0, T0, 1),
        sc_d(T1, T0, S0),
        bne(T1, ZERO, -12),
    ]);
}

#[test]
fn a_store_conditional_needs_its_reservation() {
    let mut rig = Rig::single();
    let code = [
        li(S0, COUNTER),
        vec![
            addi(T0, ZERO, 7),
            sc_d(A0, T0, S0),
            lr_d(T1, S0),
            addi(S1, S0, 8),
        ],
        vec![
            sc_d(A1, T0, S1),
            sc_d(A2, T0, S0),
            lr_d(T1, S0),
            sc_d(S1, T0, S0),
        ],
        exit(),
    ];
    rig.load(RAM, &code.concat());
    rig.run();
    assert_eq!([A0, A1, A2, S1].map(|r| rig.x(r as u8)), [1, 1, 1, 0]);
    assert_eq!(rig.ram.load(COUNTER - RAM, 8), Ok(7));
}
