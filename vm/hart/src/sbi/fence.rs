//! Inter-processor interrupts and remote fences (SBI 3.0 §7, §8).

use std::sync::Arc;

use super::{Call, Error, Result, masked};
use crate::control::request;
use crate::exec::system::give_way;
use crate::{Hart, HartControl};

pub(super) fn send_ipi(hart: &mut Hart, call: Call) -> Result {
    if call.function != 0 {
        return Err(Error::NotSupported);
    }
    for control in masked(hart, call.args[0], call.args[1])? {
        control.raise_software();
    }
    Ok(0)
}

pub(super) fn remote_fence(hart: &mut Hart, call: Call) -> Result {
    let what = match call.function {
        0 => request::INSTRUCTIONS,
        1 | 2 => request::TRANSLATIONS,
        _ => return Err(Error::NotSupported),
    };
    let harts = masked(hart, call.args[0], call.args[1])?;
    fence(hart, &harts, what);
    Ok(0)
}

/// Has all the harts do something before it returns. One that is not inside guest code does it
/// before it goes there.
pub(super) fn fence(hart: &mut Hart, harts: &[Arc<HartControl>], what: u32) {
    let own = hart.control.id();
    for control in harts {
        if control.id() == own {
            hart.serve(what);
        } else {
            control.ask(what);
        }
    }
    for control in harts.iter().filter(|control| control.id() != own) {
        let mut tries = 0;
        while control.is_asking(what) && control.is_executing() {
            // The other hart may be waiting for this one in the same way.
            let asked = hart
                .control
                .take_requests_but(request::START | request::INTERRUPT);
            hart.serve(asked);
            give_way(tries);
            tries = tries.saturating_add(1);
        }
    }
}
