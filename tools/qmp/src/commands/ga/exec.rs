//! `qmp ga exec`: a program inside the guest, its output and its exit code
//! here.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tinamou_client::Client;
use tinamou_client::agent::{Finished, GuestProgram, Piece};
use tinamou_interface::qga::GuestExecStatus;

use crate::output::write_all;
use crate::{Error, Exit, Output};

const NOTES: &str = "\
The exit code is the program's; 128 and the number of the signal if one ended
it. qmp's own failures have the codes of every subcommand, and are told on
standard error with `qmp: error:` in front.

The agent hands the output over when the program has ended, and no more than
16 MiB of it. With --stream it is printed as it comes, as much as there is: the
guest's /bin/sh runs the program with its output in temporary files that have
no name any more.

Examples:
  qmp ga agent.sock exec -- uname -a
  qmp ga agent.sock exec --stream -- apt-get -y upgrade
  qmp ga agent.sock exec --input setup.sh -- /bin/sh";

/// The longest input that is sent along.
const LONGEST_INPUT: u64 = 16 << 20;

/// What `qmp ga exec` takes.
#[derive(Args, Debug)]
#[command(after_help = NOTES)]
pub(super) struct Options {
    /// A variable of its environment, which has no others then
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// What it reads from standard input; `-` is ours
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Print the output as it comes
    #[arg(long)]
    stream: bool,
    /// The program and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<String>,
}

pub(super) async fn run(options: Options, client: &Client, output: &Output) -> Result<Exit, Error> {
    if options.stream && output.is_json() {
        return Err(Error::usage("--stream prints bytes: leave --json out"));
    }
    let input = options.input.as_deref().map(read).transpose()?;
    let mut words = options.command.into_iter();
    let mut program = GuestProgram::new(words.next().unwrap_or_default()).args(words);
    for variable in options.env {
        program = program.env(variable);
    }
    if let Some(input) = input {
        program = program.input(&input);
    }
    let finished = match options.stream {
        true => stream(client, program).await?,
        false => capture(client, program, output).await?,
    };
    Ok(exit(&finished.status))
}

/// Runs it, and prints its output when it has ended.
async fn capture(
    client: &Client,
    program: GuestProgram,
    output: &Output,
) -> Result<Finished, Error> {
    let finished = program.run(client).await?;
    if output.is_json() {
        output.value(&json!(finished.status))?;
        return Ok(finished);
    }
    write_all(&finished.stdout()?)?;
    complain(&finished.stderr()?)?;
    if finished.is_truncated() {
        output.note("the agent cut the output; --stream prints all of it");
    }
    Ok(finished)
}

/// Runs it, and prints its output meanwhile.
async fn stream(client: &Client, program: GuestProgram) -> Result<Finished, Error> {
    let mut running = program.stream(client).await?;
    while let Some(piece) = running.next().await? {
        match piece {
            Piece::Stdout(bytes) => write_all(&bytes)?,
            Piece::Stderr(bytes) => complain(&bytes)?,
        }
    }
    Ok(running.finish().await?)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let name = path.display().to_string();
    let source: Box<dyn Read> = match name.as_str() {
        "-" => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(Error::io(name.clone()))?),
    };
    let mut bytes = Vec::new();
    let read = source.take(LONGEST_INPUT + 1).read_to_end(&mut bytes);
    read.map_err(Error::io(name.clone()))?;
    if bytes.len() as u64 > LONGEST_INPUT {
        return Err(Error::usage(format!(
            "{name}: more than 16 MiB: copy it first"
        )));
    }
    Ok(bytes)
}

fn complain(bytes: &[u8]) -> Result<(), Error> {
    let written = io::stderr().write_all(bytes);
    written.map_err(Error::io("standard error"))
}

/// As a shell tells it.
fn exit(status: &GuestExecStatus) -> Exit {
    let code = match (status.exitcode, status.signal) {
        (_, Some(signal)) => signal.saturating_add(128),
        (code, None) => code.unwrap_or_default(),
    };
    Exit::Program(u8::try_from(code).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_shells() {
        for (status, expected) in [
            (json!({"exited": true, "exitcode": 3}), 3),
            (json!({"exited": true, "signal": 9}), 137),
            (json!({"exited": true, "exitcode": -1_073_741_510}), 255),
            (json!({"exited": true}), 0),
        ] {
            let status = serde_json::from_value(status).expect("it fits");
            assert_eq!(exit(&status), Exit::Program(expected));
        }
    }
}
