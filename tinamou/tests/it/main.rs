//! Black-box tests: the binary as its users meet it. One program for all, so
//! that what they share is built once.

mod book;
mod descriptors;
mod fuzz;
mod fw_cfg;
mod guest;
mod human;
mod linux;
mod liveness;
mod log;
mod memory;
mod network;
mod options;
mod pci;
mod qemu_qmp;
mod qom;
mod qtest;
#[path = "../../../client/tests/it/ready.rs"]
mod ready;
mod schema;
mod startup;
mod support;
mod terminal;
mod transcripts;
