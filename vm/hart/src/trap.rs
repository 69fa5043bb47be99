//! Traps: exceptions and interrupts, entering and leaving them (priv §3.1.6, §3.1.15, §12.1).

use crate::code::Cursor;
use crate::control::request;
use crate::csr::{envcfg, interrupt, status};
use crate::isa::Extension;
use crate::log::{self, TrapTaken};
use crate::state::Privilege;
use crate::{Firmware, Hart};

/// An exception, numbered as in `mcause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exception {
    InstructionMisaligned = 0,
    InstructionAccess = 1,
    Illegal = 2,
    Breakpoint = 3,
    LoadMisaligned = 4,
    LoadAccess = 5,
    StoreMisaligned = 6,
    StoreAccess = 7,
    UserCall = 8,
    SupervisorCall = 9,
    MachineCall = 11,
    InstructionPageFault = 12,
    LoadPageFault = 13,
    StorePageFault = 15,
}

/// What `medeleg` can delegate: everything but a call from machine mode.
pub(crate) const DELEGABLE: u64 = 0xb3ff;

/// An exception with the value that goes to `mtval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trap {
    pub(crate) exception: Exception,
    pub(crate) value: u64,
}

impl Trap {
    pub(crate) fn new(exception: Exception, value: u64) -> Self {
        Self { exception, value }
    }
}

/// The bit of `mcause` that tells interrupts from exceptions.
pub(crate) const INTERRUPT: u64 = 1 << 63;

impl Hart {
    /// Takes an exception at `op`; the hart is at rest at the trap vector then.
    #[cold]
    #[inline(never)]
    pub(crate) fn raise(&mut self, op: Cursor, trap: Trap) -> Cursor {
        self.settle(op);
        self.take_exception(trap);
        Cursor::NONE
    }

    /// Takes the illegal-instruction exception at `op`.
    #[cold]
    #[inline(never)]
    pub(crate) fn raise_illegal(&mut self, op: Cursor) -> Cursor {
        let bits = self.code.bits(op);
        self.raise(op, Trap::new(Exception::Illegal, bits.into()))
    }

    /// Takes an exception while at rest.
    pub(crate) fn take_exception(&mut self, trap: Trap) {
        let cause = trap.exception as u64;
        let delegated = self.state.csrs.medeleg >> cause & 1 != 0;
        self.enter_trap(cause, trap.value, delegated);
    }

    /// Takes the most urgent interrupt, if one is enabled; the hart is at rest.
    pub(crate) fn take_interrupt(&mut self) {
        let Some(number) = self.enabled_interrupt(self.pending_quickly()) else {
            return;
        };
        let delegated = self.state.csrs.mideleg >> number & 1 != 0;
        self.enter_trap(INTERRUPT | number, 0, delegated);
    }

    /// `mip` as software reads it at this moment.
    pub(crate) fn mip(&self) -> u64 {
        self.state.csrs.mip | self.control.lines() | self.due_timers()
    }

    /// Whether an interrupt would end a `wfi`: pending and enabled in `mie`, whatever `mstatus`
    /// says (priv §3.3.3).
    pub(crate) fn is_woken(&self) -> bool {
        self.mip() & self.state.csrs.mie != 0
    }

    /// Sees to it that the hart stops at the next taken branch if an interrupt can be taken.
    pub(crate) fn look_for_interrupts(&self) {
        if self.enabled_interrupt(self.pending_quickly()).is_some() {
            self.control.ask(request::INTERRUPT);
        }
    }

    /// Looks whether a timer has come due or is due no longer.
    pub(crate) fn poll_timers(&mut self) {
        self.timers = self.due_timers();
        self.look_for_interrupts();
    }

