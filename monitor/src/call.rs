//! One command on the main loop: what it may know of its caller, and how it
//! answers.

use crate::connection::FdInbox;
use crate::control::{Letter, Outcome};
use crate::mailbox::Mailbox;
use crate::server::MonitorId;
use serde::Serialize;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tinamou_qmp::json::{self, Style};
use tinamou_qmp::session::Ticket;
use tinamou_qmp::{Error, Result};

/// Where a command came from.
pub struct Call {
    monitor: MonitorId,
    fds: Option<Arc<dyn FdInbox>>,
    preconfig: bool,
}

impl Call {
    pub(crate) fn new(monitor: MonitorId, fds: Option<Arc<dyn FdInbox>>, preconfig: bool) -> Self {
        Self {
            monitor,
            fds,
            preconfig,
        }
    }

    /// The monitor that the command came by.
    #[must_use]
    pub fn monitor(&self) -> MonitorId {
        self.monitor
    }

    /// Takes the oldest file descriptor that the client has passed along.
    pub fn take_fd(&mut self) -> Option<OwnedFd> {
        self.fds.as_ref()?.pop()
    }

    /// Whether the command was let in before the machine exists.
    #[must_use]
    pub fn preconfig(&self) -> bool {
        self.preconfig
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("monitor", &self.monitor)
            .field("preconfig", &self.preconfig)
            .finish_non_exhaustive()
    }
}

/// Answers a deferred command, from any thread. Until then the session runs
/// no further command in band.
///
/// Dropped without an answer it answers with an error, so that the client does
/// not wait for ever. An answer for a client that has left goes nowhere.
#[derive(Debug)]
pub struct Responder<R> {
    slip: Slip,
    returns: PhantomData<fn(R)>,
}

impl<R: Serialize> Responder<R> {
    pub(crate) fn new(slip: Slip) -> Self {
        Self {
            slip,
            returns: PhantomData,
        }
    }

    /// Answers.
    pub fn respond(self, result: Result<R>) {
        self.slip.answer(&result);
    }

    /// Whether the client has left, so that nobody waits for the answer.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.slip.is_abandoned()
    }
}

/// Where the answer to one request goes.
pub(crate) struct Slip {
    mailbox: Arc<Mailbox<Letter>>,
    ticket: Ticket,
    style: Style,
    /// Success is silent (`success-response: false`).
    silent: bool,
    answered: bool,
}

impl Slip {
    pub(crate) fn new(
        mailbox: Arc<Mailbox<Letter>>,
        ticket: Ticket,
        style: Style,
        silent: bool,
    ) -> Self {
        Self {
            mailbox,
            ticket,
            style,
            silent,
            answered: false,
        }
    }

    /// Serialises the answer where it was made, so that what it borrows or
    /// holds stays on this thread.
    pub(crate) fn answer<R: Serialize>(mut self, result: &Result<R>) {
        let outcome = match result {
            Ok(_) if self.silent => Outcome::Silence,
            Ok(value) => text(value, self.style).map_or_else(Outcome::Error, Outcome::Return),
            Err(error) => Outcome::Error(error.clone()),
        };
        self.send(outcome);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.mailbox.is_closed()
    }

    fn send(&mut self, outcome: Outcome) {
        self.answered = true;
        self.mailbox.push(Letter::Answer(self.ticket, outcome));
    }
}

impl Drop for Slip {
    fn drop(&mut self) {
        if !self.answered {
            let error = Error::generic("The command was abandoned without an answer");
            self.send(Outcome::Error(error));
        }
    }
}

impl fmt::Debug for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slip")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

/// A return value as it stands in a reply.
pub(crate) fn text<R: Serialize + ?Sized>(value: &R, style: Style) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    json::append(&mut text, value, style, 1)?;
    Ok(text)
}
