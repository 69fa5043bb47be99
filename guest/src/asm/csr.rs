//! The control and status registers that the programs use (priv §2.2).

/// Floating-point flags and rounding mode.
pub const FCSR: u32 = 0x003;
/// Whether floating point may be used, whether interrupts are taken.
pub const SSTATUS: u32 = 0x100;
/// Which interrupts count.
pub const SIE: u32 = 0x104;
/// Where traps go.
pub const STVEC: u32 = 0x105;
/// Where a trap came from.
pub const SEPC: u32 = 0x141;
/// Why a trap was taken.
pub const SCAUSE: u32 = 0x142;
/// What a trap is about.
pub const STVAL: u32 = 0x143;
/// The time in ticks.
pub const TIME: u32 = 0xc01;
