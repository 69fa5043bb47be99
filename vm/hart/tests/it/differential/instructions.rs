//! The unprivileged instructions, as patterns: bits that are given, and a mask that says which.

/// What else an instruction needs to be harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing: any operand will do.
    Free,
    /// A rounding mode that mostly exists.
    Rounded,
    /// An address in rs1 and an offset in the place that loads have.
    Load,
    /// An address in rs1 and an offset in the place that stores have.
    Store,
    /// An address in rs1, which must be aligned or else the instruction traps.
    Atomic,
    /// An address in rs1, of a cache block. Traps may report any address in it; QEMU has the first.
    Block,
    /// A good address in rs1: where there is no reservation, QEMU does not look at it.
    Conditional,
    /// An address in rs1, and a conditional store behind, as wide and to the same place: one of another
    /// width may succeed or not.
    Reserve,
    /// A conditional branch, ahead.
    Branch,
    /// A jump ahead.
    Jump,
    /// A jump ahead, to an address in rs1.
    JumpRegister,
    /// Sixteen bits, and any operand will do.
    Compressed,
    /// Sixteen bits, and an address in the short rs1.
    CompressedAccess,
    /// Sixteen bits, and an address in sp.
    CompressedStack,
    /// Sixteen bits of conditional branch, ahead.
    CompressedBranch,
    /// Sixteen bits of jump, ahead.
    CompressedJump,
    /// Sixteen bits of jump to an address in rd.
    CompressedJumpRegister,
}

#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    pub name: &'static str,
    pub bits: u32,
    pub mask: u32,
    pub shape: Shape,
}

/// Masks, by what is left free.
const RD_RS1_RS2: u32 = 0xfe00_707f;
const RD_RS1: u32 = 0xfff0_707f;
const RD_RS1_SHIFT: u32 = 0xfc00_707f;
const RD_RS1_IMM: u32 = 0x0000_707f;
const RD_IMM: u32 = 0x0000_007f;
const RD_RS1_RS2_RM: u32 = 0xfe00_007f;
const RD_RS1_RM: u32 = 0xfff0_007f;
const RD_RS1_RS2_RS3_RM: u32 = 0x0600_007f;
pub const RD_RS1_RS2_ORDER: u32 = 0xf800_707f;
const RD_RS1_ORDER: u32 = 0xf9f0_707f;

macro_rules! table {
    ($table:ident: $($shape:ident $mask:expr => { $($name:literal $bits:literal)* })*) => {
        pub const $table: &[Instruction] = &[$($(
            Instruction { name: $name, bits: $bits, mask: $mask, shape: Shape::$shape },
        )*)*];
    };
}

table! { INTEGER:
    Free RD_RS1_RS2 => {
        "add" 0x0000_0033 "sub" 0x4000_0033 "sll" 0x0000_1033 "slt" 0x0000_2033
        "sltu" 0x0000_3033 "xor" 0x0000_4033 "srl" 0x0000_5033 "sra" 0x4000_5033
        "or" 0x0000_6033 "and" 0x0000_7033
        "addw" 0x0000_003b "subw" 0x4000_003b "sllw" 0x0000_103b "srlw" 0x0000_503b "sraw" 0x4000_503b
        "mul" 0x0200_0033 "mulh" 0x0200_1033 "mulhsu" 0x0200_2033 "mulhu" 0x0200_3033
        "div" 0x0200_4033 "divu" 0x0200_5033 "rem" 0x0200_6033 "remu" 0x0200_7033
        "mulw" 0x0200_003b "divw" 0x0200_403b "divuw" 0x0200_503b "remw" 0x0200_603b "remuw" 0x0200_703b
        "sh1add" 0x2000_2033 "sh2add" 0x2000_4033 "sh3add" 0x2000_6033 "add.uw" 0x0800_003b
        "sh1add.uw" 0x2000_203b "sh2add.uw" 0x2000_403b "sh3add.uw" 0x2000_603b
        "andn" 0x4000_7033 "orn" 0x4000_6033 "xnor" 0x4000_4033
        "min" 0x0a00_4033 "minu" 0x0a00_5033 "max" 0x0a00_6033 "maxu" 0x0a00_7033
        "rol" 0x6000_1033 "ror" 0x6000_5033 "rolw" 0x6000_103b "rorw" 0x6000_503b
        "clmul" 0x0a00_1033 "clmulr" 0x0a00_2033 "clmulh" 0x0a00_3033
        "bclr" 0x4800_1033 "bext" 0x4800_5033 "binv" 0x6800_1033 "bset" 0x2800_1033
        "czero.eqz" 0x0e00_5033 "czero.nez" 0x0e00_7033
        "slliw" 0x0000_101b "srliw" 0x0000_501b "sraiw" 0x4000_501b "roriw" 0x6000_501b
    }
    Free RD_RS1_SHIFT => {
        "slli" 0x0000_1013 "srli" 0x0000_5013 "srai" 0x4000_5013 "rori" 0x6000_5013 "slli.uw" 0x0800_101b
        "bclri" 0x4800_1013 "bexti" 0x4800_5013 "binvi" 0x6800_1013 "bseti" 0x2800_1013
    }
    Free RD_RS1 => {
        "clz" 0x6000_1013 "ctz" 0x6010_1013 "cpop" 0x6020_1013 "sext.b" 0x6040_1013 "sext.h" 0x6050_1013
        "clzw" 0x6000_101b "ctzw" 0x6010_101b "cpopw" 0x6020_101b "zext.h" 0x0800_403b
        "orc.b" 0x2870_5013 "rev8" 0x6b80_5013
    }
    Free RD_RS1_IMM => {
        "addi" 0x0000_0013 "slti" 0x0000_2013 "sltiu" 0x0000_3013 "xori" 0x0000_4013
        "ori" 0x0000_6013 "andi" 0x0000_7013 "addiw" 0x0000_001b "fence" 0x0000_000f
    }
    Free RD_IMM => { "lui" 0x0000_0037 "auipc" 0x0000_0017 }
    Free u32::MAX => { "fence.i" 0x0000_100f }
}

