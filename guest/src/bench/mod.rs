//! Programs that measure a hart: they print one line and power the machine off.
//!
//! The line is `BENCH <name> <instructions> <ticks>`: how many instructions ran, which is known
//! exactly because the program has been counted as it was written, and how many ticks of the 10 MHz
//! clock passed. A hart that computes something wrong prints `BENCH <name> wrong` instead.

mod floating;
mod integer;

use crate::asm::*;
use crate::board;
use crate::console::Console;

/// What the results so far add up to.
const CHECKSUM: Reg = S1;
/// The time of the start.
const START: Reg = S2;

/// CRC-32, a matrix product, a walk along a linked list, and a state machine.
pub fn integer() -> Vec<u8> {
    assemble::<integer::Integer>().expect(FIXED)
}

/// Products and sums of double-precision matrices.
pub fn floating() -> Vec<u8> {
    assemble::<floating::Floating>().expect(FIXED)
}

const FIXED: &str = "the program has no inputs, and a test assembles it";

/// A program to measure.
trait Benchmark {
    const NAME: &str;

    /// Declares the labels.
    fn new(a: &mut Assembler) -> Self;

    /// Writes what happens before the clock runs.
    fn prepare(&self, a: &mut Assembler);

    /// Writes what is measured, and counts the instructions that it executes.
    fn measured(&self, a: &mut Assembler) -> u64;

    /// What the checksum must be in the end.
    fn checksum() -> u64;

    /// Places the data.
    fn place(&self, a: &mut Assembler);
}

fn assemble<B: Benchmark>() -> Result<Vec<u8>, Error> {
    let mut a = Assembler::new();
    let (start, end) = (a.label(), a.label());
    let console = Console::new(&mut a);
    let benchmark = B::new(&mut a);
    board::header(&mut a, start, end);
    a.bind(start);
    a.la(SP, end);
    a.csrw(csr::SIE, ZERO);
    a.li(CHECKSUM, 0);
    benchmark.prepare(&mut a);
    a.csrr(START, csr::TIME);
    // Reading the time again is the last of the instructions that count.
    let executed = benchmark.measured(&mut a) + 1;
    a.csrr(T0, csr::TIME);
    a.sub(START, T0, START);
    report::<B>(&mut a, console, executed);
    console.place(&mut a);
    a.align(8);
    benchmark.place(&mut a);
    board::stack(&mut a, end);
    a.finish()
}

fn report<B: Benchmark>(a: &mut Assembler, console: Console, executed: u64) {
    let (wrong, done) = (a.label(), a.label());
    a.li(T0, B::checksum() as i64);
    a.bne(CHECKSUM, T0, wrong);
    console.print(a, &format!("BENCH {} {executed} ", B::NAME));
    a.mv(A0, START);
    console.decimal(a);
    console.print(a, "\r\n");
    a.j(done);
    a.bind(wrong);
    console.print(a, &format!("BENCH {} wrong\r\n", B::NAME));
    a.bind(done);
    board::finish(a, board::POWER_OFF);
}

/// Writes instructions that run once each, and counts them.
fn once(a: &mut Assembler, write: impl FnOnce(&mut Assembler)) -> u64 {
    let start = a.offset();
    write(a);
    ((a.offset() - start) / 4) as u64
}

/// Writes a loop, and counts the instructions of all its turns.
fn repeat(
    a: &mut Assembler,
    counter: Reg,
    times: u32,
    body: impl FnOnce(&mut Assembler) -> u64,
) -> u64 {
    let prepared = once(a, |a| a.li(counter, times.into()));
    let again = a.here();
    let turn = body(a);
    a.addi(counter, counter, -1);
    a.bnez(counter, again);
    prepared + u64::from(times) * (turn + 2)
}

/// Writes what [`mixed`] does: takes a result into the checksum.
fn mix(a: &mut Assembler, result: Reg) {
    a.slli(T0, CHECKSUM, 5);
    a.sub(T0, T0, CHECKSUM);
    a.add(CHECKSUM, T0, result);
}

fn mixed(checksum: u64, result: u64) -> u64 {
    checksum.wrapping_mul(31).wrapping_add(result)
}

/// The next of a sequence without much order (Knuth's MMIX generator).
fn scramble(state: &mut u64) -> u32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 32) as u32
}
