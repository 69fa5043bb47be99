//! Compressed instructions, as the full ones they stand for (unpriv "C" tables of quadrants 0-2).

use crate::isa::{Extension, Isa};

const OP_IMM: u32 = 0x13;
const OP_IMM_32: u32 = 0x1b;
const OP: u32 = 0x33;
const OP_32: u32 = 0x3b;
const LUI: u32 = 0x37;
const JALR: u32 = 0x67;
const EBREAK: u32 = 0x0010_0073;

/// The 4-byte instruction that a 2-byte one stands for, if it is one.
pub(super) fn expand(bits: u16, isa: &Isa) -> Option<u32> {
    let c = Compressed(bits.into());
    let double = isa.has(Extension::D);
    match (bits & 3, bits >> 13) {
        (0, 0) => (c.imm_wide() != 0).then(|| i(OP_IMM, c.low(), 0, 2, c.imm_wide())),
        (0, 1) => double.then(|| i(0x07, c.low(), 3, c.high(), c.offset_double())),
        (0, 2) => Some(i(0x03, c.low(), 2, c.high(), c.offset_word())),
        (0, 3) => Some(i(0x03, c.low(), 3, c.high(), c.offset_double())),
        (0, 5) => double.then(|| s(0x27, 3, c.high(), c.low(), c.offset_double())),
        (0, 6) => Some(s(0x23, 2, c.high(), c.low(), c.offset_word())),
        (0, 7) => Some(s(0x23, 3, c.high(), c.low(), c.offset_double())),
        (1, 0) => Some(i(OP_IMM, c.rd(), 0, c.rd(), c.imm())),
        (1, 1) => (c.rd() != 0).then(|| i(OP_IMM_32, c.rd(), 0, c.rd(), c.imm())),
        (1, 2) => Some(i(OP_IMM, c.rd(), 0, 0, c.imm())),
        (1, 3) => upper(c),
        (1, 4) => arithmetic(c),
        (1, 5) => Some(j(0, c.imm_jump())),
        (1, 6) => Some(b(0, c.high(), c.imm_branch())),
        (1, 7) => Some(b(1, c.high(), c.imm_branch())),
        (2, 0) => Some(i(OP_IMM, c.rd(), 1, c.rd(), c.imm() & 63)),
        (2, 1) => double.then(|| i(0x07, c.rd(), 3, 2, c.stack_load_double())),
        (2, 2) => (c.rd() != 0).then(|| i(0x03, c.rd(), 2, 2, c.stack_load_word())),
        (2, 3) => (c.rd() != 0).then(|| i(0x03, c.rd(), 3, 2, c.stack_load_double())),
        (2, 4) => moves(c),
        (2, 5) => double.then(|| s(0x27, 3, 2, c.rs2(), c.stack_store_double())),
        (2, 6) => Some(s(0x23, 2, 2, c.rs2(), c.stack_store_word())),
        (2, 7) => Some(s(0x23, 3, 2, c.rs2(), c.stack_store_double())),
        _ => None,
    }
}

/// c.lui and c.addi16sp.
fn upper(c: Compressed) -> Option<u32> {
    if c.imm() == 0 {
        return None;
    }
    if c.rd() == 2 {
        return Some(i(OP_IMM, 2, 0, 2, c.imm_stack()));
    }
    Some((c.imm() as u32) << 12 | c.rd() << 7 | LUI)
}

/// The shifts and two-register operations of quadrant 1.
fn arithmetic(c: Compressed) -> Option<u32> {
    let (rd, rs2) = (c.high(), c.low());
    Some(match (c.0 >> 10 & 3, c.0 >> 12 & 1, c.0 >> 5 & 3) {
        (0, ..) => i(OP_IMM, rd, 5, rd, c.imm() & 63),
        (1, ..) => i(OP_IMM, rd, 5, rd, 0x400 | c.imm() & 63),
        (2, ..) => i(OP_IMM, rd, 7, rd, c.imm()),
        (3, 0, 0) => r(OP, rd, 0, rd, rs2, 0x20),
        (3, 0, 1) => r(OP, rd, 4, rd, rs2, 0),
        (3, 0, 2) => r(OP, rd, 6, rd, rs2, 0),
        (3, 0, 3) => r(OP, rd, 7, rd, rs2, 0),
        (3, 1, 0) => r(OP_32, rd, 0, rd, rs2, 0x20),
        (3, 1, 1) => r(OP_32, rd, 0, rd, rs2, 0),
        _ => return None,
    })
}

