//! The debug console (SBI 3.0 §12).

use super::{Call, Error, Result};
use crate::Hart;

/// How much one call transfers at most; the guest calls again for the rest.
const CHUNK: u64 = 4096;

pub(super) fn call(hart: &Hart, call: Call) -> Result {
    let [length, low, high, ..] = call.args;
    match call.function {
        0 => write(hart, length, address(low, high)?),
        1 => read(hart, length, address(low, high)?),
        2 => {
            write_byte(hart, call.args[0] as u8);
            Ok(0)
        }
        _ => Err(Error::NotSupported),
    }
}

/// Physical addresses have no high part here.
fn address(low: u64, high: u64) -> Result {
    if high == 0 {
        Ok(low)
    } else {
        Err(Error::InvalidParam)
    }
}

fn write(hart: &Hart, length: u64, address: u64) -> Result {
    let mut bytes = vec![0; length.min(CHUNK) as usize];
    hart.mmu
        .view()
        .read(address, &mut bytes)
        .map_err(|_| Error::InvalidParam)?;
    Ok(hart.environment.console_write(&bytes) as u64)
}

fn read(hart: &Hart, length: u64, address: u64) -> Result {
    let limit = length.min(CHUNK) as usize;
    let bytes: Vec<u8> = std::iter::from_fn(|| hart.environment.console_read())
        .take(limit)
        .collect();
    hart.mmu
        .view()
        .write(address, &bytes)
        .map_err(|_| Error::InvalidParam)?;
    Ok(bytes.len() as u64)
}

/// Writes a byte; one that finds the console full is lost, as on a real line.
pub(super) fn write_byte(hart: &Hart, byte: u8) {
    hart.environment.console_write(&[byte]);
}
