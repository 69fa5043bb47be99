//! The built-in guest: a small RISC-V assembler and the program that runs when no kernel is given.
//!
//! [`image`] is made for S-mode at [`ADDRESS`] with the hart's number in `a0` and the device tree in
//! `a1`, as both Tinamou's built-in SBI and OpenSBI start it. It begins with the header of a RISC-V
//! kernel, so `-kernel` takes it everywhere.

pub mod asm;
pub mod bench;
mod board;
mod console;
mod program;

pub use board::ADDRESS;

/// The built-in guest.
pub fn image() -> Vec<u8> {
    program::assemble().expect("the program has no inputs, and a test assembles it")
}
