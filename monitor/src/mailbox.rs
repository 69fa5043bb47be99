//! What other threads leave for a session on the I/O thread.
//!
//! One mailbox per session, and everything that the main loop and the event
//! bus have for the session goes through it in order: that is why an event
//! emitted by a command precedes the command's reply.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// An ordered box of `T`s with one reader.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    /// The bytes of bulk that fit.
    limit: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    letters: VecDeque<T>,
    bulk: usize,
    reader: Option<Waker>,
    closed: bool,
    overflowed: bool,
}

/// More bulk arrived than fits, and something was dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

impl<T> Mailbox<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                letters: VecDeque::new(),
                bulk: 0,
                reader: None,
                closed: false,
                overflowed: false,
            }),
        }
    }

    /// Leaves a letter, and wakes the reader if it sleeps. A letter for a
    /// session that is gone is dropped.
    pub(crate) fn push(&self, letter: T) {
        self.push_bulk(letter, 0);
    }

    /// Leaves a letter that counts as so many bytes against the limit.
    pub(crate) fn push_bulk(&self, letter: T, bytes: usize) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if bytes > 0 && state.bulk + bytes > self.limit {
            state.overflowed = true;
        } else {
            state.bulk += bytes;
            state.letters.push_back(letter);
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Everything that arrived since the last call, oldest first.
    pub(crate) async fn take(&self) -> Result<VecDeque<T>, Overflow> {
        std::future::poll_fn(|cx| self.poll_take(cx)).await
    }

    /// Everything that is there now.
    pub(crate) fn take_now(&self) -> VecDeque<T> {
        let mut state = self.lock();
        state.bulk = 0;
        std::mem::take(&mut state.letters)
    }

    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Result<VecDeque<T>, Overflow>> {
        let mut state = self.lock();
        if state.overflowed {
            return Poll::Ready(Err(Overflow));
        }
        if state.letters.is_empty() {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.bulk = 0;
        Poll::Ready(Ok(std::mem::take(&mut state.letters)))
    }

    /// The session is gone.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.letters = VecDeque::new();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// A poisoned box is as good as any: no invariant spans a panic.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
