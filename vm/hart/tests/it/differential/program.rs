//! Random programs: straight ahead, with jumps over what follows, on registers and a little memory of their own.

use super::instructions::*;
use crate::asm::{addi, auipc};

/// A sequence of numbers that depends on its seed only (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// An integer, often near a limit.
    pub fn integer(&mut self) -> u64 {
        let bit = self.below(64);
        match self.below(4) {
            0 => self.next(),
            1 => (1u64 << bit).wrapping_add(self.below(3)).wrapping_sub(1),
            2 => self.next() >> bit,
            _ => (self.next() as i64 >> bit) as u64,
        }
    }

    /// A floating-point register's contents: often a boxed single, often at an edge.
    pub fn float(&mut self) -> u64 {
        match self.below(16) {
            0 => self.next(),
            1..8 => 0xffff_ffff << 32 | self.pattern(8, 23),
            _ => self.pattern(11, 52),
        }
    }

    fn pattern(&mut self, exponent_bits: u32, fraction_bits: u32) -> u64 {
        let largest = (1 << exponent_bits) - 1;
        let near_one = largest / 2 - 3 + self.below(6);
        let exponent = match self.below(8) {
            0 => self.below(3),
            1 => largest - self.below(3),
            2 => self.below(largest + 1),
            // Where integers end.
            3 => largest / 2 + self.pick(&[22, 23, 24, 30, 31, 32, 52, 53, 62, 63, 64]),
            _ => near_one,
        };
        let bit = self.below(fraction_bits.into());
        let fraction = match self.below(5) {
            0 => 0,
            1 => 1 << bit,
            2 => !(1 << bit),
            3 => u64::MAX << bit,
            _ => self.next(),
        };
        let sign = self.below(2) << (exponent_bits + fraction_bits);
        sign | exponent << fraction_bits | fraction & ((1 << fraction_bits) - 1)
    }
}

/// How far memory accesses go from the middle of the program's memory.
pub const REACH: i64 = 512;

/// An address with neither memory nor device.
const NOWHERE: u64 = 0x9000_0000;

/// A program, and what it is made of.
#[derive(Default)]
pub struct Program {
    pub code: Vec<u8>,
    pub listing: Vec<String>,
}

impl Program {
    /// A program of some length that is to run at `address` and use memory around `memory`.
    pub fn random(random: &mut Random, address: u64, memory: u64) -> Self {
        let mut writer = Writer::new(random, address, memory);
        for _ in 0..24 {
            let instruction = writer.any();
            writer.write(instruction);
        }
        if writer.random.one_in(4) {
            writer.garbage();
        }
        writer.finish()
    }

    /// A program of one instruction.
    pub fn single(
        random: &mut Random,
        address: u64,
        memory: u64,
        instruction: Instruction,
    ) -> Self {
        let mut writer = Writer::new(random, address, memory);
        writer.write(instruction);
        writer.finish()
    }
}

struct Writer<'a> {
    random: &'a mut Random,
    address: u64,
    memory: u64,
    program: Program,
}

impl<'a> Writer<'a> {
    fn new(random: &'a mut Random, address: u64, memory: u64) -> Self {
        let program = Program::default();
        Self {
            random,
            address,
            memory,
            program,
        }
    }

    fn finish(mut self) -> Program {
        self.emit("ebreak", crate::asm::EBREAK);
        self.program
    }

    fn any(&mut self) -> Instruction {
        let table = match self.random.below(24) {
            0..6 => INTEGER,
            6..9 => MEMORY,
            9 => ATOMIC,
            10..17 => FLOAT,
            17 => CSR,
            18..20 => CONTROL,
            _ => COMPRESSED,
        };
        self.random.pick(table)
    }

    /// The instruction with random operands, after what prepares those.
    fn write(&mut self, instruction: Instruction) {
        let Instruction {
            name,
            bits,
            mask,
            shape,
        } = instruction;
        let word = bits | self.random.next() as u32 & !mask;
        match shape {
            Shape::Free => self.emit(name, word),
            Shape::Compressed => self.emit_short(name, word),
            Shape::Rounded => {
                let rm = match self.random.below(64) {
                    0 => self.random.pick(&[5, 6]),
                    1..32 => 7,
                    _ => self.random.below(5) as u32,
                };
                self.emit(name, word & !0x7000 | rm << 12);
            }
            Shape::Load | Shape::Store => {
                let offset = self.random.below(REACH as u64) as i64 - REACH / 2;
                let base = self.base(shape);
                let address = self.some_address().wrapping_add_signed(-offset);
                self.set(base, address);
                let offset = offset as u32;
                let (cleared, immediate) = match shape {
                    Shape::Load => (0x000f_ffff, offset << 20),
                    _ => (0x01ff_f07f, (offset & 31) << 7 | offset >> 5 << 25),
                };
                self.emit(name, word & cleared & !(31 << 15) | immediate | base << 15);
            }
            Shape::Atomic => {
                let address = self.some_address();
                self.write_at(name, word, address);
            }
            Shape::Block => {
                let address = self.some_address();
                let reported = if address >= NOWHERE { NOWHERE } else { address };
                self.write_at(name, word, reported);
            }
            Shape::Conditional => {
                let address = self.memory + 8 * self.random.below(2);
                self.write_at(name, word, address);
            }
            Shape::Reserve => {
                let address = self.some_address();
                self.write_at(name, word, address);
                let between = self.random.pick(INTEGER);
                self.write(between);
                let store = self.random.next() as u32 & !RD_RS1_RS2_ORDER;
                self.write_at("sc", store | 0x1800_002f | word & 0x7000, address);
            }
            Shape::CompressedAccess => {
                let base = self.base(shape);
                self.set_somewhere(base);
                self.emit_short(name, word & !(7 << 7) | (base - 8) << 7);
            }
            Shape::CompressedStack => {
                self.set_somewhere(2);
                self.emit_short(name, word);
            }
            _ => self.write_jump(name, word, shape),
        }
    }

