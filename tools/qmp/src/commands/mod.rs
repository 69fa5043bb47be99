//! The subcommands, one file or directory each.

pub mod completions;
pub mod events;
pub mod ga;
pub mod man;
pub mod mock;
pub mod proxy;
pub mod qom;
pub mod record;
pub mod replay;
pub mod run;
pub mod schema;
pub mod shell;
pub mod status;
pub mod test;
pub mod top;
pub mod wait;
