//! Exceptions: cause, value, where they go and how they return.

use tinamou_hart::{Extension, Firmware, Isa, Privilege};

use crate::asm::*;
use crate::rig::{EXIT, RAM, Rig, SIZE};

const HANDLER: u64 = RAM + 0x1000;
const HOLE: u64 = 0x1_0000;

/// Executes one instruction with t0 holding `operand`, in machine mode; it must trap like this.
#[track_caller]
fn check(isa: Isa, instruction: u32, operand: u64, cause: u64, value: u64) {
    let mut rig = Rig::new(isa, Firmware::Guest, 1);
    rig.load(RAM, &[instruction]);
    rig.load(HANDLER, &exit());
    rig.hart().modify(|state| {
        state.csrs.mtvec = HANDLER;
        state.registers.set_x(T0 as u8, operand);
    });
    rig.run();
    let csrs = &rig.hart().state().csrs;
    assert_eq!(
        (csrs.mcause, csrs.mepc, csrs.mtval),
        (cause, RAM, value),
        "{instruction:#x}"
    );
    assert_eq!(csrs.mstatus >> 11 & 3, 3);
}

#[test]
fn causes_and_values() {
    let isa = Isa::default();
    for (instruction, operand, cause, value) in [
        (0xffff_ffff, 0, 2, 0xffff_ffff),
        (0x0000_0000, 0, 2, 0),
        (0x7000_0073, 0, 2, 0x7000_0073),
        (csrr(A0, 0x7c0), 0, 2, csrr(A0, 0x7c0).into()),
        (csrw(0xf14, T0), 0, 2, csrw(0xf14, T0).into()),
        (r(0x53, 0, 0, 0, 0, 0), 0, 2, r(0x53, 0, 0, 0, 0, 0).into()),
        (EBREAK, 0, 3, RAM),
        (ECALL, 0, 11, 0),
        (ld(A0, T0, 0), HOLE, 5, HOLE),
        (ld(A0, T0, 0), RAM + SIZE - 4, 5, RAM + SIZE),
        (ld(A0, T0, 0), EXIT + 1, 5, EXIT + 1),
        (sd(A0, T0, 8), HOLE, 7, HOLE + 8),
        (lr_d(A0, T0), RAM + 4, 4, RAM + 4),
        (amoadd_d(A0, A0, T0), RAM + 1, 6, RAM + 1),
        (amoadd_d(A0, A0, T0), EXIT, 7, EXIT),
        (sc_d(A0, A0, T0), RAM + 4, 6, RAM + 4),
    ] {
        check(isa, instruction, operand, cause, value);
    }
}

#[test]
fn without_compressed_instructions_targets_can_be_misaligned() {
    let mut isa = Isa::default();
    isa.set(Extension::C.name(), false).unwrap();
    check(isa, jal(RA, 6), 0, 0, RAM + 6);
    check(isa, beq(ZERO, ZERO, 10), 0, 0, RAM + 10);
    check(isa, jalr(RA, T0, 2), RAM, 0, RAM + 2);
    check(isa, 0x0000_4501, 0, 2, 0x4501);
}

#[test]
fn misaligned_accesses_to_memory_work() {
    let mut rig = Rig::single();
    let at = RAM + 0x3000 - 3;
    let code = [li(S0, at), li(T0, 0x1122_3344_5566_7788)];
    let accesses = vec![sd(T0, S0, 0), ld(A0, S0, 0), lw(A1, S0, 2)];
    rig.load(RAM, &[code.concat(), accesses, exit()].concat());
    rig.run();
    assert_eq!(rig.x(A0 as u8), 0x1122_3344_5566_7788);
    assert_eq!(rig.x(A1 as u8), 0x3344_5566);
    assert_eq!(rig.hart().state().csrs.mcause, 0);
}

/// Drops to a mode, executes one instruction there, and says where the trap went.
fn from_mode(mode: Privilege, instruction: u32, mstatus: u64, medeleg: u64) -> (u64, Privilege) {
    let mut rig = Rig::single();
    rig.load(RAM, &[instruction, 0]);
    rig.load(HANDLER, &exit());
    rig.hart().modify(|state| {
        state.privilege = mode;
        let csrs = &mut state.csrs;
        (csrs.mtvec, csrs.stvec) = (HANDLER, HANDLER);
        (csrs.mstatus, csrs.medeleg) = (mstatus, medeleg);
        (csrs.pmpcfg[0], csrs.pmpaddr[0]) = (0x1f, (1 << 54) - 1);
    });
    rig.run();
    let state = rig.hart().state();
    match state.privilege {
        Privilege::Supervisor => (state.csrs.scause, state.privilege),
        _ => (state.csrs.mcause, state.privilege),
    }
}

