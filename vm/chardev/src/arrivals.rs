//! Peers on their way from the back end to the front end.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::connection::Connection;
use crate::link::lock;

/// A queue with one reader, as long as the device has seats. Unlike a channel
/// it takes no room while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    state: Mutex<State>,
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Connection>,
    /// Nobody will come after these.
    over: bool,
}

impl Arrivals {
    /// One peer and no other.
    pub(crate) fn only(connection: Connection) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: [connection].into(),
                over: true,
            }),
            came: Notify::new(),
        }
    }

    pub(crate) fn push(&self, connection: Connection) {
        lock(&self.state).waiting.push_back(connection);
        self.came.notify_one();
    }

    /// Waits for the next; `None` when there will be none.
    pub(crate) async fn next(&self) -> Option<Connection> {
        loop {
            if let Some(connection) = self.try_next() {
                return Some(connection);
            }
            if lock(&self.state).over {
                return None;
            }
            self.came.notified().await;
        }
    }

    /// The next if it is there already.
    pub(crate) fn try_next(&self) -> Option<Connection> {
        let mut state = lock(&self.state);
        let next = state.waiting.pop_front();
        if state.waiting.is_empty() {
            state.waiting = VecDeque::new();
        }
        next
    }

    /// Takes all that nobody has asked for.
    pub(crate) fn take(&self) -> VecDeque<Connection> {
        std::mem::take(&mut lock(&self.state).waiting)
    }
}
