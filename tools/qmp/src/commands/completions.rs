//! `qmp completions`: completion scripts for shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{Cli, Error, Exit};

/// What `qmp completions` takes.
#[derive(Args, Debug)]
pub struct Options {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(options: &Options) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "qmp", &mut script);
    crate::output::write_all(&script)?;
    Ok(Exit::Done)
}
