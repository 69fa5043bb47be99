//! The base extension (SBI 3.0 §4).

use super::{Call, Error, Result, extension};
use crate::Hart;

/// Version 2.0.
const SPECIFICATION: u64 = 2 << 24;
/// An implementation id that nobody else is registered with.
const IMPLEMENTATION: u64 = 0x746e_6d75;

pub(super) fn call(hart: &Hart, call: Call) -> Result {
    const MVENDORID: u16 = 0xf11;
    const MARCHID: u16 = 0xf12;
    const MIMPID: u16 = 0xf13;
    match call.function {
        0 => Ok(SPECIFICATION),
        1 => Ok(IMPLEMENTATION),
        2 => Ok(version()),
        3 => Ok(has(call.args[0]).into()),
        4 => Ok(hart.read_csr(MVENDORID).unwrap_or_default()),
        5 => Ok(hart.read_csr(MARCHID).unwrap_or_default()),
        6 => Ok(hart.read_csr(MIMPID).unwrap_or_default()),
        _ => Err(Error::NotSupported),
    }
}

fn has(number: u64) -> bool {
    use extension::{BASE, DBCN, HSM, IPI, LEGACY, RFENCE, SRST, TIME};
    LEGACY.contains(&number) || [BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN].contains(&number)
}

/// This crate's version, a byte for each part.
fn version() -> u64 {
    let parts = env!("CARGO_PKG_VERSION").split('.');
    parts.fold(0, |version, part| {
        version << 8 | part.parse::<u64>().unwrap_or_default()
    })
}
