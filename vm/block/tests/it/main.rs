//! The crate from outside: nodes over files of the host, and disks on nodes.

mod backend;
mod corruption;
mod durability;
mod files;
mod hostile;
mod nbd;
mod qcow2;
mod reopen;
mod support;
