//! The double-precision loop.

use super::{Benchmark, mix, mixed, once, repeat};
use crate::asm::*;

const ROUNDS: u32 = 300;
/// Rows and columns of the matrices.
const SIDE: u32 = 32;

const ROUND: Reg = S0;
const OUTER: Reg = S3;
const MIDDLE: Reg = S4;
const INNER: Reg = S5;

pub(super) struct Floating {
    left: Label,
    right: Label,
}

impl Benchmark for Floating {
    const NAME: &str = "floating";

    fn new(a: &mut Assembler) -> Self {
        Self {
            left: a.label(),
            right: a.label(),
        }
    }

    /// Turns the floating-point unit on: `FS` is initial (priv §3.1.6.6), and rounding to nearest.
    fn prepare(&self, a: &mut Assembler) {
        const FS_INITIAL: i64 = 1 << 13;
        a.li(T0, FS_INITIAL);
        a.csrrs(ZERO, csr::SSTATUS, T0);
        a.csrw(csr::FCSR, ZERO);
    }

    fn measured(&self, a: &mut Assembler) -> u64 {
        repeat(a, ROUND, ROUNDS, |a| self.product(a))
    }

    fn checksum() -> u64 {
        let (left, right) = (left(), right());
        let side = SIDE as usize;
        let mut elements = Vec::new();
        for (row, column) in (0..side * side).map(|at| (at / side, at % side)) {
            let (mut rounded, mut fused) = (0f64, 0f64);
            for k in 0..side {
                let (x, y) = (left[row * side + k], right[k * side + column]);
                rounded += x * y;
                fused = x.mul_add(y, fused);
            }
            elements.push((rounded / fused).to_bits());
        }
        let round = |checksum, _| elements.iter().copied().fold(checksum, mixed);
        (0..ROUNDS).fold(0, round)
    }

    fn place(&self, a: &mut Assembler) {
        for (label, matrix) in [(self.left, left()), (self.right, right())] {
            a.bind(label);
            matrix.iter().for_each(|x| a.doubleword(x.to_bits()));
        }
    }
}

impl Floating {
    /// Each element twice: rounded at each step, and with fused multiply-adds; the ratio counts.
    fn product(&self, a: &mut Assembler) -> u64 {
        let row = i64::from(SIDE) * 8;
        let before = once(a, |a| a.la(A0, self.left));
        let rows = repeat(a, OUTER, SIDE, |a| {
            let top = once(a, |a| a.la(A1, self.right));
            let columns = repeat(a, MIDDLE, SIDE, |a| {
                let start = once(a, |a| {
                    a.mv(A2, A0);
                    a.mv(A3, A1);
                    a.fmv_d_x(FT2, ZERO);
                    a.fmv_d_x(FT3, ZERO);
                });
                let dot = repeat(a, INNER, SIDE, |a| once(a, |a| term(a, row)));
                let end = once(a, |a| {
                    a.fdiv_d(FT2, FT2, FT3);
                    a.fmv_x_d(T1, FT2);
                    mix(a, T1);
                    a.addi(A1, A1, 8);
                });
                start + dot + end
            });
            top + columns + once(a, |a| a.addi(A0, A0, row))
        });
        before + rows
    }
}

fn term(a: &mut Assembler, row: i64) {
    a.fld(FT0, 0, A2);
    a.fld(FT1, 0, A3);
    a.fmul_d(FA0, FT0, FT1);
    a.fadd_d(FT2, FT2, FA0);
    a.fmadd_d(FT3, FT0, FT1, FT3);
    a.addi(A2, A2, 8);
    a.addi(A3, A3, row);
}

fn left() -> Vec<f64> {
    let elements = 1..=SIDE * SIDE;
    elements.map(|n| 1.0 / f64::from(n)).collect()
}

fn right() -> Vec<f64> {
    let elements = 1..=SIDE * SIDE;
    elements.map(|n| f64::from(n) / 3.0).collect()
}
