//! The registers of a hart, by name and in QEMU's layout.

use std::fmt::Write as _;

use tinamou_hart::{Hart, csr_number};

use crate::vm::Vm;

const X: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4",
    "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4",
    "t5", "t6",
];

const F: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2",
    "fa3", "fa4", "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9",
    "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
];

/// The CSRs that are shown, in QEMU's order.
const SHOWN_CSRS: &[&str] = &[
    "mhartid", "mstatus", "mip", "mie", "mideleg", "medeleg", "mtvec", "stvec", "mepc", "sepc",
    "mcause", "scause", "mtval", "stval", "mscratch", "sscratch", "satp",
];

/// A register by the name that expressions know it by.
pub fn value(vm: &Vm, cpu: usize, name: &str) -> Option<i64> {
    let found = vm
        .machine
        .with_hart(cpu, |hart| register(hart, name))
        .ok()??;
    Some(found as i64)
}

fn register(hart: &Hart, name: &str) -> Option<u64> {
    let state = hart.state();
    if name == "pc" {
        return Some(state.pc);
    }
    let index = |names: &[&str]| names.iter().position(|other| *other == name);
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)?
            .parse()
            .ok()
            .filter(|n: &usize| *n < 32)
    };
    if let Some(x) = index(&X).or_else(|| numbered("x")) {
        return Some(state.registers.x(x as u8));
    }
    if let Some(f) = index(&F).or_else(|| numbered("f")) {
        return Some(state.registers.f(f as u8));
    }
    hart.csr(csr_number(name)?)
}

/// All registers as a text.
pub fn dump(vm: &Vm, cpu: usize) -> String {
    vm.machine
        .with_hart(cpu, |hart| text(hart))
        .unwrap_or_default()
}

fn text(hart: &Hart) -> String {
    let state = hart.state();
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, " {:<8} {:016x}", "pc", state.pc);
    for name in SHOWN_CSRS {
        if let Some(value) = csr_number(name).and_then(|number| hart.csr(number)) {
            let _ = writeln!(text, " {name:<8} {value:016x}");
        }
    }
    grid(&mut text, 'x', &X, |n| state.registers.x(n));
    if let Some(fcsr) = csr_number("fcsr").and_then(|number| hart.csr(number)) {
        let _ = writeln!(text, " {:<8} {fcsr:016x}", "fcsr");
    }
    grid(&mut text, 'f', &F, |n| state.registers.f(n));
    text
}

/// Four registers a line, each with both its names.
fn grid(text: &mut String, letter: char, names: &[&str; 32], value: impl Fn(u8) -> u64) {
    for (n, name) in (0u8..).zip(names) {
        let _ = write!(
            text,
            " {:<8} {:016x}",
            format!("{letter}{n}/{name}"),
            value(n)
        );
        if n % 4 == 3 {
            text.push('\n');
        }
    }
}
