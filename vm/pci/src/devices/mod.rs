//! Devices that are PCI functions and nothing else.
//!
//! They use the rest of the crate as devices in other crates do, and the rest knows none of them.

mod i6300esb;
mod pvpanic;
mod testdev;

pub use i6300esb::i6300esb;
pub use pvpanic::{PanicEvent, pvpanic};
pub use testdev::testdev;
