//! Programs that open an interface for those who may not, such as `qemu-bridge-helper`.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::error::{Error, Result};

/// How long a helper may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has a helper open an interface on a bridge. A helper with blanks in it is a command line.
pub(super) fn run(helper: &str, bridge: &str) -> Result<OwnedFd> {
    let failed = || Error::parameter("bridge helper failed");
    let (ours, theirs) = UnixStream::pair().map_err(|_| failed())?;
    ours.set_read_timeout(Some(PATIENCE))
        .map_err(|_| failed())?;
    let mut child = start(helper, bridge, theirs.into()).map_err(|_| failed())?;
    let fd = receive(&ours);
    if fd.is_err() {
        // It may have ended by itself.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|_| failed())?;
    match fd {
        Ok(fd) if status.success() => Ok(fd),
        _ => Err(failed()),
    }
}

/// The helper's end of the connection is its standard input.
fn start(helper: &str, bridge: &str, connection: OwnedFd) -> io::Result<Child> {
    let bridge = format!("--br={bridge}");
    let mut command = if helper.contains([' ', '\t']) {
        let mut line = format!("{helper} --use-vnet --fd=0");
        if !helper.contains("--br=") {
            line = format!("{line} {bridge}");
        }
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &line]);
        command
    } else {
        let mut command = Command::new(helper);
        command.args(["--use-vnet", "--fd=0", &bridge]);
        command
    };
    command.stdin(Stdio::from(connection)).spawn()
}

/// Takes the one descriptor that comes with the one byte.
fn receive(connection: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut pieces = [IoSliceMut::new(&mut byte)];
    recvmsg(
        connection,
        &mut pieces,
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let fds = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
