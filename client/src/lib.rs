//! A client of QMP servers and guest agents: asynchronous, with a blocking
//! face over the same state machine.
//!
//! It knows addresses, deadlines, calls and events. It must never know a
//! terminal, nor what a command means beyond the recipes it offers.
