//! The `virt` board as the programs see it: addresses, registers, and calls of the firmware.

use crate::asm::*;

/// Where firmware starts the programs.
pub const ADDRESS: u64 = 0x8020_0000;
/// The ns16550 UART.
pub(crate) const UART: i64 = 0x1000_0000;
/// The UART's input of the PLIC.
pub(crate) const UART_IRQ: i64 = 10;
/// The power button's GPIO controller, which only some boards have.
pub(crate) const GPIO: i64 = 0x1020_0000;
/// Its input of the PLIC.
pub(crate) const GPIO_IRQ: i64 = 12;
/// The PLIC.
pub(crate) const PLIC: i64 = 0xc00_0000;
/// Ticks of the `time` register in a second.
pub(crate) const TIMEBASE: i64 = 10_000_000;

/// The test finisher, and what it is told.
const FINISHER: i64 = 0x10_0000;
pub(crate) const POWER_OFF: i64 = 0x5555;
pub(crate) const RESET: i64 = 0x7777;

/// Registers of the UART.
pub(crate) mod uart {
    /// What was received, and what is to be sent.
    pub(crate) const DATA: i64 = 0;
    /// Interrupt enable.
    pub(crate) const IER: i64 = 1;
    /// Line control.
    pub(crate) const LCR: i64 = 3;
    /// Line status.
    pub(crate) const LSR: i64 = 5;
    /// In LSR: a byte was received.
    pub(crate) const DATA_READY: i64 = 0x01;
    /// In LSR: a byte can be sent.
    pub(crate) const TRANSMIT_EMPTY: i64 = 0x20;
}

/// Registers of the GPIO controller; the button is pin 0.
pub(crate) mod gpio {
    /// Which pins are read.
    pub(crate) const INPUT_EN: i64 = 0x04;
    /// Which pins interrupt when they rise.
    pub(crate) const RISE_IE: i64 = 0x18;
    /// Which pins have risen.
    pub(crate) const RISE_IP: i64 = 0x1c;
}

/// Writes the header that makes loaders take the image as a RISC-V kernel (Linux
/// Documentation/arch/riscv/boot-image-header.rst); `end` is the end of all memory used.
pub(crate) fn header(a: &mut Assembler, start: Label, end: Label) {
    const TEXT_OFFSET: u64 = 0x20_0000;
    const VERSION: u32 = 2;
    a.j(start);
    a.nop();
    a.doubleword(TEXT_OFFSET);
    a.offset_of(end);
    a.doubleword(0); // little-endian
    a.word(VERSION);
    a.word(0);
    a.doubleword(0);
    a.bytes(b"RISCV\0\0\0");
    a.bytes(b"RSC\x05");
    a.word(0);
}

/// Puts the stack at the end of the image.
pub(crate) fn stack(a: &mut Assembler, end: Label) {
    const SIZE: usize = 1024;
    a.align(16);
    a.zeros(SIZE);
    a.bind(end);
}

/// Tells the test finisher something, and waits for it to happen.
pub(crate) fn finish(a: &mut Assembler, what: i64) {
    a.li(T0, FINISHER);
    a.li(T1, what);
    a.sw(T1, 0, T0);
    rest(a);
}

/// Rests forever.
pub(crate) fn rest(a: &mut Assembler) {
    let forever = a.here();
    a.wfi();
    a.j(forever);
}

/// `set_timer` of the firmware (SBI 3.0 §6): the timer interrupt comes at the time in `a0`.
pub(crate) fn set_timer(a: &mut Assembler) {
    const TIME_EXTENSION: i64 = 0x5449_4d45;
    a.li(A7, TIME_EXTENSION);
    a.li(A6, 0);
    a.ecall();
}
