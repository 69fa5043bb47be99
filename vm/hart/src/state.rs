//! The architectural state of a hart, apart from everything that only makes it fast.

use crate::csr::Csrs;

/// A privilege mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// U.
    User = 0,
    /// S.
    Supervisor = 1,
    /// M.
    Machine = 3,
}

impl Privilege {
    /// The mode of a two-bit field such as `mstatus.MPP`; 2 is reserved.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::User),
            1 => Some(Self::Supervisor),
            3 => Some(Self::Machine),
            _ => None,
        }
    }
}

/// Where writes to x0 go: a register that nothing reads.
pub(crate) const DISCARD: u8 = 32;
/// Where the floating-point registers begin in the file.
pub(crate) const FLOAT: u8 = 64;

/// The integer and floating-point registers in one file.
///
/// The file has room for every value of a byte, so that a decoded register number needs no check.
#[derive(Clone, Debug)]
pub struct Registers {
    pub(crate) file: [u64; 256],
}

impl Default for Registers {
    fn default() -> Self {
        Self { file: [0; 256] }
    }
}

impl Registers {
    /// Integer register `index` (modulo 32).
    #[must_use]
    pub fn x(&self, index: u8) -> u64 {
        self.file[usize::from(index & 31)]
    }

    /// Writes integer register `index`; x0 stays zero.
    pub fn set_x(&mut self, index: u8, value: u64) {
        if index & 31 != 0 {
            self.file[usize::from(index & 31)] = value;
        }
    }

    /// Floating-point register `index` (modulo 32), NaN-boxed as it is.
    #[must_use]
    pub fn f(&self, index: u8) -> u64 {
        self.file[usize::from(FLOAT + (index & 31))]
    }

    /// Writes floating-point register `index`.
    pub fn set_f(&mut self, index: u8, value: u64) {
        self.file[usize::from(FLOAT + (index & 31))] = value;
    }
}

/// A load reservation (`lr`): what was read, where, and how wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The virtual address.
    pub address: u64,
    /// The value that was there.
    pub value: u64,
    /// 4 or 8.
    pub size: u8,
}

/// Everything that the guest can observe of a hart.
#[derive(Clone, Debug)]
pub struct State {
    /// The next instruction, while the hart is at rest.
    pub pc: u64,
    /// The privilege mode.
    pub privilege: Privilege,
    /// x and f registers.
    pub registers: Registers,
    /// Control and status registers.
    pub csrs: Csrs,
    /// The reservation of the last `lr`.
    pub reservation: Option<Reservation>,
    /// Whether the hart sits in `wfi`.
    pub waiting: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            pc: 0,
            privilege: Privilege::Machine,
            registers: Registers::default(),
            csrs: Csrs::default(),
            reservation: None,
            waiting: false,
        }
    }
}
