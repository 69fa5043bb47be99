//! PCI Express: configuration space, the host bridge, ports and switches, interrupts, hot-plug.
//!
//! It knows functions, bars and slots. It must never know what a function does behind its bars,
//! nor which board the host bridge sits on; [`devices`] is a guest here.
//!
//! A device implements [`PciFunction`], describes itself by a [`ConfigSpace`] and becomes a
//! [`Function`], which [`PciBus::plug`] puts on a bus. Everything else is done here: masks, bars,
//! MSI-X tables, the routing of interrupt pins, bridges' windows, slots.
//!
//! Locks are taken in the direction a signal travels: device, function, interrupt wires,
//! interrupt controller. A device may therefore use its [`Interface`] with its own lock held;
//! it is never called with a lock of this crate held.
#![forbid(unsafe_code)]

pub mod bridge;
mod bus;
mod config;
pub mod devices;
mod error;
mod fabric;
mod function;
mod host;
mod interrupts;
mod slot;
pub mod spec;

pub use bus::{BusKind, Devfn, PciBus};
pub use config::{
    BARS, Bar, CONVENTIONAL_SIZE, ConfigSpace, EXPRESS_SIZE, Express, Identity, MsiLayout,
    MsixLayout, PortType, ROM_BAR,
};
pub use error::Error;
pub use function::{Function, Interface, PciFunction};
pub use host::PciHost;
pub use slot::Slot;
