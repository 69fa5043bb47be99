//! The binary `qmp`: see the library of the same package.

use std::process::ExitCode;

use clap::Parser;
use tinamou_tools::{Cli, Output};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(&cli.global);
    let exit = tinamou_tools::main(cli, &output).unwrap_or_else(|error| {
        output.error(&error);
        error.exit()
    });
    exit.into()
}
