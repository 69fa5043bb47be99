//! The subcommands, one file or directory each.

pub mod completions;
pub mod man;
pub mod test;
