//! The crate from outside: nodes over files of the host, and disks on nodes.

mod backend;
mod durability;
mod files;
mod hostile;
mod nbd;
mod qcow2;
mod support;