/// c.jr, c.mv, c.ebreak, c.jalr and c.add.
fn moves(c: Compressed) -> Option<u32> {
    match (c.0 >> 12 & 1, c.rd(), c.rs2()) {
        (0, 0, 0) => None,
        (0, rs1, 0) => Some(i(JALR, 0, 0, rs1, 0)),
        (0, rd, rs2) => Some(r(OP, rd, 0, 0, rs2, 0)),
        (_, 0, 0) => Some(EBREAK),
        (_, rs1, 0) => Some(i(JALR, 1, 0, rs1, 0)),
        (_, rd, rs2) => Some(r(OP, rd, 0, rd, rs2, 0)),
    }
}

fn r(opcode: u32, rd: u32, funct3: u32, rs1: u32, rs2: u32, funct7: u32) -> u32 {
    opcode | rd << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | funct7 << 25
}

fn i(opcode: u32, rd: u32, funct3: u32, rs1: u32, imm: i32) -> u32 {
    opcode | rd << 7 | funct3 << 12 | rs1 << 15 | (imm as u32) << 20
}

fn s(opcode: u32, funct3: u32, rs1: u32, rs2: u32, imm: i32) -> u32 {
    let imm = imm as u32;
    opcode | (imm & 31) << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | (imm >> 5) << 25
}

/// A comparison with x0.
fn b(funct3: u32, rs1: u32, imm: i32) -> u32 {
    let imm = imm as u32;
    let low = (imm >> 11 & 1) << 7 | (imm >> 1 & 15) << 8;
    let high = (imm >> 5 & 0x3f) << 25 | (imm >> 12 & 1) << 31;
    0x63 | low | funct3 << 12 | rs1 << 15 | high
}

fn j(rd: u32, imm: i32) -> u32 {
    let imm = imm as u32;
    let high = (imm >> 1 & 0x3ff) << 21 | (imm >> 20 & 1) << 31;
    0x6f | rd << 7 | imm & 0x000f_f000 | (imm >> 11 & 1) << 20 | high
}

/// The fields of a 2-byte instruction.
#[derive(Clone, Copy)]
struct Compressed(u32);

impl Compressed {
    fn rd(self) -> u32 {
        self.0 >> 7 & 31
    }

    fn rs2(self) -> u32 {
        self.0 >> 2 & 31
    }

    /// The register in bits 4:2, x8 to x15.
    fn low(self) -> u32 {
        (self.0 >> 2 & 7) + 8
    }

    /// The register in bits 9:7, x8 to x15.
    fn high(self) -> u32 {
        (self.0 >> 7 & 7) + 8
    }

    /// `width` bits from bit `from` of the instruction, as bits from `to` of an immediate.
    fn field(self, from: u32, width: u32, to: u32) -> i32 {
        ((self.0 >> from & ((1 << width) - 1)) << to) as i32
    }

    /// Bit 12 repeated from bit `to` upwards.
    fn sign(self, to: u32) -> i32 {
        -self.field(12, 1, to)
    }

    fn imm(self) -> i32 {
        self.sign(5) | self.field(2, 5, 0)
    }

    fn imm_wide(self) -> i32 {
        self.field(11, 2, 4) | self.field(7, 4, 6) | self.field(6, 1, 2) | self.field(5, 1, 3)
    }

    fn imm_stack(self) -> i32 {
        let low = self.field(6, 1, 4) | self.field(2, 1, 5);
        self.sign(9) | low | self.field(5, 1, 6) | self.field(3, 2, 7)
    }

    fn imm_jump(self) -> i32 {
        let low = self.field(3, 3, 1) | self.field(11, 1, 4) | self.field(2, 1, 5);
        let middle = self.field(7, 1, 6) | self.field(6, 1, 7) | self.field(9, 2, 8);
        self.sign(11) | low | middle | self.field(8, 1, 10)
    }

    fn imm_branch(self) -> i32 {
        let low = self.field(3, 2, 1) | self.field(10, 2, 3);
        self.sign(8) | low | self.field(2, 1, 5) | self.field(5, 2, 6)
    }

    fn offset_word(self) -> i32 {
        self.field(6, 1, 2) | self.field(10, 3, 3) | self.field(5, 1, 6)
    }

    fn offset_double(self) -> i32 {
        self.field(10, 3, 3) | self.field(5, 2, 6)
    }

