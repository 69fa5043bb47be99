//! Black-box tests: the binary as its users meet it. One program for all, so
//! that what they share is built once.

mod guest;
mod linux;
mod options;
mod qemu_qmp;
mod support;
mod transcripts;
