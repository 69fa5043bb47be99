//! System reset (SBI 3.0 §10).

use super::{Call, Error, Result};
use crate::control::request;
use crate::{Hart, SystemReset};

pub(super) fn call(hart: &mut Hart, call: Call) -> Result {
    const NO_REASON: u64 = 0;
    const SYSTEM_FAILURE: u64 = 1;
    let [kind, reason, ..] = call.args;
    if call.function != 0 {
        return Err(Error::NotSupported);
    }
    if reason != NO_REASON && reason != SYSTEM_FAILURE {
        return Err(Error::InvalidParam);
    }
    let reset = match kind {
        0 => SystemReset::Shutdown {
            failure: reason == SYSTEM_FAILURE,
        },
        1 => SystemReset::Cold,
        2 => SystemReset::Warm,
        _ => return Err(Error::InvalidParam),
    };
    perform(hart, reset);
    Ok(0)
}

/// Tells the machine; the hart executes nothing more until it is reset.
pub(super) fn perform(hart: &mut Hart, reset: SystemReset) {
    hart.control.set_status(crate::HartStatus::Stopped);
    hart.control.ask(request::INTERRUPT);
    hart.environment.system_reset(reset);
}