    fn stack_load_word(self) -> i32 {
        self.field(4, 3, 2) | self.field(12, 1, 5) | self.field(2, 2, 6)
    }

    fn stack_load_double(self) -> i32 {
        self.field(5, 2, 3) | self.field(12, 1, 5) | self.field(2, 3, 6)
    }

    fn stack_store_word(self) -> i32 {
        self.field(9, 4, 2) | self.field(7, 2, 6)
    }

    fn stack_store_double(self) -> i32 {
        self.field(10, 3, 3) | self.field(7, 3, 6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pair was assembled with and without compression.
    #[test]
    fn expansions() {
        let table: &[(u16, u32)] = &[
            (0x0808, 0x0101_0513), // addi a0, sp, 16
            (0x1fe4, 0x3fc1_0493), // addi s1, sp, 1020
            (0x5de8, 0x07c5_a503), // lw a0, 124(a1)
            (0x7de8, 0x0f85_b503), // ld a0, 248(a1)
            (0x2588, 0x0085_b507), // fld fa0, 8(a1)
            (0xc1a8, 0x04a5_a023), // sw a0, 64(a1)
            (0xe1c8, 0x08a5_b023), // sd a0, 128(a1)
            (0xa0e0, 0x0c84_b027), // fsd fs0, 192(s1)
            (0x1501, 0xfe05_0513), // addi a0, a0, -32
            (0x257d, 0x01f5_051b), // addiw a0, a0, 31
            (0x557d, 0xfff0_0513), // li a0, -1
            (0x7139, 0xfc01_0113), // addi sp, sp, -64
            (0x617d, 0x1f01_0113), // addi sp, sp, 496
            (0x7505, 0xfffe_1537), // lui a0, 0xfffe1
            (0x657d, 0x0001_f537), // lui a0, 31
            (0x917d, 0x03f5_5513), // srli a0, a0, 63
            (0x9501, 0x4205_5513), // srai a0, a0, 32
            (0x9975, 0xffd5_7513), // andi a0, a0, -3
            (0x8d0d, 0x40b5_0533), // sub a0, a0, a1
            (0x8d2d, 0x00b5_4533), // xor a0, a0, a1
            (0x8c5d, 0x00f4_6433), // or s0, s0, a5
            (0x8c7d, 0x00f4_7433), // and s0, s0, a5
            (0x9d0d, 0x40b5_053b), // subw a0, a0, a1
            (0x9d2d, 0x00b5_053b), // addw a0, a0, a1
            (0x1506, 0x0215_1513), // slli a0, a0, 33
            (0x357e, 0x1f81_3507), // fld fa0, 504(sp)
            (0x52fe, 0x0fc1_2283), // lw t0, 252(sp)
            (0x70fe, 0x1f81_3083), // ld ra, 504(sp)
            (0x8582, 0x0005_8067), // jr a1
            (0x9582, 0x0005_80e7), // jalr a1
            (0x8082, 0x0000_8067), // ret
            (0x9002, 0x0010_0073), // ebreak
            (0x957e, 0x01f5_0533), // add a0, a0, t6
            (0x857e, 0x01f0_0533), // mv a0, t6
            (0xbfaa, 0x1ea1_3c27), // fsd fa0, 504(sp)
            (0xdffe, 0x0ff1_2e23), // sw t6, 252(sp)
            (0xff86, 0x1e11_3c23), // sd ra, 504(sp)
            (0xaffd, 0x7fe0_006f), // j .+2046
            (0xb001, 0x801f_f06f), // j .-2048
            (0xcd7d, 0x0e05_0f63), // beqz a0, .+254
            (0xf001, 0xf004_10e3), // bnez s0, .-256
        ];
        for &(short, full) in table {
            let expanded = expand(short, &Isa::default());
            assert_eq!(
                expanded.map(|e| format!("{e:#x}")),
                Some(format!("{full:#x}")),
                "{short:#x}"
            );
        }
    }

    #[test]
    fn reserved_encodings_are_illegal() {
        for bits in [
            0x0000, 0x2005, 0x6101, 0x6581, 0x4002, 0x6002, 0x8002, 0x9c41, 0x8000,
        ] {
            assert_eq!(expand(bits, &Isa::default()), None, "{bits:#x}");
        }
        let mut isa = Isa::default();
        isa.set("d", false).unwrap();
        assert_eq!(expand(0xa42a, &isa), None);
    }
}
