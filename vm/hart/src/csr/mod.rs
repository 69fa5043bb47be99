//! Control and status registers: what they hold, who may touch them, what writing them does.

mod aia;
mod bits;
mod counters;
mod machine;
mod names;
mod pmp;
mod supervisor;

pub(crate) use bits::{counter, envcfg, interrupt, status};
pub use counters::Counter;
pub use names::{name, number};

use crate::Hart;
use crate::code::Cursor;
use crate::fp::{Flags, Rounding};
use crate::isa::Extension;
use crate::state::Privilege;

/// The registers that hold state of their own; the others are views of these.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "the fields are the registers of the privileged specification"
)]
pub struct Csrs {
    pub mstatus: u64,
    pub medeleg: u64,
    pub mideleg: u64,
    pub mie: u64,
    /// The bits of `mip` that software holds; lines and timers are added when it is read.
    pub mip: u64,
    pub mtvec: u64,
    pub mcounteren: u64,
    pub mcountinhibit: u64,
    pub mscratch: u64,
    pub mepc: u64,
    pub mcause: u64,
    pub mtval: u64,
    pub miselect: u64,
    pub menvcfg: u64,
    pub stvec: u64,
    pub scounteren: u64,
    pub sscratch: u64,
    pub sepc: u64,
    pub scause: u64,
    pub stval: u64,
    pub siselect: u64,
    pub senvcfg: u64,
    pub satp: u64,
    pub stimecmp: u64,
    pub pmpcfg: [u8; 16],
    pub pmpaddr: [u64; 16],
    pub fflags: Flags,
    pub frm: u8,
    /// `mcycle`, as what it is ahead of the instructions executed.
    pub cycle: Counter,
    /// `minstret`, likewise.
    pub instret: Counter,
}

impl Default for Csrs {
    fn default() -> Self {
        Self {
            mstatus: 0,
            medeleg: 0,
            mideleg: 0,
            mie: 0,
            mip: 0,
            mtvec: 0,
            mcounteren: 0,
            mcountinhibit: 0,
            mscratch: 0,
            mepc: 0,
            mcause: 0,
            mtval: 0,
            miselect: 0,
            menvcfg: 0,
            stvec: 0,
            scounteren: 0,
            sscratch: 0,
            sepc: 0,
            scause: 0,
            stval: 0,
            siselect: 0,
            senvcfg: 0,
            satp: 0,
            stimecmp: u64::MAX,
            pmpcfg: [0; 16],
            pmpaddr: [0; 16],
            fflags: Flags::default(),
            frm: 0,
            cycle: Counter::default(),
            instret: Counter::default(),
        }
    }
}

/// What must follow a CSR access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: the next instruction is where it was.
    None,
    /// The next instruction must be looked up again.
    Refetch,
}

const FFLAGS: u16 = 0x001;
const FRM: u16 = 0x002;
const FCSR: u16 = 0x003;
const MIP: u16 = 0x344;
const SIP: u16 = 0x144;

impl Hart {
    /// A CSR by number, as a debugger sees it: a floating-point unit that is switched off does
    /// not hide its own.
    #[must_use]
    pub fn csr(&self, number: u16) -> Option<u64> {
        match number {
            FFLAGS..=FCSR if self.config.isa.has(Extension::F) => Some(self.float_csr(number)),
            _ => self.read_csr(number),
        }
    }

    /// Writes a CSR by number, from outside: with all that follows from the value, whatever mode
    /// the hart is in. The hart must not be running. `None` when there is no such register, or it
    /// only reads.
    pub fn set_csr(&mut self, number: u16, value: u64) -> Option<()> {
        let read_only = number >> 10 & 3 == 3;
        self.csr(number).filter(|_| !read_only)?;
        self.write_csr(number, value)?;
        Some(())
    }

    /// Executes a CSR instruction: reads to the op's destination and, with an operand, writes what
    /// `apply` makes of old value and operand. `None` when the instruction is illegal.
    #[inline(never)]
    pub(crate) fn access_csr(
        &mut self,
        op: Cursor,
        operand: Option<u64>,
        apply: fn(u64, u64) -> u64,
    ) -> Option<Effect> {
        let number = op.imm() as u16 & 0xfff;
        let lowest = u64::from(number >> 8 & 3);
        let read_only = number >> 10 == 3;
        if (self.state.privilege as u64) < lowest || read_only && operand.is_some() {
            return None;
        }
        // Counters count up to this instruction.
        let order = op.order();
        self.retired = self.retired.wrapping_add(order);
        let effect = self.exchange_csr(number, op.a(), operand, apply);
        self.retired = self.retired.wrapping_sub(order);
        effect
    }

