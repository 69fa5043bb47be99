//! Virtio 1.2: split and packed queues, the two transports, and the devices behind them.
//!
//! It knows rings in guest memory and what drivers may do to them. It must never know a board,
//! a monitor, or a command line.
#![forbid(unsafe_code)]
