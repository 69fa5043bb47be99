//! The QEMU object model: types, properties, the object tree and its paths.
//!
//! The tree is what `qom-list`, `qom-get` and `qom-set` walk. It knows names,
//! values and closures that read and write them; it must never know what a
//! device or a machine is.
#![forbid(unsafe_code)]

mod property;
mod tree;
mod types;

pub use property::{Access, Property};
pub use tree::{ObjectId, PropertyInfo, Tree};
pub use types::{ClassProperty, Type, Types};
