//! The built-in firmware.

use std::sync::atomic::Ordering;

use tinamou_hart::{Exit, Firmware, HartStatus, Isa, Privilege, Start, SystemReset};

use crate::asm::*;
use crate::rig::{RAM, Rig};

const BASE: u64 = 0x10;
const TIME: u64 = 0x5449_4d45;
const IPI: u64 = 0x0073_5049;
const RFENCE: u64 = 0x5246_4e43;
const HSM: u64 = 0x0048_534d;
const SRST: u64 = 0x5352_5354;
const DBCN: u64 = 0x4442_434e;

const NOT_SUPPORTED: u64 = -2_i64 as u64;
const INVALID_PARAM: u64 = -3_i64 as u64;

fn rig(harts: u64) -> Rig {
    let mut rig = Rig::new(Isa::default(), Firmware::BuiltIn, harts);
    for (id, hart) in rig.harts.iter_mut().enumerate() {
        hart.reset(match id {
            0 => Start::Supervisor {
                pc: RAM,
                opaque: 0x1234,
            },
            _ => Start::Stopped,
        });
    }
    rig
}

fn ecall(extension: u64, function: u64, args: &[u64]) -> Vec<u32> {
    let mut code = [li(A7, extension), li(A6, function)].concat();
    for (i, arg) in args.iter().enumerate() {
        code.extend(li(A0 + i as u32, *arg));
    }
    code.push(ECALL);
    code
}

/// Error and value of a call on a machine of two harts.
#[track_caller]
fn check(extension: u64, function: u64, args: &[u64], expected: (u64, u64)) {
    let mut rig = rig(2);
    rig.load(RAM, &[ecall(extension, function, args), exit()].concat());
    rig.run();
    assert_eq!(
        (rig.x(10), rig.x(11)),
        expected,
        "{extension:#x} {function} {args:x?}"
    );
}

#[test]
fn a_kernel_finds_what_it_expects() {
    let mut rig = rig(1);
    rig.load(RAM, &exit());
    rig.run();
    let state = rig.hart().state();
    assert_eq!(state.privilege, Privilege::Supervisor);
    assert_eq!((state.registers.x(10), state.registers.x(11)), (0, 0x1234));
    assert_eq!(state.csrs.mideleg, 0x222);
}

#[test]
fn answers() {
    for (extension, function, args, expected) in [
        (BASE, 0, &[][..], (0, 2 << 24)),
        (BASE, 3, &[TIME], (0, 1)),
        (BASE, 3, &[0x0050_4d55], (0, 0)),
        (BASE, 3, &[0x999_9999], (0, 0)),
        (BASE, 99, &[], (NOT_SUPPORTED, 0)),
        (0x0a00_0000, 0, &[], (NOT_SUPPORTED, 0)),
        (TIME, 0, &[5], (0, 0)),
        (TIME, 1, &[5], (NOT_SUPPORTED, 0)),
        (IPI, 0, &[2, 0], (0, 0)),
        (IPI, 0, &[4, 0], (INVALID_PARAM, 0)),
        (IPI, 0, &[1, u64::MAX - 1], (INVALID_PARAM, 0)),
        (IPI, 0, &[0, u64::MAX], (0, 0)),
        (RFENCE, 0, &[3, 0], (0, 0)),
        (RFENCE, 1, &[1, 1, 0, 4096], (0, 0)),
        (RFENCE, 2, &[1, 2], (INVALID_PARAM, 0)),
        (RFENCE, 9, &[1, 0], (NOT_SUPPORTED, 0)),
        (HSM, 0, &[0, RAM, 0], (-6_i64 as u64, 0)),
        (HSM, 0, &[1, 4, 0], (-5_i64 as u64, 0)),
        (HSM, 0, &[2, RAM, 0], (INVALID_PARAM, 0)),
        (HSM, 2, &[1], (0, 1)),
        (HSM, 2, &[7], (INVALID_PARAM, 0)),
        (SRST, 0, &[9, 0], (INVALID_PARAM, 0)),
        (SRST, 0, &[0, 7], (INVALID_PARAM, 0)),
        (DBCN, 0, &[4, 0, 0], (INVALID_PARAM, 0)),
        (DBCN, 0, &[4, RAM, 1], (INVALID_PARAM, 0)),
        (DBCN, 0, &[u64::MAX, RAM, 0], (0, 4096)),
        (DBCN, 1, &[4, RAM, 0], (0, 0)),
    ] {
        check(extension, function, args, expected);
    }
}

