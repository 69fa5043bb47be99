//! `qmp ga exec`: a program inside the guest, its output and its exit code
//! here.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde_json::json;
use tinamou_client::Client;
use tinamou_interface::qga::{
    GuestExecCaptureOutput, GuestExecCommand, GuestExecStatus, GuestExecStatusCommand,
};
use tokio::time::sleep;

use super::file::{GuestFile, decode};
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

/// Makes files for the output, and tells where.
const PREPARE: &str = r#"d=$(mktemp -d) && : >"$d/out" && : >"$d/err" && printf %s "$d""#;

/// Runs the rest of the arguments with the output in those files, whose names
/// go at once: the agent has them open, and nothing is left behind.
const RUN: &str = r#"exec >"$1/out" 2>"$1/err"; rm -rf -- "$1"; shift; exec "$@""#;

/// How long to wait between questions, at first and at last.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(500);

/// How many pieces are read of one stream before the other has its turn.
const TURN: usize = 8;

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
    let mut command = program(options.command);
    command.input_data = input.map(|bytes| BASE64_STANDARD.encode(bytes));
    command.env = Some(options.env).filter(|env| !env.is_empty());
    let status = match options.stream {
        true => stream(client, command).await?,
        false => capture(client, command, output).await?,
    };
    Ok(exit(&status))
}

/// Runs it, and prints its output when it has ended.
async fn capture(
    client: &Client,
    mut command: GuestExecCommand,
    output: &Output,
) -> Result<GuestExecStatus, Error> {
    command.capture_output = Some(GuestExecCaptureOutput::Flag(true));
    let status = wait(client, command).await?;
    if output.is_json() {
        output.value(&json!(status))?;
        return Ok(status);
    }
    write_all(&decode(status.out_data.as_deref().unwrap_or_default())?)?;
    complain(&decode(status.err_data.as_deref().unwrap_or_default())?)?;
    if status.out_truncated == Some(true) || status.err_truncated == Some(true) {
        output.note("the agent cut the output; --stream prints all of it");
    }
    Ok(status)
}

/// Runs it, and prints its output meanwhile.
async fn stream(client: &Client, command: GuestExecCommand) -> Result<GuestExecStatus, Error> {
    let directory = prepare(client).await?;
    let out = GuestFile::open(client, &format!("{directory}/out"), "r").await?;
    let err = GuestFile::open(client, &format!("{directory}/err"), "r").await?;
    let mut shell = program(["/bin/sh", "-c", RUN, "sh", &directory].map(str::to_owned));
    let words = shell.arg.get_or_insert_default();
    words.push(command.path);
    words.extend(command.arg.unwrap_or_default());
    shell.env = command.env;
    shell.input_data = command.input_data;
    let status = follow(client, shell, &out, &err).await;
    out.close().await;
    err.close().await;
    status
}

async fn prepare(client: &Client) -> Result<String, Error> {
    let mut command = program(["/bin/sh", "-c", PREPARE].map(str::to_owned));
    command.capture_output = Some(GuestExecCaptureOutput::Flag(true));
    let status = wait(client, command).await?;
    let directory = decode(status.out_data.as_deref().unwrap_or_default())?;
    match (status.exitcode, String::from_utf8(directory)) {
        (Some(0), Ok(directory)) => Ok(directory),
        _ => {
            let said = decode(status.err_data.as_deref().unwrap_or_default())?;
            let said = io::Error::other(String::from_utf8_lossy(&said).trim().to_owned());
            Err(Error::io("no temporary directory in the guest")(said))
        }
    }
}

async fn follow(
    client: &Client,
    command: GuestExecCommand,
    out: &GuestFile<'_>,
    err: &GuestFile<'_>,
) -> Result<GuestExecStatus, Error> {
    let pid = client.call(command).await?.pid;
    let mut pause = SHORTEST;
    loop {
        // Asked first: what is read after the end is all there is.
        let status = client.call(GuestExecStatusCommand::new(pid)).await?;
        let turn = match status.exited {
            true => usize::MAX,
            false => TURN,
        };
        let printed = drain(out, turn, write_all).await? | drain(err, turn, complain).await?;
        if status.exited {
            return Ok(status);
        }
        pause = match printed {
            true => SHORTEST,
            false => (pause * 2).min(LONGEST),
        };
        sleep(pause).await;
    }
}

/// Prints what has come since, in at most `turn` pieces; whether there was
/// any.
async fn drain(
    file: &GuestFile<'_>,
    turn: usize,
    print: fn(&[u8]) -> Result<(), Error>,
) -> Result<bool, Error> {
    for piece in 0..turn {
        let chunk = file.read().await?;
        print(&chunk.data)?;
        if chunk.data.is_empty() {
            return Ok(piece > 0);
        }
    }
    Ok(true)
}

async fn wait(client: &Client, command: GuestExecCommand) -> Result<GuestExecStatus, Error> {
    let pid = client.call(command).await?.pid;
    let mut pause = SHORTEST;
    loop {
        let status = client.call(GuestExecStatusCommand::new(pid)).await?;
        if status.exited {
            return Ok(status);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

fn program(words: impl IntoIterator<Item = String>) -> GuestExecCommand {
    let mut words = words.into_iter();
    let mut command = GuestExecCommand::new(words.next().unwrap_or_default());
    command.arg = Some(words.collect());
    command
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
