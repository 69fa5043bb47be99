//! What a hart tells the log: the targets are the items of `-d`. Where nobody listens a line costs
//! one look at an atomic, and no line is on the way of instructions that succeed.

use std::fmt;

use crate::decode;
use crate::disassemble;
use crate::trap::INTERRUPT;

/// Traps taken.
pub(crate) const INT: &str = "int";
/// Code as it is decoded.
pub(crate) const IN_ASM: &str = "in_asm";
/// What the guest asks for that the specification permits and the hart does not have.
pub(crate) const UNIMP: &str = "unimp";
/// What the guest should not have done.
pub(crate) const GUEST_ERRORS: &str = "guest_errors";

/// Logs the instructions that were decoded at an address.
#[cold]
pub(crate) fn code(mut address: u64, instructions: &[u32]) {
    let mut text = String::new();
    for &bits in instructions {
        text.push_str(disassemble(address, bits.into()).to_string().as_str());
        text.push('\n');
        address = address.wrapping_add(if decode::is_wide(bits) { 4 } else { 2 });
    }
    tracing::debug!(target: IN_ASM, "----------------\nIN: \n{text}");
}

/// A trap, as its handler finds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrapTaken {
    /// The hart's id.
    pub(crate) hart: u64,
    /// As in `mcause`.
    pub(crate) cause: u64,
    /// The interrupted instruction.
    pub(crate) pc: u64,
    /// As in `mtval`.
    pub(crate) value: u64,
}

impl TrapTaken {
    /// What QEMU's log calls the cause.
    fn description(&self) -> &'static str {
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

    fn is_interrupt(&self) -> bool {
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
