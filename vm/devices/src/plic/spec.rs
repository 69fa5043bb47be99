//! The register map (RISC-V PLIC 1.0 §3).

use super::WORDS;

/// Interrupt sources, counting source 0, which does not exist.
pub const SOURCES: usize = 96;
/// The highest priority; all of its low bits are implemented.
pub const PRIORITIES: u8 = 7;
/// The size of the register window.
pub const SIZE: u64 = 0x60_0000;

const PENDING: u64 = 0x1000;
const ENABLE: u64 = 0x2000;
const ENABLE_STRIDE: u64 = 0x80;
const CONTEXT: u64 = 0x20_0000;
const CONTEXT_STRIDE: u64 = 0x1000;

/// What a 32-bit word of the window is. Indices are within bounds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// The priority of a source.
    Priority(usize),
    /// A word of pending bits.
    Pending(usize),
    /// A context and the word of its enable bits.
    Enable(usize, usize),
    /// The threshold of a context.
    Threshold(usize),
    /// Claim and completion of a context.
    Claim(usize),
    /// Nothing.
    None,
}

impl Register {
    pub(super) fn at(offset: u64, contexts: usize) -> Self {
        if !offset.is_multiple_of(4) {
            return Self::None;
        }
        match offset {
            0..PENDING => Some(offset / 4)
                .filter(|source| *source < SOURCES as u64)
                .map_or(Self::None, |source| Self::Priority(source as usize)),
            PENDING..ENABLE => bit_word(offset - PENDING).map_or(Self::None, Self::Pending),
            ENABLE..CONTEXT => Self::enable(offset - ENABLE, contexts),
            _ => Self::context(offset - CONTEXT, contexts),
        }
    }

    fn enable(offset: u64, contexts: usize) -> Self {
        let context = (offset / ENABLE_STRIDE) as usize;
        match bit_word(offset % ENABLE_STRIDE) {
            Some(word) if context < contexts => Self::Enable(context, word),
            _ => Self::None,
        }
    }

    fn context(offset: u64, contexts: usize) -> Self {
        let context = (offset / CONTEXT_STRIDE) as usize;
        match offset % CONTEXT_STRIDE {
            _ if context >= contexts => Self::None,
            0 => Self::Threshold(context),
            4 => Self::Claim(context),
            _ => Self::None,
        }
    }
}

fn bit_word(offset: u64) -> Option<usize> {
    let word = (offset / 4) as usize;
    (word < WORDS).then_some(word)
}