#[test]
fn modes_and_delegation() {
    use Privilege::{Machine, Supervisor, User};
    const TVM: u64 = 1 << 20;
    const TW: u64 = 1 << 21;
    const TSR: u64 = 1 << 22;
    const ALL: u64 = 0xb3ff;
    for (mode, instruction, mstatus, medeleg, expected) in [
        (User, ECALL, 0, 0, (8, Machine)),
        (User, ECALL, 0, ALL, (8, Supervisor)),
        (Supervisor, ECALL, 0, 0, (9, Machine)),
        (Supervisor, EBREAK, 0, 1 << 3, (3, Supervisor)),
        (User, MRET, 0, ALL, (2, Supervisor)),
        (Supervisor, MRET, 0, 0, (2, Machine)),
        (User, SRET, 0, 0, (2, Machine)),
        (Supervisor, SRET, TSR, 0, (2, Machine)),
        (User, WFI, 0, 0, (2, Machine)),
        (Supervisor, WFI, TW, 0, (2, Machine)),
        (User, SFENCE_VMA, 0, 0, (2, Machine)),
        (Supervisor, SFENCE_VMA, TVM, 0, (2, Machine)),
        (Supervisor, csrr(A0, 0x180), TVM, 0, (2, Machine)),
        (Supervisor, csrr(A0, 0x300), 0, 0, (2, Machine)),
        (User, csrr(A0, 0x100), 0, 0, (2, Machine)),
        (User, csrr(A0, 0xc00), 0, 0, (2, Machine)),
        (Supervisor, csrr(A0, 0xc01), 0, 0, (2, Machine)),
        (Supervisor, csrr(A0, 0x14d), 0, 0, (2, Machine)),
    ] {
        let found = from_mode(mode, instruction, mstatus, medeleg);
        assert_eq!(found, expected, "{mode:?} {instruction:#x}");
    }
}

#[test]
fn returns_restore_mode_and_enables() {
    let mut rig = Rig::single();
    rig.load(RAM, &[MRET]);
    rig.load(RAM + 0x100, &exit());
    rig.hart().modify(|state| {
        let csrs = &mut state.csrs;
        csrs.mepc = RAM + 0x100;
        // MPP = S, MPIE, MPRV.
        csrs.mstatus = 1 << 11 | 1 << 7 | 1 << 17;
        (csrs.pmpcfg[0], csrs.pmpaddr[0]) = (0x1f, (1 << 54) - 1);
    });
    rig.run();
    let state = rig.hart().state();
    assert_eq!(state.privilege, Privilege::Supervisor);
    assert_eq!(state.csrs.mstatus, 1 << 3 | 1 << 7);
}

#[test]
fn floating_point_state_becomes_dirty() {
    let fmv_d_x = r(0x53, 0, 0, T0, 0, 0x79);
    let fadd_with = |rounding| r(0x53, 1, rounding, 0, 0, 1);
    let mut rig = Rig::single();
    rig.load(RAM, &[vec![fmv_d_x, fadd_with(7)], exit()].concat());
    rig.hart().modify(|state| {
        state.csrs.mstatus = 1 << 13;
        state.registers.set_x(T0 as u8, 1.5_f64.to_bits());
    });
    rig.run();
    let state = rig.hart().state();
    assert_eq!(state.csrs.mstatus, 3 << 13);
    assert_eq!(state.registers.f(1), 3.0_f64.to_bits());
    // A reserved dynamic rounding mode.
    let mut rig = Rig::single();
    rig.load(RAM, &[fadd_with(7)]);
    rig.load(HANDLER, &exit());
    rig.hart().modify(|state| {
        state.csrs.mtvec = HANDLER;
        (state.csrs.mstatus, state.csrs.frm) = (3 << 13, 5);
    });
    rig.run();
    assert_eq!(rig.hart().state().csrs.mcause, 2);
}
