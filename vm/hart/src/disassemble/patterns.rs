//! The instructions as patterns: the bits that tell one, and the operands that the rest are.

/// An instruction.
pub(super) struct Pattern {
    pub(super) name: &'static str,
    pub(super) bits: u32,
    mask: u32,
    /// What [`super::operands::write`] makes text of.
    pub(super) operands: &'static str,
    only: Only,
}

/// What else must be so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    /// Nothing.
    Any,
    /// It came as a compressed instruction.
    Short,
    /// rs1 is rs2.
    Same,
}

impl Pattern {
    pub(super) fn matches(&self, bits: u32, short: bool) -> bool {
        let further = match self.only {
            Only::Any => true,
            Only::Short => short,
            Only::Same => bits >> 15 & 31 == bits >> 20 & 31,
        };
        bits & self.mask == self.bits && further
    }
}

/// Masks, by what is left free.
const NONE: u32 = u32::MAX;
const D: u32 = 0xffff_f07f;
const S: u32 = 0xfff0_7fff;
const ST: u32 = 0xfe00_7fff;
const DT: u32 = 0xfe0f_f07f;
const DS: u32 = 0xfff0_707f;
const DST: u32 = 0xfe00_707f;
const DSH: u32 = 0xfc00_707f;
const DSI: u32 = 0x0000_707f;
const SB: u32 = 0x01f0_707f;
const TB: u32 = 0x000f_f07f;
const I: u32 = 0x0000_0fff;
const U: u32 = 0x0000_007f;
const DSM: u32 = 0xfff0_007f;
const DSTM: u32 = 0xfe00_007f;
const DSTRM: u32 = 0x0600_007f;
const DSO: u32 = 0xf9f0_707f;
const DSTO: u32 = 0xf800_707f;
const FENCE: u32 = 0x0000_707f;

macro_rules! patterns {
    ($($only:ident $mask:ident $operands:literal => { $($name:literal $bits:literal)* })*) => {
        /// All of them; the first that matches is meant.
        pub(super) const PATTERNS: &[Pattern] = &[$($(
            Pattern {
                name: $name,
                bits: $bits,
                mask: $mask,
                operands: $operands,
                only: Only::$only,
            },
        )*)*];
    };
}

