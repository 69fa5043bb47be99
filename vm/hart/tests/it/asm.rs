//! Just enough of an assembler.

pub const ZERO: u32 = 0;
pub const RA: u32 = 1;
pub const T0: u32 = 5;
pub const T1: u32 = 6;
pub const T2: u32 = 7;
pub const S0: u32 = 8;
pub const S1: u32 = 9;
pub const A0: u32 = 10;
pub const A1: u32 = 11;
pub const A2: u32 = 12;
pub const A6: u32 = 16;
pub const A7: u32 = 17;

pub const ECALL: u32 = 0x0000_0073;
pub const EBREAK: u32 = 0x0010_0073;
pub const SRET: u32 = 0x1020_0073;
pub const MRET: u32 = 0x3020_0073;
pub const WFI: u32 = 0x1050_0073;
pub const FENCE_I: u32 = 0x0000_100f;
pub const SFENCE_VMA: u32 = 0x1200_0073;
pub const NOP: u32 = 0x0000_0013;
/// Jumps to itself.
pub const STAY: u32 = 0x0000_006f;

pub fn r(opcode: u32, rd: u32, funct3: u32, rs1: u32, rs2: u32, funct7: u32) -> u32 {
    opcode | rd << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | funct7 << 25
}

pub fn i(opcode: u32, rd: u32, funct3: u32, rs1: u32, imm: i32) -> u32 {
    opcode | rd << 7 | funct3 << 12 | rs1 << 15 | (imm as u32) << 20
}

pub fn addi(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x13, rd, 0, rs1, imm)
}

pub fn slli(rd: u32, rs1: u32, shift: i32) -> u32 {
    i(0x13, rd, 1, rs1, shift)
}

pub fn add(rd: u32, rs1: u32, rs2: u32) -> u32 {
    r(0x33, rd, 0, rs1, rs2, 0)
}

pub fn lui(rd: u32, imm: u32) -> u32 {
    0x37 | rd << 7 | imm & 0xffff_f000
}

pub fn auipc(rd: u32, imm: u32) -> u32 {
    0x17 | rd << 7 | imm & 0xffff_f000
}

pub fn ld(rd: u32, base: u32, offset: i32) -> u32 {
    i(0x03, rd, 3, base, offset)
}

pub fn lw(rd: u32, base: u32, offset: i32) -> u32 {
    i(0x03, rd, 2, base, offset)
}

pub fn sd(rs: u32, base: u32, offset: i32) -> u32 {
    store(3, rs, base, offset)
}

pub fn sw(rs: u32, base: u32, offset: i32) -> u32 {
    store(2, rs, base, offset)
}

fn store(funct3: u32, rs: u32, base: u32, offset: i32) -> u32 {
    let imm = offset as u32;
    0x23 | (imm & 31) << 7 | funct3 << 12 | base << 15 | rs << 20 | (imm >> 5) << 25
}

pub fn fld(fd: u32, base: u32, offset: i32) -> u32 {
    i(0x07, fd, 3, base, offset)
}

pub fn fsd(fs: u32, base: u32, offset: i32) -> u32 {
    store(3, fs, base, offset) | 4
}

pub fn bne(rs1: u32, rs2: u32, offset: i32) -> u32 {
    branch(1, rs1, rs2, offset)
}

pub fn beq(rs1: u32, rs2: u32, offset: i32) -> u32 {
    branch(0, rs1, rs2, offset)
}

fn branch(funct3: u32, rs1: u32, rs2: u32, offset: i32) -> u32 {
    let imm = offset as u32;
    let low = (imm >> 11 & 1) << 7 | (imm >> 1 & 15) << 8;
    let high = (imm >> 5 & 0x3f) << 25 | (imm >> 12 & 1) << 31;
    0x63 | low | funct3 << 12 | rs1 << 15 | rs2 << 20 | high
}

pub fn jal(rd: u32, offset: i32) -> u32 {
    let imm = offset as u32;
    let high = (imm >> 1 & 0x3ff) << 21 | (imm >> 20 & 1) << 31;
    0x6f | rd << 7 | imm & 0x000f_f000 | (imm >> 11 & 1) << 20 | high
}

pub fn jalr(rd: u32, rs1: u32, offset: i32) -> u32 {
    i(0x67, rd, 0, rs1, offset)
}

pub fn csrrw(rd: u32, csr: u32, rs1: u32) -> u32 {
    i(0x73, rd, 1, rs1, csr as i32)
}

pub fn csrrs(rd: u32, csr: u32, rs1: u32) -> u32 {
    i(0x73, rd, 2, rs1, csr as i32)
}

pub fn csrr(rd: u32, csr: u32) -> u32 {
    csrrs(rd, csr, ZERO)
}

pub fn csrw(csr: u32, rs1: u32) -> u32 {
    csrrw(ZERO, csr, rs1)
}

pub fn lr_d(rd: u32, address: u32) -> u32 {
    r(0x2f, rd, 3, address, 0, 2 << 2)
}

pub fn sc_d(rd: u32, rs2: u32, address: u32) -> u32 {
    r(0x2f, rd, 3, address, rs2, 3 << 2)
}

pub fn amoadd_d(rd: u32, rs2: u32, address: u32) -> u32 {
    r(0x2f, rd, 3, address, rs2, 0)
}

/// Loads any constant, in eight instructions.
pub fn li(rd: u32, value: u64) -> Vec<u32> {
    let piece = |shift: u32| (value >> shift & 0x7ff) as i32;
    let mut code = vec![addi(rd, ZERO, (value >> 55) as i32)];
    for shift in [44, 33, 22, 11, 0] {
        code.push(slli(rd, rd, 11));
        code.push(i(0x13, rd, 6, rd, piece(shift)));
    }
    code
}

/// Stores to the exit device and stays.
pub fn exit() -> Vec<u32> {
    [li(T2, super::rig::EXIT), vec![sw(ZERO, T2, 0), STAY]].concat()
}
