//! The timer extension (SBI 3.0 §6).

use super::{Call, Error, Result};
use crate::Hart;
use crate::isa::Extension;

pub(super) fn call(hart: &mut Hart, call: Call) -> Result {
    if call.function != 0 {
        return Err(Error::NotSupported);
    }
    set(hart, call.args[0]);
    Ok(0)
}

/// Has STIP pending from `time` on.
pub(super) fn set(hart: &mut Hart, time: u64) {
    if hart.config.isa.has(Extension::Sstc) {
        hart.state.csrs.stimecmp = time;
    } else {
        hart.control.set_timer(time);
    }
    hart.poll_timers();
}
