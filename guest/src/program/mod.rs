//! The program: it says what it is, shows how long it has been up, and obeys a few keys.
//!
//! Interrupts stay disabled in `sstatus`. Those enabled in `sie` still end a `wfi` (priv §3.3.3), so
//! the main loop looks for work after each and needs no interrupt handler.

mod device_tree;
mod keys;

use crate::asm::*;
use crate::board::{self, GPIO_IRQ, PLIC, TIMEBASE, UART, UART_IRQ, gpio, uart};
use crate::console::Console;

/// What the main loop keeps in registers.
mod state {
    use crate::asm::*;

    /// The device tree.
    pub(super) const TREE: Reg = S0;
    /// The time of the start.
    pub(super) const START: Reg = S1;
    /// The time of the next display.
    pub(super) const NEXT: Reg = S2;
    /// Whether the display is on the current line.
    pub(super) const SHOWN: Reg = S3;
    /// The UART.
    pub(super) const PORT: Reg = S4;
    /// The claim register of this hart's supervisor context.
    pub(super) const CLAIM: Reg = S5;
    /// The power button's controller, or zero.
    pub(super) const BUTTON: Reg = S6;
}
use state::{BUTTON, CLAIM, NEXT, PORT, SHOWN, START, TREE};

/// How long the display keeps away after a key.
const QUIET: i64 = 5 * TIMEBASE;

const BANNER: &str = "\r\n\
    Tinamou's built-in guest: no kernel was given, so this small program runs.\r\n";

/// Assembles the program.
pub(crate) fn assemble() -> Result<Vec<u8>, Error> {
    let mut a = Assembler::new();
    let (start, trap, end) = (a.label(), a.label(), a.label());
    let console = Console::new(&mut a);
    board::header(&mut a, start, end);
    a.bind(start);
    prepare(&mut a, trap, end);
    console.print(&mut a, BANNER);
    let keys = keys::Keys::new(&mut a, console);
    a.call(keys.help);
    main_loop(&mut a, console, &keys);
    keys.place(&mut a);
    place_trap(&mut a, trap, console);
    console.place(&mut a);
    board::stack(&mut a, end);
    a.finish()
}

fn prepare(a: &mut Assembler, trap: Label, end: Label) {
    a.mv(TREE, A1);
    a.la(SP, end);
    a.csrw(csr::SIE, ZERO);
    a.la(T0, trap);
    a.csrw(csr::STVEC, T0);
    prepare_uart(a);
    prepare_button(a, trap);
    prepare_plic(a);
    a.csrr(START, csr::TIME);
    a.li(T0, QUIET);
    a.add(NEXT, START, T0);
    a.li(SHOWN, 0);
    const TIMER_AND_EXTERNAL: i64 = 1 << 5 | 1 << 9;
    a.li(T0, TIMER_AND_EXTERNAL);
    a.csrw(csr::SIE, T0);
}

/// Eight bits, and an interrupt for what is received. The FIFO stays as it is, because turning it on
/// would lose the keys that were pressed before.
fn prepare_uart(a: &mut Assembler) {
    a.li(PORT, UART);
    for (register, value) in [(uart::LCR, 3), (uart::IER, 1)] {
        a.li(T0, value);
        a.sb(T0, register, PORT);
    }
}

/// Asks the power button for an interrupt. Where there is none the first access traps, which leads
/// past the rest.
fn prepare_button(a: &mut Assembler, trap: Label) {
    let absent = a.label();
    a.li(BUTTON, 0);
    a.la(T0, absent);
    a.csrw(csr::STVEC, T0);
    a.li(T1, board::GPIO);
    a.li(T0, 1);
    a.sw(T0, gpio::INPUT_EN, T1);
    a.sw(T0, gpio::RISE_IE, T1);
    a.mv(BUTTON, T1);
    a.align(4);
    a.bind(absent);
    a.la(T0, trap);
    a.csrw(csr::STVEC, T0);
}