    /// Ticks until a timer that is enabled comes due, at most.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        let csrs = &self.state.csrs;
        let supervisor =
            (self.compares_time() && csrs.mie & interrupt::STIP != 0).then_some(csrs.stimecmp);
        let machine = (csrs.mie & self.machine_timer() != 0).then(|| self.control.timer());
        let next = supervisor.into_iter().chain(machine).min()?;
        (next != u64::MAX).then(|| next.saturating_sub(self.environment.time()))
    }

    /// `mret`.
    pub(crate) fn return_from_machine(&mut self) {
        let mstatus = self.state.csrs.mstatus;
        let to = Privilege::from_bits(mstatus >> status::MPP_SHIFT).unwrap_or(Privilege::User);
        let mut after = mstatus & !(status::MIE | status::MPP) | status::MPIE;
        if mstatus & status::MPIE != 0 {
            after |= status::MIE;
        }
        if to != Privilege::Machine {
            after &= !status::MPRV;
        }
        self.return_to(to, self.state.csrs.mepc, after);
    }

    /// `sret`.
    pub(crate) fn return_from_supervisor(&mut self) {
        let mstatus = self.state.csrs.mstatus;
        let to = if mstatus & status::SPP != 0 {
            Privilege::Supervisor
        } else {
            Privilege::User
        };
        let mut after = mstatus & !(status::SIE | status::SPP | status::MPRV) | status::SPIE;
        if mstatus & status::SPIE != 0 {
            after |= status::SIE;
        }
        self.return_to(to, self.state.csrs.sepc, after);
    }

    fn return_to(&mut self, privilege: Privilege, pc: u64, mstatus: u64) {
        self.state.privilege = privilege;
        self.state.csrs.mstatus = mstatus;
        self.state.pc = pc;
        self.follow_mode();
        self.look_for_interrupts();
    }

    fn enter_trap(&mut self, cause: u64, value: u64, delegated: bool) {
        let from = self.state.privilege;
        let pc = self.state.pc;
        let csrs = &mut self.state.csrs;
        let held = csrs.mstatus;
        let vector;
        if delegated && from != Privilege::Machine {
            csrs.sepc = pc;
            csrs.scause = cause;
            csrs.stval = value;
            csrs.mstatus = held & !(status::SPP | status::SPIE | status::SIE);
            if held & status::SIE != 0 {
                csrs.mstatus |= status::SPIE;
            }
            if from == Privilege::Supervisor {
                csrs.mstatus |= status::SPP;
            }
            vector = csrs.stvec;
            self.state.privilege = Privilege::Supervisor;
        } else {
            csrs.mepc = pc;
            csrs.mcause = cause;
            csrs.mtval = value;
            csrs.mstatus = held & !(status::MPP | status::MPIE | status::MIE);
            if held & status::MIE != 0 {
                csrs.mstatus |= status::MPIE;
            }
            csrs.mstatus |= (from as u64) << status::MPP_SHIFT;
            vector = csrs.mtvec;
            self.state.privilege = Privilege::Machine;
        }
        self.state.pc = vector_address(vector, cause);
        self.follow_mode();
        let hart = self.control.id();
        tracing::debug!(target: log::INT, "{}", TrapTaken { hart, cause, pc, value });
    }

    /// What is pending, with the timers as last polled.
    fn pending_quickly(&self) -> u64 {
        self.state.csrs.mip | self.control.lines() | self.timers
    }

    /// The most urgent of the pending interrupts that may be taken (priv §3.1.9).
    fn enabled_interrupt(&self, pending: u64) -> Option<u64> {
        let csrs = &self.state.csrs;
        let wanted = pending & csrs.mie;
        if wanted == 0 {
            return None;
        }
        let machine = match self.state.privilege {
            Privilege::Machine => csrs.mstatus & status::MIE != 0,
            _ => true,
        };
        let supervisor = match self.state.privilege {
            Privilege::Machine => false,
            Privilege::Supervisor => csrs.mstatus & status::SIE != 0,
            Privilege::User => true,
        };
        let for_machine = if machine { wanted & !csrs.mideleg } else { 0 };
        let for_supervisor = if supervisor { wanted & csrs.mideleg } else { 0 };
        let candidates = if for_machine != 0 {
            for_machine
        } else {
            for_supervisor
        };
        interrupt::most_urgent(candidates)
    }

    /// The timers that are due at this moment, as bits of `mip`.
    fn due_timers(&self) -> u64 {
        let csrs = &self.state.csrs;
        let compare = self.control.timer();
        let compares = self.compares_time();
        if compare == u64::MAX && !(compares && csrs.stimecmp != u64::MAX) {
            return 0;
        }
        let now = self.environment.time();
        let machine = if now >= compare {
            self.machine_timer()
        } else {
            0
        };
        let supervisor = if compares && now >= csrs.stimecmp {
            interrupt::STIP
        } else {
            0
        };
        machine | supervisor
    }

    /// Whether `stimecmp` drives STIP.
    fn compares_time(&self) -> bool {
        self.config.isa.has(Extension::Sstc) && self.state.csrs.menvcfg & envcfg::STCE != 0
    }

    /// What the hart's own timer drives: the built-in firmware hands it on to supervisor mode.
    fn machine_timer(&self) -> u64 {
        match self.config.firmware {
            Firmware::Guest => interrupt::MTIP,
            Firmware::BuiltIn => interrupt::STIP,
        }
    }
}

fn vector_address(vector: u64, cause: u64) -> u64 {
    const VECTORED: u64 = 1;
    let base = vector & !3;
    if vector & 3 == VECTORED && cause & INTERRUPT != 0 {
        return base.wrapping_add((cause & !INTERRUPT) << 2);
    }
    base
}
