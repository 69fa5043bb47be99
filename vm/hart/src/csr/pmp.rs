//! The registers of physical memory protection (priv §3.7.1). The grain is a page, so that a page
//! is permitted or refused as a whole.

use crate::Hart;
use crate::isa::Extension;
use crate::log;
use crate::mmu::pmp::{GRAIN, LOCK, Matching};

impl Hart {
    pub(super) fn read_pmp(&self, number: u16) -> Option<u64> {
        if !self.config.isa.has(Extension::Pmp) {
            return None;
        }
        let csrs = &self.state.csrs;
        match number {
            0x3a0 => Some(u64::from_le_bytes(*csrs.pmpcfg.first_chunk()?)),
            0x3a2 => Some(u64::from_le_bytes(*csrs.pmpcfg.last_chunk()?)),
            0x3b0..=0x3bf => {
                let index = usize::from(number - 0x3b0);
                Some(visible_address(csrs.pmpaddr[index], csrs.pmpcfg[index]))
            }
            _ => None,
        }
    }

    pub(super) fn write_pmp(&mut self, number: u16, value: u64) {
        match number {
            0x3a0 | 0x3a2 => self.write_pmp_configuration(usize::from(number & 2) * 4, value),
            _ => self.write_pmp_address(usize::from(number & 15), value),
        }
        self.flush_translations(None);
    }

    fn write_pmp_configuration(&mut self, first: usize, value: u64) {
        let entries = &mut self.state.csrs.pmpcfg[first..first + 8];
        for (entry, new) in entries.iter_mut().zip(value.to_le_bytes()) {
            if *entry & LOCK != 0 {
                if *entry != new {
                    complain("ignoring pmpcfg write - read only");
                }
                continue;
            }
            *entry = legal_configuration(*entry, new);
        }
    }

    fn write_pmp_address(&mut self, index: usize, value: u64) {
        const ADDRESS: u64 = (1 << 54) - 1;
        let csrs = &mut self.state.csrs;
        let next = csrs.pmpcfg.get(index + 1).copied().unwrap_or_default();
        let next_locks = next & LOCK != 0 && Matching::of(next) == Matching::TopOfRange;
        if csrs.pmpcfg[index] & LOCK == 0 && !next_locks {
            csrs.pmpaddr[index] = value & ADDRESS;
        } else {
            complain("ignoring pmpaddr write - read only");
        }
    }
}

fn complain(what: &str) {
    tracing::debug!(target: log::GUEST_ERRORS, "{what}");
}

/// Write without read is reserved, NA4 cannot be had with this grain: both leave things as they are.
fn legal_configuration(old: u8, new: u8) -> u8 {
    const NA4: u8 = 2 << 3;
    let new = new & 0x9f;
    if new & 3 == 2 {
        return old;
    }
    if new & 0x18 == NA4 {
        new & !0x18 | old & 0x18
    } else {
        new
    }
}

/// The bits below the grain read as ones or zeroes, as the way of matching has it (priv §3.7.1.1).
fn visible_address(address: u64, configuration: u8) -> u64 {
    if Matching::of(configuration) == Matching::PowerOfTwo {
        address | ((GRAIN >> 3) - 1)
    } else {
        address & !((GRAIN >> 2) - 1)
    }
}
