//! Nothing a guest executes makes a hart panic, hang, or deaf to a pause.

use std::time::Duration;

use tinamou_hart::{Exit, Firmware, Isa, Privilege};

use crate::asm::*;
use crate::rig::{RAM, Rig, SIZE};

/// Runs for a moment, then pauses.
fn run_and_pause(rig: &mut Rig) {
    let control = rig.hart().control().clone();
    std::thread::scope(|scope| {
        let hart = scope.spawn(|| rig.hart().run());
        std::thread::sleep(Duration::from_millis(20));
        control.pause();
        assert_eq!(hart.join().unwrap(), Exit::Paused);
    });
}

#[test]
fn a_trap_vector_that_traps_does_not_hang() {
    for (pc, vector) in [
        (0, 0),
        (RAM + SIZE, 4),
        (RAM, RAM),
        (u64::MAX - 1, u64::MAX - 3),
    ] {
        let mut rig = Rig::single();
        rig.hart().modify(|state| {
            state.pc = pc;
            state.csrs.mtvec = vector;
        });
        run_and_pause(&mut rig);
    }
}

#[test]
fn endless_loops_pause() {
    for code in [
        vec![STAY],
        vec![WFI, jal(ZERO, -4)],
        vec![NOP, NOP, jal(ZERO, -8)],
    ] {
        let mut rig = Rig::single();
        rig.load(RAM, &code);
        run_and_pause(&mut rig);
    }
}

#[test]
fn random_words_in_every_mode() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..60 {
        let mut rig = Rig::new(Isa::default(), Firmware::Guest, 1);
        for offset in (0..0x4000).step_by(8) {
            rig.ram.store(offset, 8, random()).unwrap();
        }
        let modes = [Privilege::Machine, Privilege::Supervisor, Privilege::User];
        let registers: Vec<u64> = (0..64).map(|_| random()).collect();
        rig.hart().modify(|state| {
            state.privilege = modes[round % 3];
            state.csrs.mtvec = RAM + 0x1000;
            state.csrs.stvec = RAM + 0x2000;
            state.csrs.medeleg = registers[0];
            state.csrs.mstatus = 3 << 13;
            state.csrs.pmpcfg[0] = 0x1f;
            state.csrs.pmpaddr[0] = (1 << 54) - 1;
            for (i, value) in registers.iter().enumerate() {
                let near = RAM + value % 0x4000;
                state
                    .registers
                    .set_x(i as u8, if i % 2 == 0 { near } else { *value });
            }
        });
        let control = rig.hart().control().clone();
        for _ in 0..3000 {
            // A guest may wait for an interrupt that never comes; a step goes on all the same.
            rig.hart().step();
        }
        assert!(!control.is_executing());
        let hart = rig.hart();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| hart.run());
            std::thread::sleep(Duration::from_millis(1));
            control.pause();
            assert_eq!(running.join().unwrap(), Exit::Paused);
        });
    }
}

#[test]
fn the_host_stack_does_not_grow_with_the_code() {
    // A page of straight-line code, again and again, on a small stack.
    let mut rig = Rig::single();
    let nops = 1000;
    let mut code = vec![addi(A0, A0, 1); nops + 1];
    code.extend([addi(A1, A1, -1), bne(A1, ZERO, -4 * (nops as i32 + 2))]);
    code.extend(exit());
    rig.load(RAM, &code);
    let rounds = 2000;
    rig.hart()
        .modify(|state| state.registers.set_x(A1 as u8, rounds));
    let stack = if cfg!(debug_assertions) {
        1 << 20
    } else {
        32 << 10
    };
    std::thread::scope(|scope| {
        let runner = std::thread::Builder::new().stack_size(stack);
        let hart = runner.spawn_scoped(scope, || rig.harts[0].run()).unwrap();
        assert_eq!(hart.join().unwrap(), Exit::Paused);
    });
    assert_eq!(rig.x(A0 as u8), rounds * (nops as u64 + 1));
}
