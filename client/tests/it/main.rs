//! The client against servers that lie, and against real ones.

mod agent;
mod blocking;
mod calls;
mod events;
mod faults;
mod interface;
mod liars;
mod peer;
mod qemu;
mod ready;
mod recipes;
mod reconnect;
mod schema;
mod server;
mod transports;
