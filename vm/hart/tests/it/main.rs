//! Guest code on harts without a board.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asm;
mod atomics;
mod counters;
mod csrs;
mod decoding;
mod differential;
mod disassembly;
mod garbage;
mod interrupt_files;
mod interrupts;
mod modified_code;
mod paging;
mod rig;
mod sbi;
mod semantics;
mod space;
mod traps;
