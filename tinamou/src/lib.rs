//! The parts of the `tinamou` binary, as a library so that tests can reach them.

pub mod fds;
pub mod options;