    /// An instruction on the memory that some register points at.
    fn write_at(&mut self, name: &str, word: u32, address: u64) {
        let base = self.base(Shape::Atomic);
        self.set(base, address);
        self.emit(name, word & !(31 << 15) | base << 15);
    }

    /// A jump over an instruction that it makes pointless, or not.
    fn write_jump(&mut self, name: &str, word: u32, shape: Shape) {
        let next = loop {
            let next = self.any();
            if !CONTROL.iter().any(|jump| jump.bits == next.bits) {
                break next;
            }
        };
        let register = self.base(shape);
        let place = self.program.code.len();
        let is_long = matches!(shape, Shape::Branch | Shape::Jump | Shape::JumpRegister);
        let by_register = matches!(shape, Shape::JumpRegister | Shape::CompressedJumpRegister);
        let size = if is_long { 4 } else { 2 } + if by_register { 8 } else { 0 };
        // What is jumped over is written first, where it will be, for its length is not known before.
        self.program.code.resize(place + size, 0);
        let line = self.program.listing.len();
        self.write(next);
        let over = self.program.code.split_off(place);
        let over_listing = self.program.listing.split_off(line);
        let distance = over.len() as u32;
        if by_register {
            self.set(register, self.here() + u64::from(distance));
        }
        match shape {
            Shape::Branch => self.emit(name, word & 0x01ff_f07f | branch_offset(distance)),
            Shape::Jump => self.emit(name, word & 0xfff | jump_offset(distance)),
            Shape::JumpRegister => self.emit(name, word & 0x7fff | register << 15),
            Shape::CompressedBranch => {
                self.emit_short(name, word & 0xe383 | short_branch_offset(distance));
            }
            Shape::CompressedJump => {
                self.emit_short(name, word & 0xe003 | short_jump_offset(distance));
            }
            _ => self.emit_short(name, word & !0xf80 | register << 7),
        }
        self.program.code.extend(&over[size..]);
        self.program.listing.extend(over_listing);
    }

    /// Anything at all that neither jumps, nor goes to memory, nor touches the machine's own registers.
    fn garbage(&mut self) {
        let word = self.random.next() as u32;
        let funct3 = word >> 13 & 7;
        match word & 3 {
            3 => {
                let accesses = [0x03, 0x07, 0x23, 0x27, 0x2f];
                let others = [0x63, 0x67, 0x6f, 0x73];
                if ![&accesses[..], &others].concat().contains(&(word & 0x7f)) {
                    self.emit("garbage", word);
                }
            }
            // Quadrant 1 jumps where funct3 is 5 or more; 0 and 2 go to memory except where it is 0 or 4.
            1 if funct3 < 5 => self.emit_short("garbage", word),
            0 | 2 if funct3 == 0 || word & 0xe003 == 0x8000 => self.emit_short("garbage", word),
            _ => {}
        }
    }

    /// A register for an address: not x0.
    fn base(&mut self, shape: Shape) -> u32 {
        match shape {
            Shape::CompressedAccess => 8 + self.random.below(8) as u32,
            _ => 1 + self.random.below(31) as u32,
        }
    }

    /// Most often where anything is aligned, seldom where there is nothing.
    fn some_address(&mut self) -> u64 {
        if self.random.one_in(64) {
            return NOWHERE + self.random.below(16);
        }
        let skew = if self.random.one_in(8) {
            self.random.below(16)
        } else {
            0
        };
        self.memory + skew
    }

    fn set_somewhere(&mut self, register: u32) {
        let address = self.some_address();
        self.set(register, address);
    }

    /// Puts an address into a register, in eight bytes.
    fn set(&mut self, register: u32, address: u64) {
        let distance = address.wrapping_sub(self.here()) as u32;
        let low = (distance << 20) as i32 >> 20;
        self.emit("auipc", auipc(register, distance.wrapping_sub(low as u32)));
        self.emit("addi", addi(register, register, low));
    }

    fn here(&self) -> u64 {
        self.address + self.program.code.len() as u64
    }

    fn emit(&mut self, name: &str, word: u32) {
        let line = format!("{:x}: {word:08x} {name}", self.here());
        self.program.listing.push(line);
        self.program.code.extend(word.to_le_bytes());
    }

    fn emit_short(&mut self, name: &str, half: u32) {
        let half = half as u16;
        let line = format!("{:x}: {half:04x} {name}", self.here());
        self.program.listing.push(line);
        self.program.code.extend(half.to_le_bytes());
    }
}

fn branch_offset(offset: u32) -> u32 {
    (offset >> 11 & 1) << 7 | (offset >> 1 & 15) << 8 | (offset >> 5 & 63) << 25
}

fn jump_offset(offset: u32) -> u32 {
    (offset >> 11 & 1) << 20 | (offset >> 1 & 0x3ff) << 21 | (offset >> 12 & 0xff) << 12
}

fn short_branch_offset(offset: u32) -> u32 {
    (offset >> 5 & 1) << 2
        | (offset >> 1 & 3) << 3
        | (offset >> 6 & 3) << 5
        | (offset >> 3 & 3) << 10
}

fn short_jump_offset(offset: u32) -> u32 {
    let low = (offset >> 5 & 1) << 2
        | (offset >> 1 & 7) << 3
        | (offset >> 7 & 1) << 6
        | (offset >> 6 & 1) << 7;
    low | (offset >> 10 & 1) << 8 | (offset >> 8 & 3) << 9 | (offset >> 4 & 1) << 11
}
