//! QEMU's command line.
//!
//! Three layers: [`table`] says which options there are; reading the arguments
//! left to right by that table says what was typed, with QEMU's grammar and
//! nothing assumed about meaning; resolving makes one [`Config`] of it, plain
//! data with defaults filled in. Nothing here opens a device or a file (but
//! for `-readconfig`), so a command line can be checked without effects.

mod accepted;
pub mod chardev;
pub mod config;
pub(crate) mod cpu;
mod drive;
mod error;
mod fw_cfg;
mod help;
mod low;
mod machine;
mod monitor;
mod net;
mod object;
mod opts_source;
pub mod params;
pub(crate) mod process;
mod readconfig;
mod resolve;
mod sizing;
pub mod table;
mod value;

pub use chardev::{BACKENDS, parse_chardev};
pub use config::Config;
pub use cpu::CPUS;
pub use drive::parse_drive;
pub use error::{Error, Origin, Result, Warning};
pub use help::QEMU_VERSION;
pub use net::parse_netdev;
pub use object::{DeviceArgument, object_help, parse_device, parse_object};
pub(crate) use params::check_id;
pub use params::is_id;
pub use sizing::max_cpus;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

/// What a command line asks the program to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    /// Run a machine.
    Run(Arc<Config>),
    /// Print a text and exit with status 0.
    Print(String),
}

/// Reads a command line, the program's name included. What should be said to
/// the user, even when the result is an error, is added to `warnings`.
///
/// # Errors
/// The first fault, in QEMU's words. Show it after the program's name and exit
/// with status 1.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    warnings: &mut Vec<Warning>,
) -> Result<Invocation> {
    let mut args = args.into_iter();
    let program = args
        .next()
        .map_or_else(|| "tinamou".to_owned(), |name| program_name(&name));
    let mut low = low::LowArgs {
        program,
        ..Default::default()
    };
    let result = low.read(args).and_then(|()| match low.answer.take() {
        Some(text) => Ok(Invocation::Print(text)),
        None => resolve::resolve(&mut low).map(|config| Invocation::Run(Arc::new(config))),
    });
    warnings.append(&mut low.warnings);
    result
}

/// The name that messages begin with: the first argument without its directory.
pub fn program_name(first: &OsStr) -> String {
    let name = Path::new(first).file_name().unwrap_or(first);
    name.to_string_lossy().into_owned()
}
