//! Virtio 1.2: split and packed queues, the two transports, and the devices behind them.
//!
//! It knows rings in guest memory and what drivers may do to them. It must never know a board,
//! a monitor, or a command line.
//!
//! A device implements [`VirtioDevice`] on a [`Port`], its way to queues and interrupts;
//! [`Virtio`] joins it to a transport. The [`rng`] module is the shortest whole example:
//!
//! ```text
//! fn kick(&self, queue: usize) {
//!     while let Some(chain) = self.port.pop(queue) {
//!         let written = fill(&mut chain.writer());   // io::Write
//!         self.port.push(chain, written);
//!     }
//!     self.port.notify(queue);
//! }
//! ```
//!
//! A request that takes time moves its [`Chain`] into a task:
//!
//! ```text
//! let (port, pass) = (self.port.clone(), self.port.pass());
//! self.port.spawn(async move {
//!     let written = carry_out(&chain).await;
//!     let queue = chain.queue();
//!     port.push(chain, written);
//!     port.notify(queue);
//!     drop(pass);        // `stop` has waited for this
//! });
//! ```
#![forbid(unsafe_code)]

mod chain;
mod device;
mod error;
mod port;
mod queue;
mod virtio;

pub mod balloon;
pub mod blk;
pub mod driver;
pub mod gpu;
pub mod input;
pub mod mem;
pub mod mmio;
pub mod net;
pub mod pci;
pub mod rng;
pub mod scsi;
pub mod serial;
pub mod spec;

pub use chain::{Chain, Reader, Segment, Writer};
pub use device::VirtioDevice;
pub use error::Error;
pub use port::{Interrupt, Port, Site};
pub use queue::element::{Element, ElementDescriptor, Unreadable};
pub use queue::{Position, Setup};
pub use spec::{DeviceType, feature};
pub use virtio::{RingOptions, Virtio};
