//! `-daemonize`: goes on in the background once everything is set up.
//!
//! The program starts itself again, and the first process waits until the
//! second has set up or failed. So nothing is shared across a fork, and what
//! went wrong is still told on the terminal.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::stdio;

/// Set for the process that is to be the daemon.
const MARK: &str = "TINAMOU_DAEMON";

/// Whether this process is the one in the background.
pub fn is_daemon() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts the process in the background and waits until it is ready: the
/// status to end with.
///
/// # Errors
/// It cannot be started.
pub fn launch() -> io::Result<ExitCode> {
    let (mut ready, theirs) = UnixStream::pair()?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env(MARK, "1");
    let mut child = command.stdin(OwnedFd::from(theirs)).spawn()?;
    // The command holds a copy, and only the daemon's may keep the read from
    // ending.
    drop(command);
    if ready.read(&mut [0])? == 1 {
        return Ok(ExitCode::SUCCESS);
    }
    // It has told why it ends.
    child.wait()?;
    Ok(ExitCode::FAILURE)
}

/// Tells the process that waits, and leaves the terminal.
///
/// # Errors
/// `/dev/null` cannot be opened.
pub fn detach() -> io::Result<()> {
    // It fails for the leader of a process group, which a child is not.
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/")?;
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    stdio::dup2_stderr(&null)?;
    stdio::dup2_stdout(&null)?;
    // Whoever started the program by hand as its own daemon does not listen.
    let _ = rustix::io::write(stdio::stdin(), &[1]);
    stdio::dup2_stdin(&null)?;
    Ok(())
}
