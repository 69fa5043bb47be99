//! Starting a machine of one's own, and a shell on it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tinamou_client::Address;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::Error;

/// How long a machine may take to offer its monitor.
const START: Duration = Duration::from_secs(30);

/// A machine that was started for the shell. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) child: Child,
    _directory: TempDir,
}

/// Starts `command` with a monitor added to its options; where that is.
pub(super) async fn start(command: &[String]) -> Result<(Address, Machine), Error> {
    let [program, options @ ..] = command else {
        return Err(Error::usage(
            "--wrap needs the machine's command line after --",
        ));
    };
    let directory = TempDir::with_prefix("qmp-shell-").map_err(Error::io("a directory"))?;
    let socket = directory.path().join("qmp.sock");
    let monitor = format!("unix:{},server=on,wait=off", socket.display());
    let child = Command::new(program)
        .args(options)
        .args(["-qmp", &monitor])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::io(program.clone()))?;
    let mut machine = Machine {
        child,
        _directory: directory,
    };
    wait_for(&socket, &mut machine.child).await?;
    Ok((Address::Unix(socket), machine))
}

async fn wait_for(socket: &Path, child: &mut Child) -> Result<(), Error> {
    let begins = async {
        while !socket.exists() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = begins => Ok(()),
        ended = child.wait() => Err(Error::usage(match ended {
            Ok(status) => format!("the machine ended at once: {status}"),
            Err(error) => format!("the machine: {error}"),
        })),
        () = sleep(START) => Err(Error::usage("the machine offers no monitor")),
    }
}
