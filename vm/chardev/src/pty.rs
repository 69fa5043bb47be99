//! The `pty` back end: a new pseudoterminal, connected while someone has its slave open.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::chardev::{Arrival, Port};
use crate::error::{Error, Result};
use crate::fd::{AtEnd, FileStream, Polled};
use crate::link::{Kind, Link, OwnPath};
use crate::open::duplicate;

/// Makes the terminal, and the symbolic link if one is asked for.
pub(crate) fn open(
    port: &Arc<Port>,
    symlink: Option<PathBuf>,
    log: Option<File>,
) -> Result<Arc<Link>> {
    let terminal = Terminal::new().map_err(Error::Pty)?;
    let name = terminal.name.clone();
    let link = Link::new(Kind::Pty { name: name.clone() }, format!("pty:{name}"), log);
    if let Some(path) = symlink {
        std::os::unix::fs::symlink(&name, &path).map_err(Error::PtyLink)?;
        link.guard(OwnPath::new(path));
    }
    let link = Arc::new(link);
    let task = port
        .runtime
        .spawn(run(Arc::clone(port), Arc::clone(&link), terminal));
    link.run_by(task.abort_handle());
    Ok(link)
}

struct Terminal {
    master: Arc<OwnedFd>,
    name: String,
    /// Readable after someone opened the slave.
    opened: Polled,
}

impl Terminal {
    fn new() -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let name = name.to_str().map_err(io::Error::other)?.to_owned();
        make_raw(&name)?;
        rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&watch, name.as_str(), WatchFlags::OPEN)?;
        Ok(Self {
            master: Arc::new(master),
            name,
            opened: Polled::new(Arc::new(watch))?,
        })
    }

    /// Waits until the slave is open.
    async fn opened(&self) -> io::Result<()> {
        while self.is_vacant()? {
            let mut events = [0; 4096];
            std::future::poll_fn(|cx| {
                self.opened
                    .poll_read(cx, |watch| rustix::io::read(watch, &mut events))
            })
            .await?;
        }
        Ok(())
    }

    fn is_vacant(&self) -> io::Result<bool> {
        let mut polled = [PollFd::new(&self.master, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default()))?;
        Ok(polled[0].revents().contains(PollFlags::HUP))
    }

    fn stream(&self) -> io::Result<FileStream> {
        let input = duplicate(&self.master)?;
        FileStream::new(Some(input), duplicate(&self.master)?, AtEnd::Leave)
    }
}

/// Having been opened and closed, the slave also counts as hung up from the start.
fn make_raw(name: &str) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, Mode::empty())?;
    let mut mode = tcgetattr(&slave)?;
    mode.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &mode)?;
    Ok(())
}

async fn run(port: Arc<Port>, link: Arc<Link>, terminal: Terminal) {
    while let Some(permit) = port.seat().await {
        let stream = match terminal.opened().await {
            Ok(()) => terminal.stream(),
            Err(error) => Err(error),
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!("{} is lost: {error}", terminal.name);
                return;
            }
        };
        let arrival = Arrival::steady(stream, &terminal.name);
        // Resolves with an error, since nothing is ever sent: the connection is gone.
        let _ = port.admit(&link, permit, arrival).await;
    }
}
