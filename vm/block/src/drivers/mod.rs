//! The drivers, one file or directory each.

pub mod file;
pub mod null;
pub mod raw;
