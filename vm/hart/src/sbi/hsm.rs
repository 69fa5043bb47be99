//! Hart state management (SBI 3.0 §9).

use std::sync::Arc;

use super::{Call, Error, Result};
use crate::control::{StartAt, request};
use crate::{Hart, HartControl, HartStatus};

pub(super) fn call(hart: &mut Hart, call: Call) -> Result {
    let [first, second, third, ..] = call.args;
    match call.function {
        0 => start(
            hart,
            first,
            StartAt {
                pc: second,
                opaque: third,
            },
        ),
        1 => stop(hart),
        2 => Ok(named(hart, first)?.status() as u64),
        3 => suspend(hart, first),
        _ => Err(Error::NotSupported),
    }
}

fn start(hart: &Hart, id: u64, at: StartAt) -> Result {
    let control = named(hart, id)?;
    if hart.mmu.view().find(at.pc).is_none() {
        return Err(Error::InvalidAddress);
    }
    match control.status() {
        HartStatus::Stopped if control.ask_start(at) => Ok(0),
        HartStatus::Started => Err(Error::AlreadyAvailable),
        _ => Err(Error::AlreadyStarted),
    }
}

/// Does not return: the hart waits for another to start it.
fn stop(hart: &mut Hart) -> Result {
    hart.control.set_status(HartStatus::Stopped);
    hart.control.ask(request::INTERRUPT);
    Ok(0)
}

/// The retentive suspension is a `wfi`; there is nothing deeper.
fn suspend(hart: &mut Hart, kind: u64) -> Result {
    const RETENTIVE: u64 = 0;
    match kind {
        RETENTIVE => {
            hart.control.set_status(HartStatus::Suspended);
            hart.state.waiting = true;
            Ok(0)
        }
        0x1000_0000..=0x8000_0000 | 0x9000_0000..=0xffff_ffff => Err(Error::NotSupported),
        _ => Err(Error::InvalidParam),
    }
}

fn named(hart: &Hart, id: u64) -> Result<Arc<HartControl>> {
    let found = hart
        .environment
        .harts()
        .iter()
        .find(|control| control.id() == id);
    found.map(Arc::clone).ok_or(Error::InvalidParam)
}
