//! Where messages go (RISC-V AIA 1.0 §4.9.1): a hart's interrupt file has its page at an address
//! put together from the hart's index and what firmware wrote into the root domain.

use super::Level;
use super::spec::{HART_SHIFT, LOCKED};

/// The size of an interrupt file's page, as a power of two.
const PAGE_SHIFT: u32 = 12;

/// `mmsiaddrcfg`, `mmsiaddrcfgh`, `smsiaddrcfg`, `smsiaddrcfgh`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The registers in this order.
    pub words: [u32; 4],
}

impl Addresses {
    /// Files of supervisor mode, for so many harts in pages that follow each other from `base` on.
    pub(super) fn of_supervisor(base: u64, harts: usize) -> Self {
        let page = base >> PAGE_SHIFT;
        let hart_bits = harts.next_power_of_two().trailing_zeros();
        Self {
            words: [0, hart_bits << 12, page as u32, (page >> 32) as u32 & 0xfff],
        }
    }

    pub(super) fn write(&mut self, word: usize, value: u32) {
        const WRITABLE: [u32; 4] = [u32::MAX, 0x9f77_ffff, u32::MAX, 0x0070_0fff];
        if self.words[1] & LOCKED == 0 {
            self.words[word] = value & WRITABLE[word];
        }
    }

    /// The address for a `target` register of a domain.
    pub(super) fn of(&self, level: Level, target: u32) -> u64 {
        let [_, high, _, supervisor_high] = self.words;
        let field = |shift: u32, width: u32| high >> shift & ((1 << width) - 1);
        let (hart_bits, group_bits) = (field(12, 4), field(16, 3));
        let group_shift = field(24, 5);
        let (base, hart_shift) = match level {
            Level::Machine => (self.page(0), field(20, 3)),
            Level::Supervisor => (self.page(2), supervisor_high >> 20 & 7),
        };
        let index = u64::from(target >> HART_SHIFT);
        let hart = index & ((1 << hart_bits) - 1);
        let group = index >> hart_bits & ((1 << group_bits) - 1);
        let page = base | group << (group_shift + PAGE_SHIFT) | hart << hart_shift;
        page << PAGE_SHIFT
    }

    fn page(&self, word: usize) -> u64 {
        u64::from(self.words[word]) | u64::from(self.words[word + 1] & 0xfff) << 32
    }
}
