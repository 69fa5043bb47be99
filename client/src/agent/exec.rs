//! Programs inside the guest, their output and their ends.

use super::{GuestFile, decode, encode};
use crate::qga::{
    GuestExecCaptureOutput, GuestExecCommand, GuestExecStatus, GuestExecStatusCommand,
};
use crate::{Client, Error, Result};
use std::time::Duration;
use tokio::time::sleep;

/// Makes files for the output, and tells where.
const PREPARE: &str = r#"d=$(mktemp -d) && : >"$d/out" && : >"$d/err" && printf %s "$d""#;

/// Runs the rest of the arguments with the output in those files, whose names
/// go at once: we have them open, and nothing is left behind.
const RUN: &str = r#"exec >"$1/out" 2>"$1/err"; rm -rf -- "$1"; shift; exec "$@""#;

/// How long to wait between questions, at first and at last.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(500);

/// A program to run inside the guest, and what it is given.
#[derive(Clone, Debug)]
#[must_use = "a program is run by one of its methods"]
pub struct GuestProgram {
    command: GuestExecCommand,
}

impl GuestProgram {
    /// A program by its path, or by its name if the agent is to look for it.
    pub fn new(path: impl Into<String>) -> Self {
        let mut command = GuestExecCommand::new(path);
        command.arg = Some(Vec::new());
        Self { command }
    }

    /// One more argument.
    pub fn arg(self, arg: impl Into<String>) -> Self {
        self.args([arg])
    }

    /// More arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        let given = self.command.arg.get_or_insert_default();
        given.extend(args.into_iter().map(Into::into));
        self
    }

    /// A variable of its environment, `NAME=VALUE`. Without any it has the
    /// agent's; with one it has no others.
    pub fn env(mut self, variable: impl Into<String>) -> Self {
        let given = self.command.env.get_or_insert_default();
        given.push(variable.into());
        self
    }

    /// What it reads from its standard input.
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.command.input_data = Some(encode(bytes));
        self
    }

    /// Runs it, and waits for its end as long as the connection lasts. The
    /// agent keeps 16 MiB of its output.
    ///
    /// # Errors
    /// The agent cannot run it, or a call failed.
    pub async fn run(mut self, client: &Client) -> Result<Finished> {
        self.command.capture_output = Some(GuestExecCaptureOutput::Flag(true));
        let pid = client.call(self.command).await?.pid;
        let mut pause = SHORTEST;
        loop {
            let status = client.call(GuestExecStatusCommand::new(pid)).await?;
            if status.exited {
                return Ok(Finished { status });
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Runs it, and hands out its output as it comes, as much as there is. The
    /// guest's `/bin/sh` runs it with its output in temporary files that have
    /// no name any more.
    ///
    /// ```no_run
    /// # async fn example(client: &tinamou_client::Client) -> tinamou_client::Result<()> {
    /// use tinamou_client::agent::{GuestProgram, Piece};
    ///
    /// let mut update = GuestProgram::new("apt-get").arg("update").stream(client).await?;
    /// while let Some(piece) = update.next().await? {
    ///     let (Piece::Stdout(bytes) | Piece::Stderr(bytes)) = piece;
    ///     print!("{}", String::from_utf8_lossy(&bytes));
    /// }
    /// assert_eq!(update.finish().await?.code(), Some(0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The guest has no such shell, no room for files, or a call failed.
    pub async fn stream(self, client: &Client) -> Result<Running> {
        let directory = prepare(client).await?;
        let out = GuestFile::open(client, &format!("{directory}/out"), "r").await?;
        let err = GuestFile::open(client, &format!("{directory}/err"), "r").await?;
        let GuestExecCommand {
            path,
            arg,
            env,
            input_data,
            ..
        } = self.command;
        let mut shell = Self::new("/bin/sh").args(["-c", RUN, "sh", &*directory]);
        shell = shell.arg(path).args(arg.unwrap_or_default());
        shell.command.env = env;
        shell.command.input_data = input_data;
        Ok(Running {
            pid: client.call(shell.command).await?.pid,
            client: client.clone(),
            out,
            err,
            turn: Turn::Err,
            pause: SHORTEST,
            status: None,
        })
    }
}

async fn prepare(client: &Client) -> Result<String> {
    let made = GuestProgram::new("/bin/sh").args(["-c", PREPARE]);
    let made = made.run(client).await?;
    match (made.code(), String::from_utf8(made.stdout()?)) {
        (Some(0), Ok(directory)) => Ok(directory),
        _ => Err(Error::Failed {
            what: "a temporary directory in the guest".to_owned(),
            reason: String::from_utf8_lossy(&made.stderr()?).trim().to_owned(),
        }),
    }
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// As the agent tells it.
    pub status: GuestExecStatus,
}

impl Finished {
    /// Its exit code; `None` if a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        self.status.exitcode
    }

    /// The signal that ended it, or the exception on Windows.
    #[must_use]
    pub fn signal(&self) -> Option<i64> {
        self.status.signal
    }

    /// What it wrote to its standard output, as far as that was kept.
    ///
    /// # Errors
    /// The agent sent nonsense.
    pub fn stdout(&self) -> Result<Vec<u8>> {
        decode(self.status.out_data.as_deref().unwrap_or_default())
    }

    /// What it wrote to its standard error, as far as that was kept.
    ///
    /// # Errors
    /// The agent sent nonsense.
    pub fn stderr(&self) -> Result<Vec<u8>> {
        decode(self.status.err_data.as_deref().unwrap_or_default())
    }

    /// Whether there was more than the agent kept.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.status.out_truncated == Some(true) || self.status.err_truncated == Some(true)
    }
}

