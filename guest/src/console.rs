//! Subroutines that print on the UART. They change `a0` and `t` registers only.

use crate::asm::*;
use crate::board::{UART, uart};

/// Where the subroutines are.
#[derive(Clone, Copy)]
pub(crate) struct Console {
    byte: Label,
    string: Label,
    decimal: Label,
}

impl Console {
    pub(crate) fn new(a: &mut Assembler) -> Self {
        Self {
            byte: a.label(),
            string: a.label(),
            decimal: a.label(),
        }
    }

    /// Prints a text. The text lies between the instructions, which jump over it.
    pub(crate) fn print(self, a: &mut Assembler, text: &str) {
        let (string, behind) = (a.label(), a.label());
        a.la(A0, string);
        a.call(self.string);
        a.j(behind);
        a.bind(string);
        a.bytes(text.as_bytes());
        a.bytes(&[0]);
        a.align(4);
        a.bind(behind);
    }

    /// Prints the number in `a0`.
    pub(crate) fn decimal(self, a: &mut Assembler) {
        a.call(self.decimal);
    }

    /// Prints the byte in `a0`.
    pub(crate) fn byte(self, a: &mut Assembler) {
        a.jal(T0, self.byte);
    }

    /// Places the subroutines.
    pub(crate) fn place(self, a: &mut Assembler) {
        self.place_byte(a);
        self.place_string(a);
        self.place_decimal(a);
    }

    /// Returns to `t0`, so that other subroutines need not save `ra`.
    fn place_byte(self, a: &mut Assembler) {
        a.bind(self.byte);
        a.li(T1, UART);
        let busy = a.here();
        a.lbu(T2, uart::LSR, T1);
        a.andi(T2, T2, uart::TRANSMIT_EMPTY);
        a.beqz(T2, busy);
        a.sb(A0, uart::DATA, T1);
        a.jalr(ZERO, T0, 0);
    }

    /// Prints what is at `a0` up to a zero.
    fn place_string(self, a: &mut Assembler) {
        let done = a.label();
        a.bind(self.string);
        a.mv(T3, A0);
        let next = a.here();
        a.lbu(A0, 0, T3);
        a.beqz(A0, done);
        a.jal(T0, self.byte);
        a.addi(T3, T3, 1);
        a.j(next);
        a.bind(done);
        a.ret();
    }

    /// Divides by ten onto the stack, and prints from there.
    fn place_decimal(self, a: &mut Assembler) {
        a.bind(self.decimal);
        a.mv(T3, SP);
        a.li(T4, 10);
        let digit = a.here();
        a.remu(T5, A0, T4);
        a.divu(A0, A0, T4);
        a.addi(T3, T3, -1);
        a.sb(T5, 0, T3);
        a.bnez(A0, digit);
        let next = a.here();
        a.lbu(A0, 0, T3);
        a.addi(A0, A0, i64::from(b'0'));
        a.jal(T0, self.byte);
        a.addi(T3, T3, 1);
        a.bne(T3, SP, next);
        a.ret();
    }
}
