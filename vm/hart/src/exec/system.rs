//! CSR accesses, fences, and the instructions of the privileged architecture.

use std::sync::atomic::{Ordering, fence as host_fence};
use std::time::Duration;

use super::proceed;
use crate::Firmware;
use crate::Hart;
use crate::code::Cursor;
use crate::csr::{Effect, status};
use crate::sbi;
use crate::state::Privilege;
use crate::trap::{Exception, Trap};

/// How a CSR instruction makes the new value of the old one and its operand.
pub(crate) trait Modify {
    /// Whether x0 or a zero immediate as the operand means not to write at all.
    const ZERO_ONLY_READS: bool;

    fn apply(old: u64, operand: u64) -> u64;
}

pub(crate) struct Write;
pub(crate) struct Set;
pub(crate) struct Clear;

impl Modify for Write {
    const ZERO_ONLY_READS: bool = false;

    fn apply(_: u64, operand: u64) -> u64 {
        operand
    }
}

impl Modify for Set {
    const ZERO_ONLY_READS: bool = true;

    fn apply(old: u64, operand: u64) -> u64 {
        old | operand
    }
}

impl Modify for Clear {
    const ZERO_ONLY_READS: bool = true;

    fn apply(old: u64, operand: u64) -> u64 {
        old & !operand
    }
}

/// `csrrw`, `csrrs`, `csrrc`.
pub(crate) fn csr_register<M: Modify, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let operand = hart.state.registers.file[op.b()];
    csr::<M, N>(hart, op, operand)
}

/// `csrrwi`, `csrrsi`, `csrrci`: the register number is the operand.
pub(crate) fn csr_immediate<M: Modify, const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    csr::<M, N>(hart, op, op.b() as u64)
}

#[inline(always)]
fn csr<M: Modify, const N: usize>(hart: &mut Hart, op: Cursor, operand: u64) -> Cursor {
    let operand = (!M::ZERO_ONLY_READS || op.b() != 0).then_some(operand);
    match hart.access_csr(op, operand, M::apply) {
        // An interrupt that the write has enabled is taken at once (priv §3.1.9).
        Some(Effect::None) if !hart.control.is_asked() => proceed!(hart, op, N),
        Some(_) => hart.rest_after::<N>(op),
        None => hart.raise_illegal(op),
    }
}

pub(crate) fn fence<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    host_fence(Ordering::SeqCst);
    proceed!(hart, op, N)
}

pub(crate) fn fence_instructions<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let rest = hart.rest_after::<N>(op);
    hart.doubt_instructions();
    rest
}

/// `pause`, `wrs.nto` and `wrs.sto`: the hart waits for another, whose thread may need the host's
/// processor. The first few in a row let it have its turn, further ones sleep.
pub(crate) fn pause<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    const LOOP: u64 = 64;
    let now = hart.retired.wrapping_add(op.order());
    let pauses = if now.wrapping_sub(hart.paused.0) < LOOP {
        hart.paused.1
    } else {
        0
    };
    give_way(pauses);
    hart.paused = (now, pauses.saturating_add(1));
    proceed!(hart, op, N)
}

/// Lets other threads run, for longer when that has been tried a few times already.
#[inline(never)]
pub(crate) fn give_way(tries: u32) {
    if tries < 32 {
        std::thread::yield_now();
    } else {
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// `sfence.vma` and `sinval.vma`.
pub(crate) fn fence_translations<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let allowed = match hart.state.privilege {
        Privilege::Machine => true,
        Privilege::Supervisor => hart.state.csrs.mstatus & status::TVM == 0,
        Privilege::User => false,
    };
    if !allowed {
        return hart.raise_illegal(op);
    }
    let address = (op.b() != 0).then(|| hart.state.registers.file[op.b()]);
    let rest = hart.rest_after::<N>(op);
    hart.flush_translations(address);
    rest
}

/// `sfence.w.inval` and `sfence.inval.ir`: `sinval.vma` is in order with everything already.
pub(crate) fn order_invalidation<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    if hart.state.privilege == Privilege::User {
        return hart.raise_illegal(op);
    }
    fence::<N>(hart, op)
}

pub(crate) fn environment_call<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let exception = match hart.state.privilege {
        Privilege::User => Exception::UserCall,
        Privilege::Supervisor if hart.config.firmware == Firmware::BuiltIn => {
            let rest = hart.rest_after::<N>(op);
            sbi::call(hart);
            return rest;
        }
        Privilege::Supervisor => Exception::SupervisorCall,
        Privilege::Machine => Exception::MachineCall,
    };
    hart.raise(op, Trap::new(exception, 0))
}

pub(crate) fn environment_break<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let pc = hart.address(op);
    hart.raise(op, Trap::new(Exception::Breakpoint, pc))
}

pub(crate) fn return_machine<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    if hart.state.privilege != Privilege::Machine {
        return hart.raise_illegal(op);
    }
    let rest = hart.rest_after::<N>(op);
    hart.return_from_machine();
    rest
}

pub(crate) fn return_supervisor<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let trapped = hart.state.csrs.mstatus & status::TSR != 0;
    let allowed = match hart.state.privilege {
        Privilege::Machine => true,
        Privilege::Supervisor => !trapped,
        Privilege::User => false,
    };
    if !allowed {
        return hart.raise_illegal(op);
    }
    let rest = hart.rest_after::<N>(op);
    hart.return_from_supervisor();
    rest
}

/// `wfi`; illegal in user mode, and below machine mode when `mstatus.TW` says so (priv §3.1.6.6).
pub(crate) fn wait_for_interrupt<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    let trapped = hart.state.csrs.mstatus & status::TW != 0;
    let allowed = match hart.state.privilege {
        Privilege::Machine => true,
        Privilege::Supervisor => !trapped,
        Privilege::User => false,
    };
    if !allowed {
        return hart.raise_illegal(op);
    }
    let rest = hart.rest_after::<N>(op);
    hart.state.waiting = true;
    rest
}

/// What decodes to no instruction.
pub(crate) fn illegal(hart: &mut Hart, op: Cursor) -> Cursor {
    hart.raise_illegal(op)
}
