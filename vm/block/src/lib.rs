//! Block nodes: files, formats and filters as a graph that disks are read from and written to.
//!
//! It knows bytes at offsets, errors of the host and their policies. It must never know which
//! device asks, nor who changes the graph.
#![forbid(unsafe_code)]