table! { MEMORY:
    Load RD_RS1_IMM => {
        "lb" 0x0000_0003 "lh" 0x0000_1003 "lw" 0x0000_2003 "ld" 0x0000_3003
        "lbu" 0x0000_4003 "lhu" 0x0000_5003 "lwu" 0x0000_6003 "flw" 0x0000_2007 "fld" 0x0000_3007
    }
    Store RD_RS1_IMM => {
        "sb" 0x0000_0023 "sh" 0x0000_1023 "sw" 0x0000_2023 "sd" 0x0000_3023
        "fsw" 0x0000_2027 "fsd" 0x0000_3027
    }
    Block 0xfff0_7fff => { "cbo.inval" 0x0000_200f "cbo.clean" 0x0010_200f "cbo.flush" 0x0020_200f "cbo.zero" 0x0040_200f }
}

table! { ATOMIC:
    Atomic RD_RS1_RS2_ORDER => {
        "amoadd.w" 0x0000_202f "amoswap.w" 0x0800_202f "amoxor.w" 0x2000_202f
        "amoor.w" 0x4000_202f "amoand.w" 0x6000_202f "amomin.w" 0x8000_202f "amomax.w" 0xa000_202f
        "amominu.w" 0xc000_202f "amomaxu.w" 0xe000_202f
        "amoadd.d" 0x0000_302f "amoswap.d" 0x0800_302f "amoxor.d" 0x2000_302f
        "amoor.d" 0x4000_302f "amoand.d" 0x6000_302f "amomin.d" 0x8000_302f "amomax.d" 0xa000_302f
        "amominu.d" 0xc000_302f "amomaxu.d" 0xe000_302f
    }
    Conditional RD_RS1_RS2_ORDER => { "sc.w" 0x1800_202f "sc.d" 0x1800_302f }
    Reserve RD_RS1_ORDER => { "lr.w" 0x1000_202f "lr.d" 0x1000_302f }
}

table! { FLOAT:
    Rounded RD_RS1_RS2_RM => {
        "fadd.s" 0x0000_0053 "fsub.s" 0x0800_0053 "fmul.s" 0x1000_0053 "fdiv.s" 0x1800_0053
        "fadd.d" 0x0200_0053 "fsub.d" 0x0a00_0053 "fmul.d" 0x1200_0053 "fdiv.d" 0x1a00_0053
    }
    Rounded RD_RS1_RS2_RS3_RM => {
        "fmadd.s" 0x0000_0043 "fmsub.s" 0x0000_0047 "fnmsub.s" 0x0000_004b "fnmadd.s" 0x0000_004f
        "fmadd.d" 0x0200_0043 "fmsub.d" 0x0200_0047 "fnmsub.d" 0x0200_004b "fnmadd.d" 0x0200_004f
    }
    Rounded RD_RS1_RM => {
        "fsqrt.s" 0x5800_0053 "fsqrt.d" 0x5a00_0053 "fcvt.s.d" 0x4010_0053 "fcvt.d.s" 0x4200_0053
        "fcvt.w.s" 0xc000_0053 "fcvt.wu.s" 0xc010_0053 "fcvt.l.s" 0xc020_0053 "fcvt.lu.s" 0xc030_0053
        "fcvt.w.d" 0xc200_0053 "fcvt.wu.d" 0xc210_0053 "fcvt.l.d" 0xc220_0053 "fcvt.lu.d" 0xc230_0053
        "fcvt.s.w" 0xd000_0053 "fcvt.s.wu" 0xd010_0053 "fcvt.s.l" 0xd020_0053 "fcvt.s.lu" 0xd030_0053
        "fcvt.d.w" 0xd200_0053 "fcvt.d.wu" 0xd210_0053 "fcvt.d.l" 0xd220_0053 "fcvt.d.lu" 0xd230_0053
    }
    Free RD_RS1_RS2 => {
        "fsgnj.s" 0x2000_0053 "fsgnjn.s" 0x2000_1053 "fsgnjx.s" 0x2000_2053
        "fsgnj.d" 0x2200_0053 "fsgnjn.d" 0x2200_1053 "fsgnjx.d" 0x2200_2053
        "fmin.s" 0x2800_0053 "fmax.s" 0x2800_1053 "fmin.d" 0x2a00_0053 "fmax.d" 0x2a00_1053
        "fle.s" 0xa000_0053 "flt.s" 0xa000_1053 "feq.s" 0xa000_2053
        "fle.d" 0xa200_0053 "flt.d" 0xa200_1053 "feq.d" 0xa200_2053
    }
    Free RD_RS1 => {
        "fclass.s" 0xe000_1053 "fclass.d" 0xe200_1053 "fmv.x.w" 0xe000_0053 "fmv.x.d" 0xe200_0053
        "fmv.w.x" 0xf000_0053 "fmv.d.x" 0xf200_0053
    }
}

