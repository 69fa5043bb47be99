//! Device classes: typed properties, buses, and the life of a device from plug to unplug.
//!
//! It knows names, values and the order in which a device comes and goes. It must never know
//! what any device does, nor which back ends there are.
//!
//! A device describes its properties once, with [`properties!`]: a struct whose fields it
//! works with, and a table that says what each is called, which [`Kind`] of value it takes
//! and where it starts. A [`Class`] joins such tables along its ancestry, as QEMU's types
//! inherit. `-device`, `device_add`, `-global` and `-set` all go through [`Kind::read`],
//! gather in [`Settings`], and end in the struct.
#![forbid(unsafe_code)]

mod bus_path;
mod class;
mod convert;
mod kind;
mod print;
mod properties;
mod read;
mod settings;
mod topology;

pub use bus_path::BusPath;
pub use class::{Category, Class, Classes};
pub use convert::{Convert, DevFn, MacAddr, OnOffAuto};
pub use kind::Kind;
pub use print::print;
pub use properties::{Properties, Spec};
pub use read::{Given, Referents, Refusal};
pub use settings::Settings;
pub use topology::{Bus, BusId, BusKind, Device, DeviceId, Topology};

#[doc(hidden)]
pub mod reexport {
    pub use tinamou_qmp::Value;
}