patterns! {
    // Pseudo-instructions.
    Any NONE "" => { "nop" 0x0000_0013 "pause" 0x0100_000f }
    Short DT "d,t" => { "mv" 0x0000_0033 }
    Any DS "d,s" => {
        "mv" 0x0000_0013 "not" 0xfff0_4013 "sext.w" 0x0000_001b "seqz" 0x0010_3013
        "sltz" 0x0000_2033
    }
    Any DT "d,t" => {
        "neg" 0x4000_0033 "negw" 0x4000_003b "snez" 0x0000_3033 "sgtz" 0x0000_2033
    }
    Same DST "D,S" => {
        "fmv.s" 0x2000_0053 "fneg.s" 0x2000_1053 "fabs.s" 0x2000_2053
        "fmv.d" 0x2200_0053 "fneg.d" 0x2200_1053 "fabs.d" 0x2200_2053
    }
    Any SB "s,b" => { "beqz" 0x0000_0063 "bnez" 0x0000_1063 "bltz" 0x0000_4063 }
    Any TB "t,b" => { "blez" 0x0000_5063 "bgtz" 0x0000_4063 }
    Any SB "s,b" => { "bgez" 0x0000_5063 }
    Any DSI "t,s,b" => {
        "bgt" 0x0000_4063 "ble" 0x0000_5063 "bgtu" 0x0000_6063 "bleu" 0x0000_7063
    }
    Any I "a" => { "j" 0x0000_006f }
    Any NONE "" => { "ret" 0x0000_8067 }
    Any S "s" => { "jr" 0x0000_0067 }
    Any D "d" => {
        "rdcycle" 0xc000_2073 "rdtime" 0xc010_2073 "rdinstret" 0xc020_2073
        "frflags" 0x0010_2073 "frrm" 0x0020_2073 "frcsr" 0x0030_2073
    }
    Any DS "d,s" => { "fsflags" 0x0010_1073 "fsrm" 0x0020_1073 "fscsr" 0x0030_1073 }
    Any DS "d,z" => { "fsflagsi" 0x0010_5073 "fsrmi" 0x0020_5073 }

    // RV64I.
    Any U "d,u" => { "lui" 0x0000_0037 }
    Any U "d,U" => { "auipc" 0x0000_0017 }
    Any U "d,a" => { "jal" 0x0000_006f }
    Any DSI "d,s,i" => {
        "jalr" 0x0000_0067
        "addi" 0x0000_0013 "slti" 0x0000_2013 "sltiu" 0x0000_3013 "xori" 0x0000_4013
        "ori" 0x0000_6013 "andi" 0x0000_7013 "addiw" 0x0000_001b
    }
    Any DSI "s,t,b" => { "beq" 0x0000_0063 "bne" 0x0000_1063 }
    Any DSI "d,i(s)" => {
        "lb" 0x0000_0003 "lh" 0x0000_1003 "lw" 0x0000_2003 "ld" 0x0000_3003
        "lbu" 0x0000_4003 "lhu" 0x0000_5003 "lwu" 0x0000_6003
    }
    Any DSI "t,j(s)" => { "sb" 0x0000_0023 "sh" 0x0000_1023 "sw" 0x0000_2023 "sd" 0x0000_3023 }
    Any DSH "d,s,h" => { "slli" 0x0000_1013 "srli" 0x0000_5013 "srai" 0x4000_5013 }
    Any DST "d,s,h" => { "slliw" 0x0000_101b "srliw" 0x0000_501b "sraiw" 0x4000_501b }
    Any DST "d,s,t" => {
        "add" 0x0000_0033 "sub" 0x4000_0033 "sll" 0x0000_1033 "slt" 0x0000_2033
        "sltu" 0x0000_3033 "xor" 0x0000_4033 "srl" 0x0000_5033 "sra" 0x4000_5033
        "or" 0x0000_6033 "and" 0x0000_7033
        "addw" 0x0000_003b "subw" 0x4000_003b "sllw" 0x0000_103b "srlw" 0x0000_503b
        "sraw" 0x4000_503b
    }
    Any FENCE "p,q" => { "fence" 0x0000_000f }
    Any FENCE "" => { "fence.i" 0x0000_100f }
    Any NONE "" => { "ecall" 0x0000_0073 "ebreak" 0x0010_0073 }

    // M.
    Any DST "d,s,t" => {
        "mul" 0x0200_0033 "mulh" 0x0200_1033 "mulhsu" 0x0200_2033 "mulhu" 0x0200_3033
        "div" 0x0200_4033 "divu" 0x0200_5033 "rem" 0x0200_6033 "remu" 0x0200_7033
        "mulw" 0x0200_003b "divw" 0x0200_403b "divuw" 0x0200_503b "remw" 0x0200_603b
        "remuw" 0x0200_703b
    }

    // A.
    Any DSO "d,(s)" => { "lr.w" 0x1000_202f "lr.d" 0x1000_302f }
    Any DSTO "d,t,(s)" => {
        "sc.w" 0x1800_202f "amoswap.w" 0x0800_202f "amoadd.w" 0x0000_202f "amoxor.w" 0x2000_202f
        "amoor.w" 0x4000_202f "amoand.w" 0x6000_202f "amomin.w" 0x8000_202f
        "amomax.w" 0xa000_202f "amominu.w" 0xc000_202f "amomaxu.w" 0xe000_202f
        "sc.d" 0x1800_302f "amoswap.d" 0x0800_302f "amoadd.d" 0x0000_302f "amoxor.d" 0x2000_302f
        "amoor.d" 0x4000_302f "amoand.d" 0x6000_302f "amomin.d" 0x8000_302f
        "amomax.d" 0xa000_302f "amominu.d" 0xc000_302f "amomaxu.d" 0xe000_302f
    }

    // F and D.
    Any DSI "D,i(s)" => { "flw" 0x0000_2007 "fld" 0x0000_3007 }
    Any DSI "T,j(s)" => { "fsw" 0x0000_2027 "fsd" 0x0000_3027 }
    Any DSTRM "m,D,S,T,R" => {
        "fmadd.s" 0x0000_0043 "fmsub.s" 0x0000_0047 "fnmsub.s" 0x0000_004b "fnmadd.s" 0x0000_004f
        "fmadd.d" 0x0200_0043 "fmsub.d" 0x0200_0047 "fnmsub.d" 0x0200_004b "fnmadd.d" 0x0200_004f
    }
    Any DSTM "m,D,S,T" => {
        "fadd.s" 0x0000_0053 "fsub.s" 0x0800_0053 "fmul.s" 0x1000_0053 "fdiv.s" 0x1800_0053
        "fadd.d" 0x0200_0053 "fsub.d" 0x0a00_0053 "fmul.d" 0x1200_0053 "fdiv.d" 0x1a00_0053
    }
    Any DSM "m,D,S" => {
        "fsqrt.s" 0x5800_0053 "fsqrt.d" 0x5a00_0053 "fcvt.s.d" 0x4010_0053 "fcvt.d.s" 0x4200_0053
    }
    Any DSM "m,d,S" => {
        "fcvt.w.s" 0xc000_0053 "fcvt.wu.s" 0xc010_0053 "fcvt.l.s" 0xc020_0053
        "fcvt.lu.s" 0xc030_0053 "fcvt.w.d" 0xc200_0053 "fcvt.wu.d" 0xc210_0053
        "fcvt.l.d" 0xc220_0053 "fcvt.lu.d" 0xc230_0053
    }
    Any DSM "m,D,s" => {
        "fcvt.s.w" 0xd000_0053 "fcvt.s.wu" 0xd010_0053 "fcvt.s.l" 0xd020_0053
        "fcvt.s.lu" 0xd030_0053 "fcvt.d.w" 0xd200_0053 "fcvt.d.wu" 0xd210_0053
        "fcvt.d.l" 0xd220_0053 "fcvt.d.lu" 0xd230_0053
    }
    Any DST "D,S,T" => {
        "fsgnj.s" 0x2000_0053 "fsgnjn.s" 0x2000_1053 "fsgnjx.s" 0x2000_2053
        "fsgnj.d" 0x2200_0053 "fsgnjn.d" 0x2200_1053 "fsgnjx.d" 0x2200_2053
        "fmin.s" 0x2800_0053 "fmax.s" 0x2800_1053 "fmin.d" 0x2a00_0053 "fmax.d" 0x2a00_1053
    }
    Any DST "d,S,T" => {
        "fle.s" 0xa000_0053 "flt.s" 0xa000_1053 "feq.s" 0xa000_2053
        "fle.d" 0xa200_0053 "flt.d" 0xa200_1053 "feq.d" 0xa200_2053
    }
    Any DS "d,S" => {
        "fclass.s" 0xe000_1053 "fclass.d" 0xe200_1053 "fmv.x.s" 0xe000_0053 "fmv.x.d" 0xe200_0053
    }
    Any DS "D,s" => { "fmv.s.x" 0xf000_0053 "fmv.d.x" 0xf200_0053 }

    // Zfa.
    Any DS "D,k" => { "fli.s" 0xf010_0053 "fli.d" 0xf210_0053 }
    Any DST "D,S,T" => {
        "fminm.s" 0x2800_2053 "fmaxm.s" 0x2800_3053 "fminm.d" 0x2a00_2053 "fmaxm.d" 0x2a00_3053
    }
    Any DSM "m,D,S" => {
        "fround.s" 0x4040_0053 "froundnx.s" 0x4050_0053
        "fround.d" 0x4240_0053 "froundnx.d" 0x4250_0053
    }
    Any DS "m,d,S" => { "fcvtmod.w.d" 0xc280_1053 }
    Any DST "d,S,T" => {
        "fleq.s" 0xa000_4053 "fltq.s" 0xa000_5053 "fleq.d" 0xa200_4053 "fltq.d" 0xa200_5053
    }

    // Zba, Zbb, Zbc, Zbs, Zicond.
    Any DST "d,s,t" => {
        "sh1add" 0x2000_2033 "sh2add" 0x2000_4033 "sh3add" 0x2000_6033 "add.uw" 0x0800_003b
        "sh1add.uw" 0x2000_203b "sh2add.uw" 0x2000_403b "sh3add.uw" 0x2000_603b
        "andn" 0x4000_7033 "orn" 0x4000_6033 "xnor" 0x4000_4033
        "min" 0x0a00_4033 "minu" 0x0a00_5033 "max" 0x0a00_6033 "maxu" 0x0a00_7033
        "rol" 0x6000_1033 "ror" 0x6000_5033 "rolw" 0x6000_103b "rorw" 0x6000_503b
        "clmul" 0x0a00_1033 "clmulr" 0x0a00_2033 "clmulh" 0x0a00_3033
        "bclr" 0x4800_1033 "bext" 0x4800_5033 "binv" 0x6800_1033 "bset" 0x2800_1033
        "czero.eqz" 0x0e00_5033 "czero.nez" 0x0e00_7033
    }
    Any DSH "d,s,h" => {
        "rori" 0x6000_5013 "slli.uw" 0x0800_101b "bclri" 0x4800_1013 "bexti" 0x4800_5013
        "binvi" 0x6800_1013 "bseti" 0x2800_1013
    }
    Any DST "d,s,h" => { "roriw" 0x6000_501b }
    Any DS "d,s" => {
        "clz" 0x6000_1013 "ctz" 0x6010_1013 "cpop" 0x6020_1013 "sext.b" 0x6040_1013
        "sext.h" 0x6050_1013 "clzw" 0x6000_101b "ctzw" 0x6010_101b "cpopw" 0x6020_101b
        "zext.h" 0x0800_403b "orc.b" 0x2870_5013 "rev8" 0x6b80_5013
    }

    // Zicsr, Zicbom, Zicboz, Zawrs, and the privileged ones.
    Any DSI "d,c,s" => { "csrrw" 0x0000_1073 "csrrs" 0x0000_2073 "csrrc" 0x0000_3073 }
    Any DSI "d,c,z" => { "csrrwi" 0x0000_5073 "csrrsi" 0x0000_6073 "csrrci" 0x0000_7073 }
    Any S "(s)" => {
        "cbo.inval" 0x0000_200f "cbo.clean" 0x0010_200f "cbo.flush" 0x0020_200f
        "cbo.zero" 0x0040_200f
    }
    Any NONE "" => {
        "wrs.nto" 0x00d0_0073 "wrs.sto" 0x01d0_0073 "wfi" 0x1050_0073 "sret" 0x1020_0073
        "mret" 0x3020_0073 "sfence.w.inval" 0x1800_0073 "sfence.inval.ir" 0x1810_0073
    }
    Any ST "s,t" => { "sfence.vma" 0x1200_0073 "sinval.vma" 0x1600_0073 }
}
