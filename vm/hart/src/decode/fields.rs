//! The fields of a 4-byte instruction (unpriv §2.2, §2.3).

/// A 4-byte instruction.
#[derive(Clone, Copy)]
pub(crate) struct Fields(pub(crate) u32);

impl Fields {
    pub(crate) fn opcode(self) -> u32 {
        self.0 & 0x7f
    }

    pub(crate) fn rd(self) -> u8 {
        (self.0 >> 7 & 31) as u8
    }

    pub(crate) fn rs1(self) -> u8 {
        (self.0 >> 15 & 31) as u8
    }

    pub(crate) fn rs2(self) -> u8 {
        (self.0 >> 20 & 31) as u8
    }

    pub(crate) fn rs3(self) -> u8 {
        (self.0 >> 27) as u8
    }

    pub(crate) fn funct3(self) -> u32 {
        self.0 >> 12 & 7
    }

    pub(crate) fn funct7(self) -> u32 {
        self.0 >> 25
    }

    /// The top twelve bits, unsigned.
    pub(crate) fn funct12(self) -> u32 {
        self.0 >> 20
    }

    pub(crate) fn imm_i(self) -> i32 {
        self.0 as i32 >> 20
    }

    pub(crate) fn imm_s(self) -> i32 {
        (self.0 as i32 >> 25) << 5 | (self.0 >> 7 & 31) as i32
    }

    pub(crate) fn imm_b(self) -> i32 {
        let bits = self.0;
        (bits as i32 >> 31) << 12
            | ((bits >> 7 & 1) << 11) as i32
            | ((bits >> 25 & 0x3f) << 5) as i32
            | ((bits >> 8 & 15) << 1) as i32
    }

    pub(crate) fn imm_u(self) -> i32 {
        (self.0 & 0xffff_f000) as i32
    }

    pub(crate) fn imm_j(self) -> i32 {
        let bits = self.0;
        (bits as i32 >> 31) << 20
            | (bits & 0x000f_f000) as i32
            | ((bits >> 20 & 1) << 11) as i32
            | ((bits >> 21 & 0x3ff) << 1) as i32
    }
}
