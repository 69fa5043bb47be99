//! The built-in firmware: the Supervisor Binary Interface answered by the hart itself.

mod base;
mod console;
mod fence;
mod hsm;
mod legacy;
mod reset;
mod timer;

use std::sync::Arc;

use crate::{Hart, HartControl};

/// Why a call failed (SBI 3.0 §3, table "Standard SBI Errors").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Error {
    NotSupported = -2,
    InvalidParam = -3,
    InvalidAddress = -5,
    AlreadyAvailable = -6,
    AlreadyStarted = -7,
}

type Result<T = u64> = std::result::Result<T, Error>;

/// The arguments of a call.
#[derive(Clone, Copy)]
struct Call {
    function: u64,
    args: [u64; 6],
}

mod extension {
    pub(super) const BASE: u64 = 0x10;
    pub(super) const TIME: u64 = 0x5449_4d45;
    pub(super) const IPI: u64 = 0x0073_5049;
    pub(super) const RFENCE: u64 = 0x5246_4e43;
    pub(super) const HSM: u64 = 0x0048_534d;
    pub(super) const SRST: u64 = 0x5352_5354;
    pub(super) const DBCN: u64 = 0x4442_434e;
    pub(super) const LEGACY: std::ops::RangeInclusive<u64> = 0..=8;
}

/// Answers the `ecall` before the present pc: the extension is in a7, the function in a6.
pub(crate) fn call(hart: &mut Hart) {
    let registers = &hart.state.registers;
    let number = registers.x(17);
    let call = Call {
        function: registers.x(16),
        args: [10, 11, 12, 13, 14, 15].map(|index| registers.x(index)),
    };
    if extension::LEGACY.contains(&number) {
        let answer = legacy::call(hart, number, call);
        hart.state.registers.set_x(10, answer);
        return;
    }
    let answer = match number {
        extension::BASE => base::call(hart, call),
        extension::TIME => timer::call(hart, call),
        extension::IPI => fence::send_ipi(hart, call),
        extension::RFENCE => fence::remote_fence(hart, call),
        extension::HSM => hsm::call(hart, call),
        extension::SRST => reset::call(hart, call),
        extension::DBCN => console::call(hart, call),
        _ => Err(Error::NotSupported),
    };
    let (error, value) = match answer {
        Ok(value) => (0, value),
        Err(error) => (error as i64 as u64, 0),
    };
    hart.state.registers.set_x(10, error);
    hart.state.registers.set_x(11, value);
}

/// The harts that a mask names; a base of all ones names every hart (SBI 3.0 §3.1).
fn masked(hart: &Hart, mask: u64, base: u64) -> Result<Vec<Arc<HartControl>>> {
    let harts = hart.environment.harts();
    if base == u64::MAX {
        return Ok(harts.to_vec());
    }
    let bits = (0..64).filter(|bit| mask >> bit & 1 != 0);
    bits.map(|bit| {
        let id = base.checked_add(bit).ok_or(Error::InvalidParam)?;
        let named = harts.iter().find(|control| control.id() == id);
        named.map(Arc::clone).ok_or(Error::InvalidParam)
    })
    .collect()
}
