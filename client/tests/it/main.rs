//! The client against servers that lie, and against real ones.

mod calls;
mod events;
mod liars;
mod peer;
mod qemu;
mod reconnect;
mod schema;
mod server;
mod transports;
