//! The `stdio` back end: the process's standard input and output, raw while they are a terminal.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    tcgetattr, tcsetattr,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;

use crate::error::{Error, Result};
use crate::fd::{AtEnd, FileStream};
use crate::link::lock;
use crate::open::duplicate;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Who sets the terminal's mode. It is changed under this lock only.
static TERMINAL: Mutex<Terminal> = Mutex::new(Terminal::Others);

enum Terminal {
    Others,
    /// We do; this is the mode that it had.
    Ours(Termios),
    /// Others, since the process ends.
    Left,
}

impl Terminal {
    fn give_back(&mut self, next: Self) {
        if let Self::Ours(before) = std::mem::replace(self, next) {
            // Fails only when the terminal is gone.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
        }
    }
}

/// Gives the terminal its mode back, for good. For a process that ends from anywhere; in good
/// order the device does it when it is closed.
pub fn restore_terminal() {
    lock(&TERMINAL).give_back(Terminal::Left);
}

/// The one use of standard input and output; its drop gives the terminal its mode back.
#[derive(Debug)]
pub(crate) struct Claim {
    resumer: Option<AbortHandle>,
}

impl Claim {
    fn new() -> Result<Self> {
        if TAKEN.swap(true, Ordering::AcqRel) {
            return Err(Error::StdioTaken);
        }
        Ok(Self { resumer: None })
    }

    /// Makes a terminal raw, now and whenever the process is resumed: the shell has set its own
    /// mode meanwhile.
    fn make_raw(&mut self, signals: bool) -> io::Result<()> {
        let mut terminal = lock(&TERMINAL);
        let (Terminal::Others, Ok(before)) = (&*terminal, tcgetattr(stdin())) else {
            return Ok(());
        };
        let mode = raw(before.clone(), signals);
        tcsetattr(stdin(), OptionalActions::Now, &mode)?;
        *terminal = Terminal::Ours(before);
        drop(terminal);
        let mut resumed = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
        let task = tokio::spawn(async move {
            while resumed.recv().await.is_some() {
                if let Terminal::Ours(_) = *lock(&TERMINAL) {
                    // Fails only when the terminal is gone, and its input with it.
                    let _ = tcsetattr(stdin(), OptionalActions::Now, &mode);
                }
            }
        });
        self.resumer = Some(task.abort_handle());
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(resumer) = &self.resumer {
            resumer.abort();
        }
        let mut terminal = lock(&TERMINAL);
        if let Terminal::Ours(_) = *terminal {
            terminal.give_back(Terminal::Others);
        }
        drop(terminal);
        TAKEN.store(false, Ordering::Release);
    }
}

/// Claims standard input and output. Must be called within the runtime.
pub(crate) fn open(signals: bool) -> Result<(Claim, FileStream)> {
    let mut claim = Claim::new()?;
    let open = || {
        claim.make_raw(signals)?;
        let input = unshared(stdin(), OFlags::RDONLY)?;
        let output = unshared(stdout(), OFlags::WRONLY)?;
        FileStream::new(Some(input), output, AtEnd::Silence)
    };
    let stream = { open }().map_err(|source| Error::Open {
        path: "stdio".into(),
        source,
    })?;
    Ok((claim, stream))
}

/// A descriptor that can be made non-blocking without a change to those who share ours: a shell
/// does not expect its terminal to be.
fn unshared(fd: impl std::os::fd::AsFd, direction: OFlags) -> io::Result<Arc<OwnedFd>> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
    if matches!(kind, FileType::CharacterDevice | FileType::Fifo) {
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        let flags = direction | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if let Ok(own) = rustix::fs::open(path, flags, Mode::empty()) {
            return Ok(Arc::new(own));
        }
    }
    duplicate(fd)
}

/// Bytes pass as they are, except that output keeps its newline translation.
fn raw(mut mode: Termios, signals: bool) -> Termios {
    mode.input_modes -= InputModes::IGNBRK
        | InputModes::BRKINT
        | InputModes::PARMRK
        | InputModes::ISTRIP
        | InputModes::INLCR
        | InputModes::IGNCR
        | InputModes::ICRNL
        | InputModes::IXON;
    mode.output_modes |= OutputModes::OPOST;
    mode.local_modes -=
        LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::IEXTEN;
    if !signals {
        mode.local_modes -= LocalModes::ISIG;
    }
    mode.control_modes -= ControlModes::CSIZE | ControlModes::PARENB;
    mode.control_modes |= ControlModes::CS8;
    mode.special_codes[SpecialCodeIndex::VMIN] = 1;
    mode.special_codes[SpecialCodeIndex::VTIME] = 0;
    mode
}
