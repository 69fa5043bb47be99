//! What each key does.

use super::device_tree::DeviceTree;
use super::state::{SHOWN, START, TREE};
use crate::asm::*;
use crate::board::{self, TIMEBASE};
use crate::console::Console;

const HELP: &str = "\
    Keys: m memory, t time, p panic, r reset, o power off, h this help.\r\n";

const PANIC: &str = "panic, as you asked: this board has no pvpanic device yet, so no GUEST_PANICKED\r\n\
    event will come. Stopped with interrupts off; only a reset from outside helps.\r\n";

/// Subroutines for keys.
pub(super) struct Keys {
    /// Does what the key in `a0` stands for.
    pub(super) obey: Label,
    /// Names the keys.
    pub(super) help: Label,
    console: Console,
}

impl Keys {
    pub(super) fn new(a: &mut Assembler, console: Console) -> Self {
        Self {
            obey: a.label(),
            help: a.label(),
            console,
        }
    }

    /// Places the subroutines.
    pub(super) fn place(&self, a: &mut Assembler) {
        let device_tree = DeviceTree::new(a);
        self.place_obey(a, device_tree.memory_size);
        device_tree.place(a);
    }

    fn place_obey(&self, a: &mut Assembler, memory_size: Label) {
        a.bind(self.obey);
        a.addi(SP, SP, -16);
        a.sd(RA, 0, SP);
        a.sd(A0, 8, SP);
        self.leave_display(a);
        a.ld(A0, 8, SP);
        self.on(a, b"m", |a| self.memory(a, memory_size));
        self.on(a, b"t", |a| self.time(a));
        self.on(a, b"p", |a| {
            self.console.print(a, PANIC);
            a.csrw(csr::SIE, ZERO);
            board::rest(a);
        });
        self.on(a, b"r", |a| {
            self.console.print(a, "reset\r\n");
            board::finish(a, board::RESET);
        });
        self.on(a, b"o", |a| {
            self.console.print(a, "power off\r\n");
            board::finish(a, board::POWER_OFF);
        });
        self.on(a, b"\r\n", |a| {
            self.console.print(a, "\r\n");
            self.leave(a);
        });
        self.on(a, b"h?", |a| {
            a.call(self.help);
            self.leave(a);
        });
        self.console.print(
            a,
            "This key has no meaning here; h names those that have.\r\n",
        );
        self.leave(a);
        self.place_help(a);
    }

    /// Places what to do at any of some keys.
    fn on(&self, a: &mut Assembler, keys: &[u8], act: impl FnOnce(&mut Assembler)) {
        let (yes, no) = (a.label(), a.label());
        for key in keys {
            a.li(T0, i64::from(*key));
            a.beq(A0, T0, yes);
        }
        a.j(no);
        a.bind(yes);
        act(a);
        a.bind(no);
    }

    /// Returns from `obey`.
    fn leave(&self, a: &mut Assembler) {
        a.ld(RA, 0, SP);
        a.addi(SP, SP, 16);
        a.ret();
    }

    /// Goes to a new line when the uptime is on this one.
    fn leave_display(&self, a: &mut Assembler) {
        let clean = a.label();
        a.beqz(SHOWN, clean);
        a.li(SHOWN, 0);
        self.console.print(a, "\r\n");
        a.bind(clean);
    }

    fn place_help(&self, a: &mut Assembler) {
        a.bind(self.help);
        a.addi(SP, SP, -16);
        a.sd(RA, 0, SP);
        self.console.print(a, HELP);
        self.leave(a);
    }

    fn memory(&self, a: &mut Assembler, memory_size: Label) {
        const MEBIBYTE_SHIFT: u32 = 20;
        const KIBIBYTE_SHIFT: u32 = 10;
        let (unknown, odd) = (a.label(), a.label());
        a.mv(A0, TREE);
        a.call(memory_size);
        a.beqz(A0, unknown);
        a.sd(A0, 8, SP);
        self.console.print(a, "memory: ");
        a.ld(A0, 8, SP);
        a.slli(T0, A0, 64 - MEBIBYTE_SHIFT);
        a.bnez(T0, odd);
        a.srli(A0, A0, MEBIBYTE_SHIFT);
        self.console.decimal(a);
        self.console.print(a, " MiB\r\n");
        self.leave(a);
        a.bind(odd);
        a.srli(A0, A0, KIBIBYTE_SHIFT);
        self.console.decimal(a);
        self.console.print(a, " KiB\r\n");
        self.leave(a);
        a.bind(unknown);
        self.console
            .print(a, "memory: the device tree does not tell\r\n");
        self.leave(a);
    }

    /// The time in seconds with three decimals.
    fn time(&self, a: &mut Assembler) {
        const TENTH: i64 = TIMEBASE / 10;
        self.console.print(a, "time: ");
        a.csrr(A0, csr::TIME);
        a.sub(A0, A0, START);
        a.li(T0, TIMEBASE);
        a.remu(T1, A0, T0);
        a.sd(T1, 8, SP);
        a.divu(A0, A0, T0);
        self.console.decimal(a);
        a.li(A0, i64::from(b'.'));
        self.console.byte(a);
        for place in 0..3 {
            a.ld(A0, 8, SP);
            a.li(T0, TENTH / 10i64.pow(place));
            a.remu(T1, A0, T0);
            a.sd(T1, 8, SP);
            a.divu(A0, A0, T0);
            self.console.decimal(a);
        }
        self.console.print(a, " s since the start\r\n");
        self.leave(a);
    }
}
