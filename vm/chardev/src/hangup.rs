//! Ending a connection from outside, whatever its reader and writer are waiting for.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use rustix::net::Shutdown;

use crate::link::lock;

/// Shared between a connection's stream, which asks it before every transfer, and those who may
/// end the connection: `yank`, a change of back end, the removal of the device.
#[derive(Debug, Default)]
pub(crate) struct Hangup {
    state: Mutex<State>,
    /// The socket to shut down, so that the peer learns of it at once.
    socket: Option<Arc<OwnedFd>>,
}

#[derive(Debug, Default)]
struct State {
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Which half of a stream is asking.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Half {
    Read,
    Write,
}

impl Hangup {
    pub(crate) fn of_socket(socket: Arc<OwnedFd>) -> Self {
        Self {
            state: Mutex::default(),
            socket: Some(socket),
        }
    }

    /// Ends the connection. Only the first call has an effect.
    pub(crate) fn hang_up(&self) {
        if let Some(socket) = &self.socket {
            // Fails only when the peer has left already.
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
        }
        let mut state = lock(&self.state);
        state.ended = true;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Ready once the connection was ended; otherwise `half` is woken when it is.
    pub(crate) fn poll(&self, half: Half, cx: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.ended {
            return Poll::Ready(());
        }
        let waker = match half {
            Half::Read => &mut state.reader,
            Half::Write => &mut state.writer,
        };
        match waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}
