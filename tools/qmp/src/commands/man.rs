//! `qmp man`: the manual pages, made from the command line's own description.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::{Cli, Error, Exit};

/// What `qmp man` takes.
#[derive(Args, Debug)]
pub struct Options {
    /// The directory that gets qmp.1, qmp-run.1 and so on; it must exist
    directory: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<Exit, Error> {
    clap_mangen::generate_to(Cli::command(), &options.directory)
        .map_err(Error::io(options.directory.display().to_string()))?;
    Ok(Exit::Done)
}
