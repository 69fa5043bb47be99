//! Starting a machine of one's own, and a shell on it.

use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tinamou_client::{Address, Builder, Stream};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::Error;

/// How long a machine may take to open its monitor, and again to greet.
pub(super) const START: Duration = Duration::from_secs(30);

/// Starts `command` with a monitor added to its options, and waits for that.
/// The machine connects, not we: QEMU may forget a client that comes while it
/// starts.
pub(super) async fn start(command: &[String], builder: Builder) -> Result<(Stream, Child), Error> {
    let [program, options @ ..] = command else {
        return Err(Error::usage(
            "--wrap needs the machine's command line after --",
        ));
    };
    let directory = TempDir::with_prefix("qmp-shell-").map_err(Error::io("a directory"))?;
    let socket = directory.path().join("qmp.sock");
    let monitor = format!("unix:{}", socket.display());
    let listener = builder.listen(&Address::Unix(socket)).await?;
    let mut child = Command::new(program)
        .args(options)
        .args(["-qmp", &monitor])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::io(program.clone()))?;
    let stream = tokio::select! {
        stream = listener.accept_stream() => stream?,
        ended = child.wait() => return Err(Error::usage(match ended {
            Ok(status) => format!("the machine ended at once: {status}"),
            Err(error) => format!("the machine: {error}"),
        })),
        () = sleep(START) => return Err(Error::usage("the machine offers no monitor")),
    };
    Ok((stream, child))
}
