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
mod node;

pub use accounting::{Counters, Histogram, Operation, Stats, Summary};
pub use backend::{BlockBackend, Disk, ErrorAction, ErrorPolicy, IoError, Observer, Policies};
pub use driver::{Child, Driver, Extent, Io, Specific, Zeroes};
pub use drivers::{file, null, raw};
pub use node::{DetectZeroes, Node, NodeOptions};
