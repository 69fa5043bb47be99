//! The drivers, one file or directory each.

pub mod blkdebug;
pub mod copy_on_read;
pub mod file;
pub mod nbd;
pub mod null;
pub mod qcow2;
pub mod raw;
pub mod throttle;
