//! The extensions of SBI 0.1 (SBI 3.0 §5), which kernels without newer ones still call.

use std::sync::Arc;

use super::{Call, Error, console, fence, reset, timer};
use crate::control::request;
use crate::csr::interrupt;
use crate::{Hart, HartControl, SystemReset};

pub(super) fn call(hart: &mut Hart, number: u64, call: Call) -> u64 {
    let argument = call.args[0];
    match number {
        0 => timer::set(hart, argument),
        1 => console::write_byte(hart, argument as u8),
        2 => return hart.environment.console_read().map_or(u64::MAX, u64::from),
        3 => hart.state.csrs.mip &= !interrupt::SSIP,
        4 => {
            return on_masked(hart, argument, |_, harts| {
                harts.iter().for_each(|control| control.raise_software());
            });
        }
        5 => {
            return on_masked(hart, argument, |hart, harts| {
                fence::fence(hart, harts, request::INSTRUCTIONS);
            });
        }
        6 | 7 => {
            return on_masked(hart, argument, |hart, harts| {
                fence::fence(hart, harts, request::TRANSLATIONS);
            });
        }
        _ => reset::perform(hart, SystemReset::Shutdown { failure: false }),
    }
    0
}

/// Applies to the harts of a mask in memory at a virtual address, zero meaning all harts.
fn on_masked(
    hart: &mut Hart,
    address: u64,
    apply: impl FnOnce(&mut Hart, &[Arc<HartControl>]),
) -> u64 {
    let mask = match address {
        0 => Ok(u64::MAX),
        _ => hart.load(address, 8),
    };
    let Ok(mask) = mask else {
        return Error::InvalidAddress as i64 as u64;
    };
    let all = hart.environment.harts();
    let named = |control: &&Arc<HartControl>| control.id() < 64 && mask >> control.id() & 1 != 0;
    let harts: Vec<_> = all.iter().filter(named).map(Arc::clone).collect();
    apply(hart, &harts);
    0
}
