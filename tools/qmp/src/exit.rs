//! The exit codes of every subcommand, in one place.

use std::process::ExitCode;

/// How a run of `qmp` ends, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The server refused the command, or what it began failed; the error is
    /// on standard error.
    Refused = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No connection could be made.
    NoConnection = 3,
    /// A deadline passed.
    Deadline = 4,
    /// The connection was lost.
    Lost = 5,
    /// What was waited for can no longer come.
    Impossible = 6,
    /// Differences or failures were found.
    Differences = 7,
    /// A file or a terminal failed.
    Local = 8,
}

/// The codes as `--help` and the manual show them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  the server refused the command, or what it began failed
  2  the command line is wrong
  3  no connection could be made
  4  a deadline passed
  5  the connection was lost
  6  what was waited for can no longer come
  7  differences or failures were found
  8  a file or a terminal failed";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
