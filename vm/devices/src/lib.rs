//! The devices of the virt board, one directory each, and the interrupt lines between them.
//!
//! It knows registers, interrupt wires and the virtual clock. It must never know which board a
//! device sits on, how a hart executes, or what carries a serial port's bytes.
//!
//! Locks are taken in the direction a signal travels: device, interrupt controller, hart. A
//! device may therefore set its [`IrqLine`] with its own lock held; a sink never calls back.
#![forbid(unsafe_code)]

pub mod aplic;
mod bits;
pub mod clint;
pub mod clock;
pub mod fw_cfg;
pub mod gate;
pub mod gpio;
pub mod imsic;
pub mod irq;
mod log;
pub mod msi;
pub mod plic;
pub mod rtc;
pub mod sswi;
pub mod test_finisher;
pub mod uart;

pub use clock::{Clock, NANOS_PER_SECOND, Timer};
pub use gate::{Gate, Pass};
pub use irq::{IrqLine, IrqSink};
pub use msi::{MsiSink, NoMessages};
