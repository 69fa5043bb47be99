//! Instructions as text, as QEMU writes them: `x/i` in the human monitor, and `-d in_asm`.
//!
//! A compressed instruction is shown as the full one it stands for, and some full ones as the
//! assembler's pseudo-instructions, those that QEMU has. Where QEMU does not know an instruction
//! (cache blocks, `sinval.vma`) or leaves something out (`jalr zero,ra,4`), this tells what is
//! executed. The instructions are those that a hart can have; others are `illegal`.

mod operands;
mod patterns;
#[cfg(test)]
mod tests;

use crate::decode;
use crate::isa::Isa;
use patterns::PATTERNS;

/// Columns of the instruction's bits, and of its name.
const BITS_WIDTH: usize = 18;
const NAME_WIDTH: usize = 24;

/// An instruction as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disassembled {
    /// How many bytes it has.
    pub length: u8,
    /// Name, operands and, where one is told, target.
    pub text: String,
    bits: u64,
    address: u64,
}

/// The line that shows it: address, bits, text.
impl std::fmt::Display for Disassembled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = 2 * usize::from(self.length);
        let bits = format!("{:0digits$x}", self.bits);
        write!(
            f,
            "0x{:08x}:  {bits:BITS_WIDTH$}{}",
            self.address, self.text
        )
    }
}

/// The instruction at `address` that begins with the lowest of `bits`.
#[must_use]
pub fn disassemble(address: u64, bits: u64) -> Disassembled {
    let length = length(bits);
    let bits = bits & (u64::MAX >> (64 - 8 * u32::from(length)));
    let full = match length {
        2 => decode::expand(bits as u16, &Isa::default()),
        4 => Some(bits as u32),
        _ => None,
    };
    let text = full.and_then(|full| describe(full, length, address));
    Disassembled {
        length,
        text: text.unwrap_or_else(|| format!("{:NAME_WIDTH$}", "illegal")),
        bits,
        address,
    }
}

/// How many bytes an instruction has that begins with these bits (unpriv §1.5).
fn length(bits: u64) -> u8 {
    match bits {
        _ if bits & 3 != 3 => 2,
        _ if bits & 0x1f != 0x1f => 4,
        _ if bits & 0x3f == 0x1f => 6,
        _ if bits & 0x7f == 0x3f => 8,
        // Longer ones are not defined; the first halfword is all that is known of them.
        _ => 2,
    }
}

fn describe(bits: u32, length: u8, address: u64) -> Option<String> {
    let pattern = PATTERNS
        .iter()
        .find(|pattern| pattern.matches(bits, length == 2))?;
    let name = format!("{}{}", pattern.name, operands::ordering(bits, pattern));
    let (operands, target) = operands::write(bits, pattern.operands, address);
    let Some(target) = target else {
        return Some(format!("{name:NAME_WIDTH$}{operands}"));
    };
    Some(format!(
        "{name:NAME_WIDTH$}{operands:NAME_WIDTH$}# {target:#x}"
    ))
}
