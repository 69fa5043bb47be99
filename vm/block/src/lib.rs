//! Block nodes: files, formats and filters as a graph that disks are read from and written to.
//!
//! It knows bytes at offsets, errors of the host and their policies. It must never know which
//! device asks, nor who changes the graph.
//!
//! A [`Node`] is one file, format or filter; a [`BlockBackend`] is what a disk holds of the graph:
//! a node, if a medium is in, with counters, limits and the policies for errors.

mod accounting;
mod backend;
mod driver;
mod drivers;
mod error;
pub mod filename;
mod graph;
mod lender;
mod node;
mod open;
mod permission;
mod query;
mod reopen;
pub mod throttle;

pub use accounting::{Counters, Histogram, Operation, Stats, Summary};
pub use backend::{
    BlockBackend, Disk, ErrorAction, ErrorPolicy, Failure, Holder, IoError, Observer, Policies,
    Request, Stopped, Tray,
};
pub use driver::{Corruption, Driver, Extent, Io, Reopen, Specific, Zeroes};
pub use drivers::{file, null, qcow2, raw};
pub use error::{Error, Result};
pub use graph::Graph;
pub use lender::{Lender, Lent};
pub use node::{DetectZeroes, Edge, Node, NodeOptions};
pub use permission::{Bond, Claim, Conflict, Permissions};
pub use query::{block_info, block_stats, node_info, node_stats};
