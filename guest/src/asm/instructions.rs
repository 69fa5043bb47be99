//! One method for each instruction, named and ordered as in assembly.

use super::encode::{self, Field};
use super::{Assembler, FReg, Label, Reg};

macro_rules! register_register {
    ($($name:ident $opcode:literal $funct3:literal $funct7:literal;)*) => {
        impl Assembler {
            $(
                #[doc = concat!("`", stringify!($name), " rd, rs1, rs2`")]
                pub fn $name(&mut self, rd: Reg, rs1: Reg, rs2: Reg) {
                    self.word(encode::r($opcode, rd.0, $funct3, rs1.0, rs2.0, $funct7));
                }
            )*
        }
    };
}

register_register! {
    add 0x33 0 0x00; sub 0x33 0 0x20; sll 0x33 1 0x00; slt 0x33 2 0x00; sltu 0x33 3 0x00;
    xor 0x33 4 0x00; srl 0x33 5 0x00; sra 0x33 5 0x20; or 0x33 6 0x00; and 0x33 7 0x00;
    mul 0x33 0 0x01; mulhu 0x33 3 0x01; div 0x33 4 0x01; divu 0x33 5 0x01;
    rem 0x33 6 0x01; remu 0x33 7 0x01;
    addw 0x3b 0 0x00; subw 0x3b 0 0x20; sllw 0x3b 1 0x00; srlw 0x3b 5 0x00; sraw 0x3b 5 0x20;
    mulw 0x3b 0 0x01; divuw 0x3b 5 0x01; remuw 0x3b 7 0x01;
}

macro_rules! atomic {
    ($($name:ident $funct3:literal $funct5:literal;)*) => {
        impl Assembler {
            $(
                #[doc = concat!("`", stringify!($name), " rd, rs2, (rs1)`")]
                pub fn $name(&mut self, rd: Reg, rs2: Reg, rs1: Reg) {
                    self.word(encode::r(0x2f, rd.0, $funct3, rs1.0, rs2.0, $funct5 << 2));
                }
            )*
        }
    };
}

atomic! { amoadd_w 2 0x00; amoswap_w 2 0x01; amoadd_d 3 0x00; amoswap_d 3 0x01; }

macro_rules! immediate {
    ($($name:ident $opcode:literal $funct3:literal;)*) => {
        impl Assembler {
            $(
                #[doc = concat!("`", stringify!($name), " rd, rs1, immediate`")]
                pub fn $name(&mut self, rd: Reg, rs1: Reg, immediate: i64) {
                    let field = self.field(immediate, Field::signed(12));
                    self.word(encode::i($opcode, rd.0, $funct3, rs1.0, field));
                }
            )*
        }
    };
}

immediate! {
    addi 0x13 0; slti 0x13 2; sltiu 0x13 3; xori 0x13 4; ori 0x13 6; andi 0x13 7;
    addiw 0x1b 0; jalr 0x67 0;
}

macro_rules! shift {
    ($($name:ident $opcode:literal $funct3:literal $high:literal $bits:literal;)*) => {
        impl Assembler {
            $(
                #[doc = concat!("`", stringify!($name), " rd, rs1, amount`")]
                pub fn $name(&mut self, rd: Reg, rs1: Reg, amount: u32) {
                    let field = self.field(i64::from(amount), Field::unsigned($bits));
                    self.word(encode::i($opcode, rd.0, $funct3, rs1.0, $high << 5 | field));
                }
            )*
        }
    };
}

shift! {
    slli 0x13 1 0x00 6; srli 0x13 5 0x00 6; srai 0x13 5 0x20 6;
    slliw 0x1b 1 0x00 5; srliw 0x1b 5 0x00 5; sraiw 0x1b 5 0x20 5;
}

macro_rules! load {
    ($($name:ident $kind:ident $opcode:literal $funct3:literal;)*) => {
        impl Assembler {
            $(
                #[doc = concat!("`", stringify!($name), " rd, offset(rs1)`")]
                pub fn $name(&mut self, rd: $kind, offset: i64, rs1: Reg) {
                    let field = self.field(offset, Field::signed(12));
                    self.word(encode::i($opcode, rd.0, $funct3, rs1.0, field));
                }
            )*
        }
    };
}

load! {
    lb Reg 0x03 0; lh Reg 0x03 1; lw Reg 0x03 2; ld Reg 0x03 3;
    lbu Reg 0x03 4; lhu Reg 0x03 5; lwu Reg 0x03 6; fld FReg 0x07 3;
}

