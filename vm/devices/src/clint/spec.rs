//! The register map (SiFive CLINT; the offsets are those of RISC-V ACLINT 1.0 too).

/// How many counts of `mtime` make a second.
pub const TIMEBASE_FREQUENCY: u64 = 10_000_000;
/// The size of the register window.
pub const SIZE: u64 = 0x1_0000;
/// Where the software interrupts are, and how long that part is.
pub const SWI: (u64, u64) = (0, 0x4000);
/// Where the timers are, and how long that part is.
pub const MTIMER: (u64, u64) = (0x4000, 0x8000);
/// `mtimecmp` of hart 0; 8 bytes a hart.
pub(super) const MTIMECMP: u64 = 0x4000;
/// `mtime`.
pub(super) const MTIME: u64 = 0xbff8;

/// What a 32-bit word of the window is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// The software interrupt of a hart.
    Msip(usize),
    /// A half of a hart's timer comparator; true for the upper one.
    Mtimecmp(usize, bool),
    /// A half of the counter; true for the upper one.
    Mtime(bool),
    /// Nothing.
    None,
}

impl Register {
    pub(super) fn at(offset: u64) -> Self {
        let upper = offset & 4 != 0;
        match offset {
            _ if !offset.is_multiple_of(4) => Self::None,
            0..MTIMECMP => Self::Msip((offset / 4) as usize),
            MTIMECMP..MTIME => Self::Mtimecmp(((offset - MTIMECMP) / 8) as usize, upper),
            MTIME..0xc000 => Self::Mtime(upper),
            _ => Self::None,
        }
    }
}
