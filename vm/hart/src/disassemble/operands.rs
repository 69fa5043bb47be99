//! Operands as text: what the letters of a pattern stand for.

use super::patterns::Pattern;
use crate::csr;
use crate::decode::fields::Fields;

const INTEGER: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4",
    "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4",
    "t5", "t6",
];

const FLOAT: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2",
    "fa3", "fa4", "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9",
    "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
];

const ROUNDING: [&str; 8] = ["rne", "rtz", "rdn", "rup", "rmm", "inv", "inv", "dyn"];

/// The constants of `fli` (unpriv "Zfa").
const CONSTANTS: [&str; 32] = [
    "-0x1p+0", "min", "0x1p-16", "0x1p-15", "0x1p-8", "0x1p-7", "0x1p-4", "0x1p-3", "0x1p-2",
    "0x1.4p-2", "0x1.8p-2", "0x1.cp-2", "0x1p-1", "0x1.4p-1", "0x1.8p-1", "0x1.cp-1", "0x1p+0",
    "0x1.4p+0", "0x1.8p+0", "0x1.cp+0", "0x1p+1", "0x1.4p+1", "0x1.8p+1", "0x1p+2", "0x1p+3",
    "0x1p+4", "0x1p+7", "0x1p+8", "0x1p+15", "0x1p+16", "inf", "nan",
];

/// What the name of an atomic instruction ends with.
pub(super) fn ordering(bits: u32, pattern: &Pattern) -> &'static str {
    const ATOMIC: u32 = 0x2f;
    match bits >> 25 & 3 {
        _ if pattern.bits & 0x7f != ATOMIC => "",
        0 => "",
        1 => ".rl",
        2 => ".aq",
        _ => ".aq.rl",
    }
}

/// The operands, and the address that they lead to.
///
/// Of the letters, `d`, `s` and `t` are rd, rs1 and rs2, in capitals floating-point ones, with `R`
/// for rs3. The others are in the order of the match below; what is no letter stands for itself.
pub(super) fn write(bits: u32, operands: &str, address: u64) -> (String, Option<u64>) {
    let fields = Fields(bits);
    let mut text = String::new();
    let mut target = None;
    for letter in operands.chars() {
        let piece = match letter {
            'd' => integer(fields.rd()),
            's' => integer(fields.rs1()),
            't' => integer(fields.rs2()),
            'D' => float(fields.rd()),
            'S' => float(fields.rs1()),
            'T' => float(fields.rs2()),
            'R' => float(fields.rs3()),
            'm' => ROUNDING[fields.funct3() as usize].into(),
            'i' => fields.imm_i().to_string(),
            'j' => fields.imm_s().to_string(),
            'h' => (fields.funct12() & 0x3f).to_string(),
            'z' => fields.rs1().to_string(),
            'c' => control(fields.funct12() as u16),
            'k' => CONSTANTS[usize::from(fields.rs1())].into(),
            'p' => devices(fields.funct12() >> 4),
            'q' => devices(fields.funct12()),
            'u' => (fields.imm_u() >> 12).to_string(),
            'U' => {
                target = Some(address.wrapping_add_signed(fields.imm_u().into()));
                (fields.imm_u() >> 12).to_string()
            }
            'b' => {
                target = Some(address.wrapping_add_signed(fields.imm_b().into()));
                fields.imm_b().to_string()
            }
            'a' => {
                target = Some(address.wrapping_add_signed(fields.imm_j().into()));
                fields.imm_j().to_string()
            }
            other => other.to_string(),
        };
        text.push_str(&piece);
    }
    (text, target)
}

fn integer(register: u8) -> String {
    INTEGER[usize::from(register & 31)].into()
}

fn float(register: u8) -> String {
    FLOAT[usize::from(register & 31)].into()
}

fn control(number: u16) -> String {
    csr::name(number).unwrap_or_else(|| format!("0x{number:03x}"))
}

/// What a fence orders: device input and output, reads, writes.
fn devices(set: u32) -> String {
    let letters = [(8, 'i'), (4, 'o'), (2, 'r'), (1, 'w')];
    let present = letters.iter().filter(|(bit, _)| set & bit != 0);
    present.map(|(_, letter)| letter).collect()
}
