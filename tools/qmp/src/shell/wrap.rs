//! Starting a machine of one's own, and a shell on it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tinamou_client::{Address, Client};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::{Error, Global, connect};

/// How long a machine may take to offer its monitor.
const START: Duration = Duration::from_secs(30);

/// A machine that was started for the shell. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) child: Child,
    _directory: TempDir,
}

/// Starts `command` with a monitor added to its options, and connects to it.
pub(super) async fn start(command: &[String], global: &Global) -> Result<(Client, Machine), Error> {
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
    let client = connect_to(&socket, &mut machine.child, global).await?;
    Ok((client, machine))
}

async fn connect_to(socket: &Path, child: &mut Child, global: &Global) -> Result<Client, Error> {
    let begins = async {
        while !socket.exists() {
            sleep(Duration::from_millis(10)).await;
        }
        connect::connect(&Address::Unix(socket.to_path_buf()), global).await
    };
    tokio::select! {
        client = begins => client,
        ended = child.wait() => Err(Error::usage(match ended {
            Ok(status) => format!("the machine ended at once: {status}"),
            Err(error) => format!("the machine: {error}"),
        })),
        () = sleep(START) => Err(Error::usage("the machine offers no monitor")),
    }
}
