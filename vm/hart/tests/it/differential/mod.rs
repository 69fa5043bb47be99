//! Random programs here and in QEMU must end alike: registers, flags, traps and memory.
//!
//! A batch of programs stands in RAM with a record for each: the registers it begins with, which it ends with too, and
//! some memory. A few lines of machine-mode code take one record after the other. Every program ends in a trap, by
//! `ebreak` if nothing else. QEMU runs on the same RAM through a file, so its results are there when it ends.

mod batch;
pub mod instructions;
pub mod program;
mod qemu;
mod walks;

use batch::{Batch, Record};
use instructions::*;
use program::Random;

/// What `mcause` says of a program that came to its end.
const BREAKPOINT: u64 = 3;

/// Programs in a batch: what fits into the RAM of the rig.
const PROGRAMS: usize = 4500;

/// Runs the batch on both sides.
fn compare(batch: &Batch) -> Option<Vec<Record>> {
    let theirs = batch.run_in_qemu()?;
    let ours = batch.run_here();
    let differing: Vec<_> = (0..theirs.len())
        .filter(|&i| ours[i] != theirs[i])
        .collect();
    if let Some(&first) = differing.first() {
        let difference = ours[first].difference(&theirs[first]);
        let listing = batch.programs[first].listing.join("\n");
        let before = batch.records[first].registers();
        panic!(
            "{} of {} programs differ; the first:\n{listing}\nbegins with:\n{before}ends with (here, in QEMU):\n{difference}",
            differing.len(),
            theirs.len(),
        );
    }
    Some(theirs)
}

/// Another seed tries other programs.
fn seed() -> u64 {
    std::env::var("TINAMOU_SEED").map_or(2, |seed| seed.parse().unwrap())
}

#[test]
fn every_instruction_alone() {
    let tables = [
        INTEGER, MEMORY, ATOMIC, FLOAT, ADDITIONAL, CSR, CONTROL, COMPRESSED,
    ];
    let instructions = tables.concat();
    let mut batch = Batch::default();
    let mut random = Random(1);
    for index in 0..10 * instructions.len() {
        batch.add_single(&mut random, instructions[index % instructions.len()]);
    }
    let Some(results) = compare(&batch) else {
        return;
    };
    // Were a pattern wrong, both sides might agree that there is no such instruction.
    for (i, instruction) in instructions.iter().enumerate() {
        let mut its_results = results.iter().skip(i).step_by(instructions.len());
        let succeeds = its_results.any(|result| result.cause() == BREAKPOINT);
        assert!(succeeds, "{} never succeeds", instruction.name);
    }
}

#[test]
fn additional_instructions_alone() {
    let mut batch = Batch::default();
    let mut random = Random(seed());
    for index in 0..PROGRAMS {
        batch.add_single(&mut random, ADDITIONAL[index % ADDITIONAL.len()]);
    }
    compare(&batch);
}

#[test]
fn random_programs() {
    let mut batch = Batch::default();
    let mut random = Random(seed());
    for _ in 0..PROGRAMS {
        batch.add_random(&mut random);
    }
    compare(&batch);
}
