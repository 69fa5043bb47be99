//! What assemblers offer beside the instructions (unpriv, "RISC-V Assembly Programmer's Handbook").

use super::{Assembler, Kind, Label, RA, Reg, ZERO, encode, halves};

impl Assembler {
    /// `li rd, value`, in as many instructions as the value needs
    pub fn li(&mut self, rd: Reg, value: i64) {
        if let Ok(small) = i32::try_from(value) {
            return self.li_word(rd, small);
        }
        // The low twelve bits come last; what is above them is a smaller number of the same kind.
        let low = value << 52 >> 52;
        let high = value.wrapping_sub(low) >> 12;
        let zeros = high.trailing_zeros();
        self.li(rd, high >> zeros);
        self.slli(rd, rd, 12 + zeros);
        if low != 0 {
            self.addi(rd, rd, low);
        }
    }

    fn li_word(&mut self, rd: Reg, value: i32) {
        if (-2048..2048).contains(&value) {
            return self.addi(rd, ZERO, value.into());
        }
        let (high, low) = halves(value as u32);
        self.word(encode::u(0x37, rd.0, high & 0xf_ffff));
        if low != 0 {
            self.word(encode::i(0x1b, rd.0, 0, rd.0, low));
        }
    }

    /// `la rd, label`: always two instructions
    pub fn la(&mut self, rd: Reg, label: Label) {
        self.fixup(label, Kind::Address);
        self.word(encode::u(0x17, rd.0, 0));
        self.word(encode::i(0x13, rd.0, 0, rd.0, 0));
    }

    /// `mv rd, rs`
    pub fn mv(&mut self, rd: Reg, rs: Reg) {
        self.addi(rd, rs, 0);
    }

    /// `nop`
    pub fn nop(&mut self) {
        self.addi(ZERO, ZERO, 0);
    }

    /// `neg rd, rs`
    pub fn neg(&mut self, rd: Reg, rs: Reg) {
        self.sub(rd, ZERO, rs);
    }

    /// `j target`
    pub fn j(&mut self, target: Label) {
        self.jal(ZERO, target);
    }

    /// `call target`: within a mebibyte, the return address in `ra`
    pub fn call(&mut self, target: Label) {
        self.jal(RA, target);
    }

    /// `ret`
    pub fn ret(&mut self) {
        self.jalr(ZERO, RA, 0);
    }

    /// `beqz rs, target`
    pub fn beqz(&mut self, rs: Reg, target: Label) {
        self.beq(rs, ZERO, target);
    }

    /// `bnez rs, target`
    pub fn bnez(&mut self, rs: Reg, target: Label) {
        self.bne(rs, ZERO, target);
    }

    /// `csrr rd, csr`
    pub fn csrr(&mut self, rd: Reg, csr: u32) {
        self.csrrs(rd, csr, ZERO);
    }

    /// `csrw csr, rs`
    pub fn csrw(&mut self, csr: u32, rs: Reg) {
        self.csrrw(ZERO, csr, rs);
    }
}
