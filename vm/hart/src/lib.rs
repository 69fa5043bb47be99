//! One RISC-V hart: decode, execute, MMU, CSRs, and the built-in SBI firmware.
//!
//! A [`Hart`] belongs to the thread that runs it; other threads hold its [`HartControl`]. It knows
//! guest physical memory through [`tinamou_memory`] and the machine through [`Environment`]; it
//! must never know a device, a board or a monitor.

mod code;
mod control;
mod csr;
mod decode;
mod disassemble;
mod environment;
mod error;
mod exec;
pub mod fp;
mod hart;
mod isa;
mod log;
mod mmu;
mod sbi;
mod state;
mod trap;

pub use control::{HartControl, HartStatus, Line};
pub use csr::{Counter, Csrs, number as csr_number};
pub use disassemble::{Disassembled, disassemble};
pub use environment::{Environment, InterruptFile, SystemReset, TIME_FREQUENCY};
pub use error::Error;
pub use hart::{Config, Exit, Firmware, Hart, Start};
pub use isa::{Extension, Isa};
pub use mmu::{MappedRange, Mappings};
pub use state::{Privilege, Registers, Reservation, State};
