//! PCI Express: configuration space, the host bridge, ports and switches, interrupts, hot-plug.
//!
//! It knows functions, bars and slots. It must never know what a function does behind its bars,
//! nor which board the host bridge sits on.
#![forbid(unsafe_code)]
