//! QEMU's whole interface as types, generated from `schema/` for clients.
//!
//! It knows names and shapes, of the monitor and of the guest agent. It must
//! never know a connection.
#![forbid(unsafe_code)]
