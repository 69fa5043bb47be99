//! Interrupt lines, timers and waiting.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tinamou_hart::{Exit, Line};

use crate::asm::*;
use crate::rig::{RAM, Rig};

const HANDLER: u64 = RAM + 0x1000;
const MSTATUS_MIE: u64 = 1 << 3;

/// A hart before `wfi`, with all interrupts enabled and a handler that leaves.
fn prepared() -> Rig {
    let mut rig = Rig::single();
    rig.load(RAM, &[WFI, jal(ZERO, -4)]);
    rig.load(HANDLER, &exit());
    rig.hart().modify(|state| {
        state.csrs.mtvec = HANDLER;
        state.csrs.mie = 0xaaa;
        state.csrs.mstatus = MSTATUS_MIE;
    });
    rig
}

/// A hart that waits before it begins to run, so that no interrupt comes earlier.
fn waiting() -> Rig {
    let mut rig = prepared();
    rig.hart().step();
    assert!(rig.hart().state().waiting);
    rig
}

fn run_and(rig: &mut Rig, act: impl FnOnce()) {
    std::thread::scope(|scope| {
        let hart = scope.spawn(|| rig.harts[0].run());
        std::thread::sleep(Duration::from_millis(5));
        act();
        assert_eq!(hart.join().unwrap(), Exit::Paused);
    });
}

#[test]
fn lines_interrupt_a_waiting_hart() {
    for (line, cause) in [
        (Line::MachineSoftware, 3),
        (Line::MachineTimer, 7),
        (Line::SupervisorExternal, 9),
        (Line::MachineExternal, 11),
    ] {
        let mut rig = waiting();
        let control = rig.hart().control().clone();
        run_and(&mut rig, || control.set_line(line, true));
        let csrs = &rig.hart().state().csrs;
        assert_eq!((csrs.mcause, csrs.mepc), (1 << 63 | cause, RAM + 4));
    }
}

#[test]
fn timers_wait_for_their_time() {
    let mut rig = waiting();
    let (control, world) = (rig.hart().control().clone(), rig.world.clone());
    control.set_timer(1000);
    run_and(&mut rig, || {
        world.time.store(1000, Ordering::SeqCst);
        control.set_timer(1000);
    });
    assert_eq!(rig.hart().state().csrs.mcause, 1 << 63 | 7);
}

#[test]
fn a_running_hart_notices_time_itself() {
    let mut rig = prepared();
    rig.load(RAM, &[NOP, jal(ZERO, -4)]);
    let world = rig.world.clone();
    rig.hart().control().set_timer(5);
    run_and(&mut rig, || world.time.store(5, Ordering::SeqCst));
    assert_eq!(rig.hart().state().csrs.mcause, 1 << 63 | 7);
}

#[test]
fn the_most_urgent_comes_first_and_vectors_spread() {
    let mut rig = prepared();
    rig.load(HANDLER + 4 * 11, &exit());
    rig.load(HANDLER, &[STAY]);
    rig.hart().modify(|state| state.csrs.mtvec = HANDLER | 1);
    let control = rig.hart().control().clone();
    for line in [
        Line::MachineSoftware,
        Line::SupervisorExternal,
        Line::MachineExternal,
    ] {
        control.set_line(line, true);
    }
    rig.run();
    assert_eq!(rig.hart().state().csrs.mcause, 1 << 63 | 11);
    assert_eq!(rig.hart().csr(0x344), Some(1 << 3 | 1 << 9 | 1 << 11));
}

#[test]
fn a_disabled_interrupt_ends_a_wait_without_a_trap() {
    let mut rig = prepared();
    rig.load(RAM, &[vec![WFI], exit()].concat());
    rig.hart().modify(|state| state.csrs.mstatus = 0);
    let control = rig.hart().control().clone();
    run_and(&mut rig, || control.set_line(Line::MachineExternal, true));
    assert_eq!(rig.hart().state().csrs.mcause, 0);
}

#[test]
fn enabling_takes_a_pending_interrupt_at_once() {
    let mut rig = prepared();
    rig.hart().modify(|state| state.csrs.mstatus = 0);
    rig.load(
        RAM,
        &[
            addi(T0, ZERO, 8),
            csrrs(ZERO, 0x300, T0),
            addi(A0, ZERO, 1),
            jal(ZERO, 0),
        ],
    );
    rig.hart().control().set_line(Line::MachineSoftware, true);
    rig.run();
    assert_eq!(rig.hart().state().csrs.mcause, 1 << 63 | 3);
    assert_eq!(rig.x(A0 as u8), 0);
}