macro_rules! store {
    ($($name:ident $kind:ident $opcode:literal $funct3:literal;)*) => {
        impl Assembler {
            $(
                #[doc = concat!("`", stringify!($name), " rs2, offset(rs1)`")]
                pub fn $name(&mut self, rs2: $kind, offset: i64, rs1: Reg) {
                    let field = self.field(offset, Field::signed(12));
                    self.word(encode::s($opcode, $funct3, rs1.0, rs2.0, field));
                }
            )*
        }
    };
}

store! { sb Reg 0x23 0; sh Reg 0x23 1; sw Reg 0x23 2; sd Reg 0x23 3; fsd FReg 0x27 3; }

macro_rules! branch {
    ($($name:ident $funct3:literal;)*) => {
        impl Assembler {
            $(
                #[doc = concat!("`", stringify!($name), " rs1, rs2, target`")]
                pub fn $name(&mut self, rs1: Reg, rs2: Reg, target: Label) {
                    self.branch(encode::s(0x63, $funct3, rs1.0, rs2.0, 0), target);
                }
            )*
        }
    };
}

branch! { beq 0; bne 1; blt 4; bge 5; bltu 6; bgeu 7; }

macro_rules! control_status {
    ($($name:ident $funct3:literal;)*) => {
        impl Assembler {
            $(
                #[doc = concat!("`", stringify!($name), " rd, csr, rs1`")]
                pub fn $name(&mut self, rd: Reg, csr: u32, rs1: Reg) {
                    self.word(encode::i(0x73, rd.0, $funct3, rs1.0, csr));
                }
            )*
        }
    };
}

control_status! { csrrw 1; csrrs 2; csrrc 3; }

macro_rules! double_precision {
    ($($name:ident $funct7:literal;)*) => {
        impl Assembler {
            $(
                #[doc = concat!("`", stringify!($name), " rd, rs1, rs2`, rounded as `fcsr` says")]
                pub fn $name(&mut self, rd: FReg, rs1: FReg, rs2: FReg) {
                    self.word(encode::r(0x53, rd.0, encode::DYNAMIC, rs1.0, rs2.0, $funct7));
                }
            )*
        }
    };
}

double_precision! { fadd_d 0x01; fsub_d 0x05; fmul_d 0x09; fdiv_d 0x0d; }

impl Assembler {
    /// `fmadd.d rd, rs1, rs2, rs3`, rounded as `fcsr` says
    pub fn fmadd_d(&mut self, rd: FReg, rs1: FReg, rs2: FReg, rs3: FReg) {
        self.word(encode::r(
            0x43,
            rd.0,
            encode::DYNAMIC,
            rs1.0,
            rs2.0,
            rs3.0 << 2 | 1,
        ));
    }

    /// `fmv.d.x rd, rs1`
    pub fn fmv_d_x(&mut self, rd: FReg, rs1: Reg) {
        self.word(encode::r(0x53, rd.0, 0, rs1.0, 0, 0x79));
    }

    /// `fmv.x.d rd, rs1`
    pub fn fmv_x_d(&mut self, rd: Reg, rs1: FReg) {
        self.word(encode::r(0x53, rd.0, 0, rs1.0, 0, 0x71));
    }

    /// `fcvt.d.l rd, rs1`, rounded as `fcsr` says
    pub fn fcvt_d_l(&mut self, rd: FReg, rs1: Reg) {
        self.word(encode::r(0x53, rd.0, encode::DYNAMIC, rs1.0, 2, 0x69));
    }

    /// `lui rd, immediate`, where the immediate is what goes to bits 31 to 12
    pub fn lui(&mut self, rd: Reg, immediate: i64) {
        let field = self.field(immediate, Field::signed(20));
        self.word(encode::u(0x37, rd.0, field));
    }

    /// `jal rd, target`
    pub fn jal(&mut self, rd: Reg, target: Label) {
        self.jump(encode::u(0x6f, rd.0, 0), target);
    }

    /// `ecall`
    pub fn ecall(&mut self) {
        self.word(0x73);
    }

    /// `wfi`
    pub fn wfi(&mut self) {
        self.word(0x1050_0073);
    }

    /// `fence`, of everything before with everything behind
    pub fn fence(&mut self) {
        self.word(0x0ff0_000f);
    }
}
