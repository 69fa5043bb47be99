//! What waits for a client: replies and events in the order in which they
//! came from the server.
//!
//! Replies always find room, as there are at most two; events do while the
//! whole stays below the limit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use clap::ValueEnum;
use serde_json::value::RawValue;
use tinamou_qmp::client::ErrorReply;
use tinamou_qmp::session::Ticket;

use super::lock;

/// What becomes of a client that does not read, once too much waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Slow {
    /// It is disconnected, so that it knows that it missed something.
    #[default]
    Close,
    /// It misses events.
    Drop,
}

/// Something for a client.
#[derive(Debug)]
pub(super) enum Mail {
    /// The answer to a call.
    Reply(Ticket, Result<Box<RawValue>, ErrorReply>),
    /// An event, as a line.
    Event(Arc<[u8]>),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Taken,
    Dropped,
    /// The client is to be disconnected, from now on.
    Overflow,
    /// It is being disconnected already.
    Closed,
}

/// The mailbox of one client.
#[derive(Debug)]
pub(super) struct Mailbox {
    limit: usize,
    slow: Slow,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mail: VecDeque<Mail>,
    /// Bytes of events here, and of all output behind it.
    bytes: usize,
    output: usize,
    negotiated: bool,
    end: Option<End>,
    reader: Waker,
}

/// Why a client is disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It did not read.
    Overflow,
    /// The proxy ends.
    Closed,
}

impl Mailbox {
    pub(super) fn new(limit: usize, slow: Slow) -> Self {
        Self {
            limit,
            slow,
            state: Mutex::new(State {
                mail: VecDeque::new(),
                bytes: 0,
                output: 0,
                negotiated: false,
                end: None,
                reader: Waker::noop().clone(),
            }),
        }
    }

    pub(super) fn reply(&self, ticket: Ticket, outcome: Result<Box<RawValue>, ErrorReply>) {
        let mut state = lock(&self.state);
        state.mail.push_back(Mail::Reply(ticket, outcome));
        state.wake();
    }

    pub(super) fn event(&self, line: &Arc<[u8]>) -> Delivery {
        let mut state = lock(&self.state);
        if state.end.is_some() || !state.negotiated {
            return Delivery::Closed;
        }
        if state.bytes + state.output + line.len() > self.limit {
            if self.slow == Slow::Drop {
                return Delivery::Dropped;
            }
            state.end = Some(End::Overflow);
            state.wake();
            return Delivery::Overflow;
        }
        state.bytes += line.len();
        state.mail.push_back(Mail::Event(Arc::clone(line)));
        state.wake();
        Delivery::Taken
    }

    /// Lets the client go once it has read what is here.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.end.get_or_insert(End::Closed);
        state.wake();
    }

    /// The client gets events from now on.
    pub(super) fn negotiated(&self) {
        lock(&self.state).negotiated = true;
    }

    /// How many bytes of output the client has not read.
    pub(super) fn set_output(&self, bytes: usize) {
        lock(&self.state).output = bytes;
    }

    /// The next mail, and why there is none any more.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Mail, End>> {
        let mut state = lock(&self.state);
        if state.end == Some(End::Overflow) {
            return Poll::Ready(Err(End::Overflow));
        }
        if let Some(mail) = state.mail.pop_front() {
            if let Mail::Event(line) = &mail {
                state.bytes -= line.len();
            }
            return Poll::Ready(Ok(mail));
        }
        if let Some(end) = state.end {
            return Poll::Ready(Err(end));
        }
        state.reader.clone_from(cx.waker());
        Poll::Pending
    }

    /// Ready when the client is to be disconnected at once, read or not.
    pub(super) fn poll_overflow(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.end == Some(End::Overflow) {
            return Poll::Ready(());
        }
        state.reader.clone_from(cx.waker());
        Poll::Pending
    }

    /// Whether the client was disconnected because it does not read.
    pub(super) fn overflowed(&self) -> bool {
        lock(&self.state).end == Some(End::Overflow)
    }
}

impl State {
    fn wake(&mut self) {
        std::mem::replace(&mut self.reader, Waker::noop().clone()).wake();
    }
}
