//! The instruction formats (unpriv §2.2, §2.3).

/// The rounding mode that `fcsr` holds (unpriv §20.2).
pub(super) const DYNAMIC: u32 = 7;

/// What fits into the immediate of an instruction.
#[derive(Clone, Copy)]
pub(super) struct Field {
    bits: u32,
    signed: bool,
}

impl Field {
    pub(super) const fn signed(bits: u32) -> Self {
        Self { bits, signed: true }
    }

    pub(super) const fn unsigned(bits: u32) -> Self {
        Self {
            bits,
            signed: false,
        }
    }

    /// The bits that stand for `value`, if it fits.
    pub(super) fn encode(self, value: i64) -> Option<u32> {
        let range = match self.signed {
            true => -(1 << (self.bits - 1))..1 << (self.bits - 1),
            false => 0..1 << self.bits,
        };
        let mask = (1 << self.bits) - 1;
        range.contains(&value).then_some((value & mask) as u32)
    }
}

pub(super) fn r(opcode: u32, rd: u32, funct3: u32, rs1: u32, rs2: u32, funct7: u32) -> u32 {
    opcode | rd << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | funct7 << 25
}

pub(super) fn i(opcode: u32, rd: u32, funct3: u32, rs1: u32, immediate: u32) -> u32 {
    opcode | rd << 7 | funct3 << 12 | rs1 << 15 | immediate << 20
}

pub(super) fn s(opcode: u32, funct3: u32, rs1: u32, rs2: u32, immediate: u32) -> u32 {
    r(opcode, immediate & 0x1f, funct3, rs1, rs2, immediate >> 5)
}

pub(super) fn u(opcode: u32, rd: u32, immediate: u32) -> u32 {
    opcode | rd << 7 | immediate << 12
}

/// Where a branch keeps its 13-bit distance.
pub(super) fn b(distance: u32) -> u32 {
    let (sign, bit_11) = (distance >> 12 & 1, distance >> 11 & 1);
    sign << 31 | (distance >> 5 & 0x3f) << 25 | (distance >> 1 & 0xf) << 8 | bit_11 << 7
}

/// Where a jump keeps its 21-bit distance.
pub(super) fn j(distance: u32) -> u32 {
    let (sign, bit_11) = (distance >> 20 & 1, distance >> 11 & 1);
    sign << 31 | (distance >> 1 & 0x3ff) << 21 | bit_11 << 20 | (distance >> 12 & 0xff) << 12
}