/// A piece of a program's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Of its standard output.
    Stdout(Vec<u8>),
    /// Of its standard error.
    Stderr(Vec<u8>),
}

/// A program that runs, and whose output is read meanwhile. It runs on if this
/// is dropped.
#[derive(Debug)]
pub struct Running {
    client: Client,
    pid: i64,
    out: GuestFile,
    err: GuestFile,
    /// Which one was read last.
    turn: Turn,
    pause: Duration,
    /// It has ended.
    status: Option<GuestExecStatus>,
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Out,
    Err,
}

impl Running {
    /// Its process, as the agent calls it.
    #[must_use]
    pub fn pid(&self) -> i64 {
        self.pid
    }

    /// Waits for the next piece of its output; `None` when it has ended and
    /// all was read.
    ///
    /// Not to be dropped before it is done, as [`GuestFile::read`].
    ///
    /// # Errors
    /// A call failed.
    pub async fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            for _ in [Turn::Out, Turn::Err] {
                if let Some(piece) = self.read().await? {
                    self.pause = SHORTEST;
                    return Ok(Some(piece));
                }
            }
            // What is read after the end is known is all there is.
            if self.status.is_some() {
                return Ok(None);
            }
            let command = GuestExecStatusCommand::new(self.pid);
            let status = self.client.call(command).await?;
            if status.exited {
                self.status = Some(status);
                continue;
            }
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST);
        }
    }

    /// Waits for its end, and drops what was not read of its output.
    ///
    /// # Errors
    /// A call failed.
    pub async fn finish(mut self) -> Result<Finished> {
        while self.next().await?.is_some() {}
        self.out.close().await;
        self.err.close().await;
        let status = self.status.expect("the output has ended with the program");
        Ok(Finished { status })
    }

    /// What there is of the one that was not read last.
    async fn read(&mut self) -> Result<Option<Piece>> {
        match self.turn {
            Turn::Err => {
                self.turn = Turn::Out;
                Ok(self.out.read().await?.map(Piece::Stdout))
            }
            Turn::Out => {
                self.turn = Turn::Err;
                Ok(self.err.read().await?.map(Piece::Stderr))
            }
        }
    }
}