#[test]
fn consoles_write() {
    let mut rig = rig(1);
    rig.ram.write(0x5000, b"hello").unwrap();
    let code = [
        ecall(DBCN, 0, &[5, RAM + 0x5000, 0]),
        ecall(DBCN, 2, &[b'!'.into()]),
        ecall(1, 0, &[b'\n'.into()]),
        exit(),
    ];
    rig.load(RAM, &code.concat());
    rig.run();
    assert_eq!(*rig.world.output.lock().unwrap(), b"hello!\n");
}

#[test]
fn resets_stop_the_hart() {
    for (code, expected) in [
        (
            ecall(SRST, 0, &[0, 0]),
            SystemReset::Shutdown { failure: false },
        ),
        (
            ecall(SRST, 0, &[0, 1]),
            SystemReset::Shutdown { failure: true },
        ),
        (ecall(SRST, 0, &[1, 0]), SystemReset::Cold),
        (ecall(SRST, 0, &[2, 0]), SystemReset::Warm),
        (ecall(8, 0, &[]), SystemReset::Shutdown { failure: false }),
    ] {
        let mut rig = rig(1);
        rig.load(RAM, &[code, vec![addi(S1, ZERO, 1), STAY]].concat());
        rig.run();
        assert_eq!(*rig.world.resets.lock().unwrap(), [expected]);
        assert_eq!(rig.x(S1 as u8), 0, "nothing is executed after the call");
    }
}

#[test]
fn the_timer_interrupts_with_and_without_sstc() {
    for sstc in [true, false] {
        let mut isa = Isa::default();
        isa.set("sstc", sstc).unwrap();
        let mut rig = Rig::new(isa, Firmware::BuiltIn, 1);
        rig.hart().reset(Start::Supervisor { pc: RAM, opaque: 0 });
        let (handler, flag) = (RAM + 0x1000, RAM + 0x4000);
        rig.load(handler, &exit());
        let code = [
            li(T0, handler),
            vec![csrw(0x105, T0), addi(T0, ZERO, 0x20), csrw(0x104, T0)],
            ecall(TIME, 0, &[100]),
            // Says what is pending, plus one, before interrupts are enabled.
            li(S1, flag),
            vec![csrr(S0, 0x144), addi(S0, S0, 1), sd(S0, S1, 0)],
            vec![addi(T0, ZERO, 2), csrrs(ZERO, 0x100, T0), STAY],
        ];
        rig.load(RAM, &code.concat());
        let (world, ram) = (rig.world.clone(), rig.ram.clone());
        std::thread::scope(|scope| {
            let hart = scope.spawn(|| rig.harts[0].run());
            while ram.load(flag - RAM, 8) == Ok(0) {
                std::thread::yield_now();
            }
            world.time.store(100, Ordering::SeqCst);
            assert_eq!(hart.join().unwrap(), Exit::Paused);
        });
        assert_eq!(rig.hart().state().csrs.scause, 1 << 63 | 5, "sstc {sstc}");
        assert_eq!(rig.x(S0 as u8), 1);
    }
}

#[test]
fn harts_start_stop_and_interrupt_each_other() {
    let mut rig = rig(2);
    let (second, flag) = (RAM + 0x2000, RAM + 0x4000);
    // The second hart says that it is there, waits for an IPI, says that it came, and stops.
    let other = [
        li(S0, flag),
        vec![
            sd(A1, S0, 0),
            addi(T0, ZERO, 2),
            csrw(0x104, T0),
            WFI,
            csrr(T0, 0x144),
        ],
        vec![sd(T0, S0, 8)],
        ecall(HSM, 1, &[]),
    ];
    rig.load(second, &other.concat());
    let wait_for = |offset| vec![ld(T0, S0, offset), beq(T0, ZERO, -4)];
    let status = ecall(HSM, 2, &[1]);
    let back = -4 * (status.len() as i32 + 1);
    let code = [
        li(S0, flag),
        ecall(HSM, 0, &[1, second, 77]),
        wait_for(0),
        ecall(IPI, 0, &[1, 1]),
        wait_for(8),
        // Until the other has stopped.
        status,
        vec![addi(T1, ZERO, 1), bne(A1, T1, back)],
        ecall(RFENCE, 0, &[0, u64::MAX]),
        exit(),
    ];
    rig.load(RAM, &code.concat());
    std::thread::scope(|scope| {
        for hart in &mut rig.harts {
            scope.spawn(|| hart.run());
        }
    });
    assert_eq!(rig.ram.load(flag - RAM, 8), Ok(77));
    assert_eq!(rig.ram.load(flag + 8 - RAM, 8), Ok(2));
    assert_eq!(rig.harts[1].control().status(), HartStatus::Stopped);
}
