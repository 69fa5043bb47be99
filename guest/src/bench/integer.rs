//! The mix of integer work.

use super::{Benchmark, mix, mixed, once, repeat, scramble};
use crate::asm::*;

const ROUNDS: u32 = 400;
/// Bytes that the checksum and the state machine read.
const TEXT: u32 = 16 << 10;
/// Rows and columns of the matrices.
const SIDE: u32 = 32;
const NODES: u32 = 1024;
const STEPS: u32 = 16 * NODES;

const ROUND: Reg = S0;
const OUTER: Reg = S3;
const MIDDLE: Reg = S4;
const INNER: Reg = S5;
/// What a part computes.
const RESULT: Reg = S6;

pub(super) struct Integer {
    table: Label,
    text: Label,
    left: Label,
    right: Label,
    list: Label,
}

impl Benchmark for Integer {
    const NAME: &str = "integer";

    fn new(a: &mut Assembler) -> Self {
        Self {
            table: a.label(),
            text: a.label(),
            left: a.label(),
            right: a.label(),
            list: a.label(),
        }
    }

    fn prepare(&self, _: &mut Assembler) {}

    fn measured(&self, a: &mut Assembler) -> u64 {
        repeat(a, ROUND, ROUNDS, |a| {
            self.crc(a) + self.product(a) + self.walk(a) + self.machine(a)
        })
    }

    fn checksum() -> u64 {
        let data = Data::new();
        let results = [data.crc(), data.product(), data.walk(), data.machine()];
        let round = |checksum, _| results.into_iter().fold(checksum, mixed);
        (0..ROUNDS).fold(0, round)
    }

    fn place(&self, a: &mut Assembler) {
        let data = Data::new();
        for (label, words) in [
            (self.table, data.table.as_slice()),
            (self.left, &data.left),
            (self.right, &data.right),
            (self.list, data.list.as_flattened()),
        ] {
            a.bind(label);
            words.iter().for_each(|word| a.word(*word));
        }
        a.bind(self.text);
        a.bytes(&data.text);
    }
}

impl Integer {
    /// CRC-32 of the text, by a table.
    fn crc(&self, a: &mut Assembler) -> u64 {
        let before = once(a, |a| {
            a.la(A0, self.text);
            a.la(A1, self.table);
            a.li(RESULT, 0xffff_ffff);
        });
        let all = repeat(a, INNER, TEXT, |a| {
            once(a, |a| {
                a.lbu(T0, 0, A0);
                a.addi(A0, A0, 1);
                a.xor(T0, T0, RESULT);
                a.andi(T0, T0, 0xff);
                a.slli(T0, T0, 2);
                a.add(T0, T0, A1);
                a.lwu(T0, 0, T0);
                a.srli(RESULT, RESULT, 8);
                a.xor(RESULT, RESULT, T0);
            })
        });
        before + all + once(a, |a| mix(a, RESULT))
    }

    /// The sum of the elements of a matrix product.
    fn product(&self, a: &mut Assembler) -> u64 {
        let row = i64::from(SIDE) * 4;
        let before = once(a, |a| {
            a.la(A0, self.left);
            a.li(RESULT, 0);
        });
        let all = repeat(a, OUTER, SIDE, |a| {
            let top = once(a, |a| a.la(A1, self.right));
            let columns = repeat(a, MIDDLE, SIDE, |a| {
                let start = once(a, |a| {
                    a.mv(A2, A0);
                    a.mv(A3, A1);
                    a.li(T2, 0);
                });
                let dot = repeat(a, INNER, SIDE, |a| {
                    once(a, |a| {
                        a.lw(T0, 0, A2);
                        a.lw(T1, 0, A3);
                        a.mulw(T0, T0, T1);
                        a.addw(T2, T2, T0);
                        a.addi(A2, A2, 4);
                        a.addi(A3, A3, row);
                    })
                });
                let end = once(a, |a| {
                    a.add(RESULT, RESULT, T2);
                    a.addi(A1, A1, 4);
                });
                start + dot + end
            });
            top + columns + once(a, |a| a.addi(A0, A0, row))
        });
        before + all + once(a, |a| mix(a, RESULT))
    }