// Not for programs: where nothing reads the result of `froundnx`, QEMU forgets its flags.
table! { ADDITIONAL:
    Free RD_RS1_RS2 => {
        "fminm.s" 0x2800_2053 "fmaxm.s" 0x2800_3053 "fminm.d" 0x2a00_2053 "fmaxm.d" 0x2a00_3053
        "fleq.s" 0xa000_4053 "fltq.s" 0xa000_5053 "fleq.d" 0xa200_4053 "fltq.d" 0xa200_5053
    }
    Free RD_RS1 => { "fli.s" 0xf010_0053 "fli.d" 0xf210_0053 "fcvtmod.w.d" 0xc280_1053 }
    Rounded RD_RS1_RM => {
        "fround.s" 0x4040_0053 "froundnx.s" 0x4050_0053 "fround.d" 0x4240_0053 "froundnx.d" 0x4250_0053
    }
}

table! { CSR:
    Free RD_RS1 => {
        "csrrw fflags" 0x0010_1073 "csrrs fflags" 0x0010_2073 "csrrc fflags" 0x0010_3073
        "csrrwi frm" 0x0020_5073 "csrrsi frm" 0x0020_6073 "csrrci frm" 0x0020_7073
        "csrrw fcsr" 0x0030_1073 "csrrc fcsr" 0x0030_3073 "csrrci fcsr" 0x0030_7073
    }
}

table! { CONTROL:
    Branch RD_RS1_IMM => {
        "beq" 0x0000_0063 "bne" 0x0000_1063 "blt" 0x0000_4063
        "bge" 0x0000_5063 "bltu" 0x0000_6063 "bgeu" 0x0000_7063
    }
    Jump RD_IMM => { "jal" 0x0000_006f }
    JumpRegister RD_RS1_IMM => { "jalr" 0x0000_0067 }
    CompressedBranch 0xe003 => { "c.beqz" 0xc001 "c.bnez" 0xe001 }
    CompressedJump 0xe003 => { "c.j" 0xa001 }
    CompressedJumpRegister 0xf07f => { "c.jr" 0x8002 "c.jalr" 0x9002 }
}

table! { COMPRESSED:
    Compressed 0xe003 => {
        "c.addi4spn" 0x0000 "c.addi" 0x0001 "c.addiw" 0x2001 "c.li" 0x4001 "c.lui" 0x6001 "c.slli" 0x0002
    }
    Compressed 0xec03 => { "c.srli" 0x8001 "c.srai" 0x8401 "c.andi" 0x8801 }
    Compressed 0xfc63 => {
        "c.sub" 0x8c01 "c.xor" 0x8c21 "c.or" 0x8c41 "c.and" 0x8c61 "c.subw" 0x9c01 "c.addw" 0x9c21
    }
    // With rs2, or they would be jumps and c.ebreak.
    Compressed 0xf007 => { "c.mv" 0x8006 "c.add" 0x9006 }
    CompressedAccess 0xe003 => {
        "c.fld" 0x2000 "c.lw" 0x4000 "c.ld" 0x6000 "c.fsd" 0xa000 "c.sw" 0xc000 "c.sd" 0xe000
    }
    CompressedStack 0xe003 => {
        "c.fldsp" 0x2002 "c.lwsp" 0x4002 "c.ldsp" 0x6002 "c.fsdsp" 0xa002 "c.swsp" 0xc002 "c.sdsp" 0xe002
    }
}
