//! `-daemonize`: goes on in the background once everything is set up.
//!
//! The program starts itself again, and the first process waits until the
//! second has set up or failed. So nothing is shared across a fork, and what
//! went wrong is still told on the terminal.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::process::{Command, ExitCode, Stdio};

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
    let mut command = Command::new(std::env::current_exe()?);
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        std::os::unix::process::CommandExt::arg0(&mut command, name);
    }
    let mut child = command
        .args(arguments)
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    // The daemon closes its output when it is ready; so does its death.
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_end(&mut Vec::new())?;
    }
    let failed = child.try_wait()?.is_some_and(|status| !status.success());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Leaves the terminal and tells the process that waits.
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
    rustix::stdio::dup2_stderr(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}
