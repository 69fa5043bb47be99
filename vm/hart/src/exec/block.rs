//! Cache-block operations on blocks of 64 bytes (unpriv "Zicbom", "Zicboz").

use super::proceed;
use crate::Hart;
use crate::code::Cursor;
use crate::csr::envcfg;
use crate::mmu::Kind;
use crate::state::Privilege;
use crate::trap::Trap;

const BLOCK: u64 = 64;

/// `cbo.inval`, `cbo.clean`, `cbo.flush`: there is no cache to manage, but the access is checked.
pub(crate) fn cache_block<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    const INVAL: u64 = 0;
    let bits = if op.imm() == INVAL {
        envcfg::CBIE
    } else {
        envcfg::CBCFE
    };
    if !is_enabled(hart, bits) {
        return hart.raise_illegal(op);
    }
    let address = hart.state.registers.file[op.b()];
    // Permitted where a load or a store is (unpriv "Zicbom"); a refusal is a store's.
    if hart.reach(address, Kind::Load).is_err()
        && let Err(trap) = hart.reach(address, Kind::Store)
    {
        return hart.raise(op, trap);
    }
    proceed!(hart, op, N)
}

/// `cbo.zero`.
pub(crate) fn zero_block<const N: usize>(hart: &mut Hart, op: Cursor) -> Cursor {
    if !is_enabled(hart, envcfg::CBZE) {
        return hart.raise_illegal(op);
    }
    let address = hart.state.registers.file[op.b()];
    let first = address & !(BLOCK - 1);
    for word in (0..BLOCK).step_by(8) {
        if let Err(Trap { exception, .. }) = hart.store(first.wrapping_add(word), 8, 0) {
            return hart.raise(op, Trap::new(exception, address));
        }
    }
    proceed!(hart, op, N)
}

/// Whether the environment configuration of the modes above enables an operation
/// (unpriv "CBO", `menvcfg`, `senvcfg`).
fn is_enabled(hart: &Hart, bits: u64) -> bool {
    let csrs = &hart.state.csrs;
    match hart.state.privilege {
        Privilege::Machine => true,
        Privilege::Supervisor => csrs.menvcfg & bits != 0,
        Privilege::User => csrs.menvcfg & bits != 0 && csrs.senvcfg & bits != 0,
    }
}
