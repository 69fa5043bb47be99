//! The terminal: taken over, and given back whatever happens.

use std::io;
use std::thread;

use crossterm::event::{self, Event};
use ratatui::DefaultTerminal;
use tokio::sync::mpsc;

/// The terminal while it is ours. Dropping this gives it back; so does a
/// panic, before its message is printed.
pub(crate) struct Screen(pub(crate) DefaultTerminal);

impl Screen {
    /// Takes the terminal over.
    pub(crate) fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Keys and changes of size. They are read on a thread, which ends with the
/// process or the terminal.
pub(crate) fn events() -> mpsc::Receiver<io::Result<Event>> {
    let (sender, receiver) = mpsc::channel(64);
    thread::spawn(move || {
        loop {
            let event = event::read();
            let failed = event.is_err();
            if sender.blocking_send(event).is_err() || failed {
                return;
            }
        }
    });
    receiver
}
