//! The exit codes of every subcommand, in one place.

use std::process::ExitCode;

/// How a run of `qmp` ends, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The server refused the command, or what it began failed; the error is
    /// on standard error.
    Refused,
    /// The command line is wrong.
    Usage,
    /// No connection could be made.
    NoConnection,
    /// A deadline passed.
    Deadline,
    /// The connection was lost.
    Lost,
    /// What was waited for can no longer come.
    Impossible,
    /// Differences or failures were found.
    Differences,
    /// A file or a terminal failed.
    Local,
    /// That of a program in the guest, which `qmp ga exec` ran.
    Program(u8),
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
  8  a file or a terminal failed
`qmp ga exec` ends with the exit code of what it ran in the guest.";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::NoConnection => 3,
            Exit::Deadline => 4,
            Exit::Lost => 5,
            Exit::Impossible => 6,
            Exit::Differences => 7,
            Exit::Local => 8,
            Exit::Program(code) => code,
        })
    }
}