    /// The sum of the values along a ring of nodes.
    fn walk(&self, a: &mut Assembler) -> u64 {
        let before = once(a, |a| {
            a.la(A1, self.list);
            a.mv(A0, A1);
            a.li(RESULT, 0);
        });
        let all = repeat(a, INNER, STEPS, |a| {
            once(a, |a| {
                a.lwu(T1, 4, A0);
                a.lwu(A0, 0, A0);
                a.add(RESULT, RESULT, T1);
                a.add(A0, A0, A1);
            })
        });
        before + all + once(a, |a| mix(a, RESULT))
    }

    /// Four states; each looks at its own bit of the next byte. Whichever way it goes from there,
    /// it executes as many instructions.
    fn machine(&self, a: &mut Assembler) -> u64 {
        const STEP: u64 = 8;
        let out = a.label();
        let states = [a.label(), a.label(), a.label(), a.label()];
        let before = once(a, |a| {
            a.la(A0, self.text);
            a.li(INNER, TEXT.into());
            a.li(RESULT, 0);
        });
        for (number, state) in states.into_iter().enumerate() {
            let set = a.label();
            a.bind(state);
            a.beqz(INNER, out);
            a.addi(INNER, INNER, -1);
            a.lbu(T0, 0, A0);
            a.addi(A0, A0, 1);
            a.andi(T0, T0, 1 << number);
            a.bnez(T0, set);
            a.addi(RESULT, RESULT, number as i64);
            a.j(states[when_clear(number)]);
            a.bind(set);
            a.addi(RESULT, RESULT, 16 << number);
            a.j(states[when_set(number)]);
        }
        a.bind(out);
        let last = 1;
        before + u64::from(TEXT) * STEP + last + once(a, |a| mix(a, RESULT))
    }
}

fn when_clear(state: usize) -> usize {
    (state + 1) % 4
}

fn when_set(state: usize) -> usize {
    (state * 3 + 2) % 4
}

/// What the program works on, and what it should find.
struct Data {
    table: Vec<u32>,
    text: Vec<u8>,
    left: Vec<u32>,
    right: Vec<u32>,
    /// How far the next node is from the first, and a value.
    list: Vec<[u32; 2]>,
}

impl Data {
    fn new() -> Self {
        let mut state = 1;
        let mut matrix = || (0..SIDE * SIDE).map(|_| scramble(&mut state)).collect();
        let (left, right) = (matrix(), matrix());
        // An odd stride comes by every node before it is back at the first.
        let node = |at: u32| [(at + 389) % NODES * 8, scramble(&mut state)];
        Self {
            table: (0..256).map(table_entry).collect(),
            left,
            right,
            list: (0..NODES).map(node).collect(),
            text: (0..TEXT).map(|_| scramble(&mut state) as u8).collect(),
        }
    }

    fn crc(&self) -> u64 {
        let step = |crc: u32, byte: &u8| crc >> 8 ^ self.table[usize::from(crc as u8 ^ byte)];
        self.text.iter().fold(u32::MAX, step).into()
    }

    fn product(&self) -> u64 {
        let side = SIDE as usize;
        let dot = |row: usize, column: usize| {
            let terms = (0..side)
                .map(|k| self.left[row * side + k].wrapping_mul(self.right[k * side + column]));
            terms.fold(0, u32::wrapping_add)
        };
        let elements = (0..side * side).map(|at| dot(at / side, at % side));
        // The hart adds words with their signs.
        elements.fold(0, |sum, element| sum.wrapping_add(element as i32 as u64))
    }

    fn walk(&self) -> u64 {
        let values = self.list.iter().map(|[_, value]| u64::from(*value));
        values.sum::<u64>() * u64::from(STEPS / NODES)
    }

    fn machine(&self) -> u64 {
        let (mut state, mut result) = (0, 0);
        for byte in &self.text {
            if byte >> state & 1 == 0 {
                result += state as u64;
                state = when_clear(state);
            } else {
                result += 16 << state;
                state = when_set(state);
            }
        }
        result
    }
}

/// The reflected polynomial of IEEE 802.3.
fn table_entry(byte: u32) -> u32 {
    (0..8).fold(byte, |crc, _| (crc >> 1) ^ ((crc & 1) * 0xedb8_8320))
}
