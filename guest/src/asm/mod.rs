//! A small RISC-V assembler: a method for each instruction, labels, and the usual pseudo-instructions.
//!
//! Programs are position-independent: whatever refers to a label is relative to the program counter.

pub mod csr;
mod encode;
mod instructions;
mod pseudo;
mod register;

use encode::Field;
pub use register::*;

/// A place in the program, known now or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// Why a program cannot be assembled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number does not fit into its field.
    #[error("{value} does not fit into the instruction at {at:#x}")]
    Range {
        /// Where the instruction is.
        at: usize,
        /// The number.
        value: i64,
    },
    /// A label is used and never bound.
    #[error("the label used at {at:#x} is not bound")]
    Unbound {
        /// Where it is used.
        at: usize,
    },
}

/// A program in the making.
#[derive(Debug, Default)]
pub struct Assembler {
    image: Vec<u8>,
    labels: Vec<Option<usize>>,
    fixups: Vec<Fixup>,
    error: Option<Error>,
}

/// An instruction or a number that waits for the place of its label.
#[derive(Clone, Copy, Debug)]
struct Fixup {
    at: usize,
    label: Label,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A 13-bit distance.
    Branch,
    /// A 21-bit distance.
    Jump,
    /// `auipc` and `addi`.
    Address,
    /// 64 bits of distance from the start of the image.
    Offset,
}

impl Assembler {
    /// An empty program.
    pub fn new() -> Self {
        Self::default()
    }

    /// A label to be bound later.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Puts a label at the current place.
    pub fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.image.len());
    }

    /// A new label at the current place.
    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// How many bytes the program has so far.
    pub fn offset(&self) -> usize {
        self.image.len()
    }

    /// Places bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.image.extend(bytes);
    }

    /// Places a word, which may be an instruction.
    pub fn word(&mut self, word: u32) {
        self.bytes(&word.to_le_bytes());
    }

    /// Places a doubleword.
    pub fn doubleword(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    /// Places a doubleword: how far the label is from the start of the image.
    pub fn offset_of(&mut self, label: Label) {
        self.fixup(label, Kind::Offset);
        self.doubleword(0);
    }

    /// Places zeros until the next multiple of `alignment`.
    pub fn align(&mut self, alignment: usize) {
        self.image
            .resize(self.image.len().next_multiple_of(alignment), 0);
    }

    /// Places zeros.
    pub fn zeros(&mut self, count: usize) {
        self.image.resize(self.image.len() + count, 0);
    }

    /// The program's bytes.
    ///
    /// # Errors
    /// The first number that does not fit, or the first label that is nowhere.
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        for fixup in std::mem::take(&mut self.fixups) {
            self.resolve(fixup)?;
        }
        Ok(self.image)
    }

    fn branch(&mut self, instruction: u32, target: Label) {
        self.fixup(target, Kind::Branch);
        self.word(instruction);
    }

    fn jump(&mut self, instruction: u32, target: Label) {
        self.fixup(target, Kind::Jump);
        self.word(instruction);
    }

    fn fixup(&mut self, label: Label, kind: Kind) {
        let at = self.image.len();
        self.fixups.push(Fixup { at, label, kind });
    }

    /// The bits that stand for `value`; one that does not fit is told at the end.
    fn field(&mut self, value: i64, field: Field) -> u32 {
        let at = self.image.len();
        field.encode(value).unwrap_or_else(|| {
            self.error.get_or_insert(Error::Range { at, value });
            0
        })
    }

    fn resolve(&mut self, fixup: Fixup) -> Result<(), Error> {
        let Fixup { at, label, kind } = fixup;
        let target = self.labels[label.0].ok_or(Error::Unbound { at })?;
        let distance = target as i64 - at as i64;
        let encode = |field: Field| {
            let range = Error::Range {
                at,
                value: distance,
            };
            field.encode(distance).ok_or(range)
        };
        match kind {
            Kind::Branch => self.merge(at, encode::b(encode(Field::signed(13))?)),
            Kind::Jump => self.merge(at, encode::j(encode(Field::signed(21))?)),
            Kind::Address => {
                let (high, low) = halves(encode(Field::signed(32))?);
                self.merge(at, high << 12);
                self.merge(at + 4, low << 20);
            }
            Kind::Offset => self.image[at..at + 8].copy_from_slice(&(target as u64).to_le_bytes()),
        }
        Ok(())
    }

    fn merge(&mut self, at: usize, bits: u32) {
        for (byte, more) in self.image[at..].iter_mut().zip(bits.to_le_bytes()) {
            *byte |= more;
        }
    }
}

/// What `lui` or `auipc` adds, in bits 19 to 0, and what a sign-extended 12-bit immediate adds to it.
fn halves(value: u32) -> (u32, u32) {
    (value.wrapping_add(0x800) >> 12, value & 0xfff)
}

#[cfg(test)]
mod tests;