/// Lets the interrupts of UART and button through to the supervisor context of the hart in `a0`.
fn prepare_plic(a: &mut Assembler) {
    const ENABLE: i64 = 0x2000;
    const CONTEXT: i64 = 0x20_0000;
    a.li(T0, PLIC);
    a.li(T1, 1);
    a.sw(T1, 4 * UART_IRQ, T0);
    a.sw(T1, 4 * GPIO_IRQ, T0);
    // Each hart has two contexts, for M-mode and S-mode.
    a.slli(A0, A0, 1);
    a.addi(A0, A0, 1);
    a.slli(T0, A0, 7);
    a.li(T1, PLIC + ENABLE);
    a.add(T0, T0, T1);
    a.li(T1, 1 << UART_IRQ | 1 << GPIO_IRQ);
    a.sw(T1, 0, T0);
    a.slli(CLAIM, A0, 12);
    a.li(T1, PLIC + CONTEXT);
    a.add(CLAIM, CLAIM, T1);
    a.sw(ZERO, 0, CLAIM); // the threshold
    a.addi(CLAIM, CLAIM, 4);
}

fn main_loop(a: &mut Assembler, console: Console, keys: &keys::Keys) {
    let (no_key, sleep) = (a.label(), a.label());
    let again = a.here();
    obey_button(a, console);
    a.lbu(T0, uart::LSR, PORT);
    a.andi(T0, T0, uart::DATA_READY);
    a.beqz(T0, no_key);
    a.lbu(A0, uart::DATA, PORT);
    a.csrr(NEXT, csr::TIME);
    a.li(T0, QUIET);
    a.add(NEXT, NEXT, T0);
    a.call(keys.obey);
    a.j(again);

    a.bind(no_key);
    a.csrr(T0, csr::TIME);
    a.bltu(T0, NEXT, sleep);
    show_uptime(a, console);
    a.li(T0, TIMEBASE);
    a.add(NEXT, NEXT, T0);
    // After a long pause the seconds that nobody saw are left out.
    a.csrr(T1, csr::TIME);
    a.bltu(T1, NEXT, sleep);
    a.add(NEXT, T1, T0);

    a.bind(sleep);
    // Taking the interrupt back before looking at the UART once more loses no byte.
    a.lw(T0, 0, CLAIM);
    a.sw(T0, 0, CLAIM);
    a.mv(A0, NEXT);
    board::set_timer(a);
    a.lbu(T0, uart::LSR, PORT);
    a.andi(T0, T0, uart::DATA_READY);
    a.bnez(T0, again);
    a.wfi();
    a.j(again);
}

/// The button's interrupt stays until the program ends, so it ends every `wfi`.
fn obey_button(a: &mut Assembler, console: Console) {
    let untouched = a.label();
    a.beqz(BUTTON, untouched);
    a.lw(T0, gpio::RISE_IP, BUTTON);
    a.beqz(T0, untouched);
    console.print(a, "\r\nThe power button was pressed: power off\r\n");
    board::finish(a, board::POWER_OFF);
    a.bind(untouched);
}

fn show_uptime(a: &mut Assembler, console: Console) {
    a.li(SHOWN, 1);
    console.print(a, "\rup ");
    a.csrr(A0, csr::TIME);
    a.sub(A0, A0, START);
    a.li(T0, TIMEBASE);
    a.divu(A0, A0, T0);
    console.decimal(a);
    console.print(a, " s ");
}

/// Nothing here is meant to trap, so a trap is told and ends the program.
fn place_trap(a: &mut Assembler, trap: Label, console: Console) {
    a.align(4);
    a.bind(trap);
    for (name, register) in [
        ("\r\nunexpected trap: scause ", csr::SCAUSE),
        (", sepc ", csr::SEPC),
        (", stval ", csr::STVAL),
    ] {
        console.print(a, name);
        a.csrr(A0, register);
        console.decimal(a);
    }
    console.print(a, "\r\n");
    a.csrw(csr::SIE, ZERO);
    board::rest(a);
}
