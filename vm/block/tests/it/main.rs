//! The crate from outside: nodes over files of the host, and disks on nodes.

mod backend;
mod files;
mod qcow2;
mod support;
