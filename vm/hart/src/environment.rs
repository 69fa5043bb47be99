//! What a hart needs from the machine around it: time, its sibling harts, a console and a switch.

use std::fmt;
use std::sync::Arc;

use crate::HartControl;
use crate::trap::INTERRUPT;

/// How many ticks of [`Environment::time`] make a second.
pub const TIME_FREQUENCY: u64 = 10_000_000;

/// The machine as a hart and its built-in firmware see it.
pub trait Environment: Send + Sync {
    /// `mtime`: [`TIME_FREQUENCY`] ticks a second while the machine runs, still while it does not.
    fn time(&self) -> u64;

    /// The handles of all harts of the machine, in order of their ids.
    fn harts(&self) -> &[Arc<HartControl>];

    /// Takes bytes for the firmware's console; says how many (fewer when it is full).
    fn console_write(&self, bytes: &[u8]) -> usize;

    /// The next byte typed on the firmware's console.
    fn console_read(&self) -> Option<u8>;

    /// The guest asks for a reset or to be switched off. The hart then waits to be paused.
    fn system_reset(&self, reset: SystemReset);

    /// Told of every trap, on the thread of the hart that takes it: `-d int`.
    fn trap_taken(&self, _trap: &TrapTaken) {}
}

/// A trap, as its handler finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapTaken {
    /// The hart's id.
    pub hart: u64,
    /// As in `mcause`.
    pub cause: u64,
    /// The interrupted instruction.
    pub pc: u64,
    /// As in `mtval`.
    pub value: u64,
}

impl TrapTaken {
    /// What QEMU's log calls the cause.
    #[must_use]
    pub fn description(&self) -> &'static str {
        const EXCEPTIONS: [&str; 16] = [
            "misaligned_fetch",
            "fault_fetch",
            "illegal_instruction",
            "breakpoint",
            "misaligned_load",
            "fault_load",
            "misaligned_store",
            "fault_store",
            "user_ecall",
            "supervisor_ecall",
            "hypervisor_ecall",
            "machine_ecall",
            "exec_page_fault",
            "load_page_fault",
            "reserved",
            "store_page_fault",
        ];
        const INTERRUPTS: [&str; 12] = [
            "u_software",
            "s_software",
            "vs_software",
            "m_software",
            "u_timer",
            "s_timer",
            "vs_timer",
            "m_timer",
            "u_external",
            "s_external",
            "vs_external",
            "m_external",
        ];
        let number = (self.cause & !INTERRUPT) as usize;
        let names = if self.is_interrupt() {
            INTERRUPTS.as_slice()
        } else {
            &EXCEPTIONS
        };
        names.get(number).copied().unwrap_or("(unknown)")
    }

    /// Whether it is an interrupt.
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        self.cause & INTERRUPT != 0
    }
}

/// A line of QEMU's `-d int` log.
impl fmt::Display for TrapTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hart,
            cause,
            pc,
            value,
        } = self;
        let (number, interrupt) = (cause & !INTERRUPT, u8::from(self.is_interrupt()));
        write!(
            f,
            "riscv_cpu_do_interrupt: hart:{hart}, async:{interrupt}, cause:{number:016x}, "
        )?;
        write!(
            f,
            "epc:{pc:#018x}, tval:{value:#018x}, desc={}",
            self.description()
        )
    }
}

/// What SBI's system reset extension can ask for (SBI 3.0 §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemReset {
    /// Switch off; `failure` when the guest says that the system failed.
    Shutdown {
        /// Whether the guest gave the reason "system failure".
        failure: bool,
    },
    /// Power down and up again.
    Cold,
    /// Reset the harts.
    Warm,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traps_read_as_in_the_log_of_qemu() {
        let mut trap = TrapTaken {
            hart: 0,
            cause: 2,
            pc: 0x8000_0018,
            value: 0xffff_ffff,
        };
        let exception = "riscv_cpu_do_interrupt: hart:0, async:0, cause:0000000000000002, \
            epc:0x0000000080000018, tval:0x00000000ffffffff, desc=illegal_instruction";
        assert_eq!(trap.to_string(), exception);
        trap.cause = INTERRUPT | 5;
        assert_eq!(trap.description(), "s_timer");
        trap.cause = 99;
        assert_eq!(trap.description(), "(unknown)");
    }
}