    fn exchange_csr(
        &mut self,
        number: u16,
        destination: usize,
        operand: Option<u64>,
        apply: fn(u64, u64) -> u64,
    ) -> Option<Effect> {
        if let Some(operand) = operand
            && Self::is_indirect(number)
        {
            let change = move |old| apply(old, operand);
            let old = self.access_indirect(number, Some(&change))?;
            self.state.registers.file[destination] = old;
            return Some(Effect::None);
        }
        let old = self.read_csr(number)?;
        let mut effect = Effect::None;
        if let Some(operand) = operand {
            // What comes from outside is read, but not written back (priv §3.1.9).
            let held = match number {
                MIP | SIP => old & (self.state.csrs.mip | !interrupt::SEIP),
                _ => old,
            };
            effect = self.write_csr(number, apply(held, operand))?;
        }
        self.state.registers.file[destination] = old;
        Some(effect)
    }

    /// The value a legal read gives; `None` when there is no such register, or the present mode is
    /// kept from it.
    pub(crate) fn read_csr(&self, number: u16) -> Option<u64> {
        match number {
            FFLAGS..=FCSR => self.read_float_csr(number),
            0x150..=0x15c | 0x308..=0x309 | 0x350..=0x35c | 0xdb0 | 0xfb0 => self.read_aia(number),
            0x100..=0x1ff => self.read_supervisor(number),
            0x300..=0x3ff | 0xf11..=0xf15 => self.read_machine(number),
            0xb00..=0xb1f | 0xc00..=0xc1f => self.read_counter(number),
            _ => None,
        }
    }

    fn write_csr(&mut self, number: u16, value: u64) -> Option<Effect> {
        match number {
            FFLAGS..=FCSR => self.write_float_csr(number, value),
            0x150..=0x15c | 0x308..=0x309 | 0x350..=0x35c => {
                self.write_aia(number, value)?;
                Some(Effect::None)
            }
            0x100..=0x1ff => self.write_supervisor(number, value),
            0x300..=0x3ff => self.write_machine(number, value),
            0xb00..=0xb1f => self.write_counter(number, value),
            _ => None,
        }
    }

    fn read_float_csr(&self, number: u16) -> Option<u64> {
        let csrs = &self.state.csrs;
        let present = self.config.isa.has(Extension::F) && csrs.mstatus & status::FS != 0;
        present.then(|| self.float_csr(number))
    }

    fn float_csr(&self, number: u16) -> u64 {
        let csrs = &self.state.csrs;
        let (flags, rounding) = (u64::from(csrs.fflags.bits()), u64::from(csrs.frm));
        match number {
            FFLAGS => flags,
            FRM => rounding,
            _ => rounding << 5 | flags,
        }
    }

    fn write_float_csr(&mut self, number: u16, value: u64) -> Option<Effect> {
        let csrs = &mut self.state.csrs;
        match number {
            FFLAGS => csrs.fflags = Flags::from_bits(value as u8),
            FRM => csrs.frm = value as u8 & 7,
            _ => {
                csrs.fflags = Flags::from_bits(value as u8);
                csrs.frm = (value >> 5) as u8 & 7;
            }
        }
        csrs.mstatus |= status::FS;
        self.follow_float();
        Some(Effect::None)
    }

    /// Derives what the floating-point handlers look at.
    pub(crate) fn follow_float(&mut self) {
        let csrs = &self.state.csrs;
        self.float_on = csrs.mstatus & status::FS == status::FS;
        self.rounding = Rounding::from_bits(csrs.frm);
    }

    /// Answers a floating-point instruction met while `mstatus.FS` is not dirty: it becomes dirty
    /// and the instruction is executed again, unless it is off.
    #[cold]
    #[inline(never)]
    pub(crate) fn turn_float_on(&mut self, op: Cursor) -> Cursor {
        if self.state.csrs.mstatus & status::FS == 0 {
            return self.raise_illegal(op);
        }
        self.state.csrs.mstatus |= status::FS;
        self.follow_float();
        op.run(self)
    }

    /// Whether the present mode is machine mode.
    fn in_machine(&self) -> bool {
        self.state.privilege == Privilege::Machine
    }
}
