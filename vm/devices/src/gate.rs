//! The gate between the guest's requests and the back ends that carry them out.
//!
//! `stop` closes it and waits until every pass is back: from then on nothing changes guest
//! memory, a disk, or what a peer sees. `cont` opens it again.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Open while the machine runs. One per machine, shared by all its devices.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    returned: Condvar,
    open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    passes: usize,
}

/// Leave to carry out one request, given back by dropping it.
#[derive(Debug)]
pub struct Pass(Arc<Gate>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            returned: Condvar::new(),
            open: watch::Sender::new(false),
        })
    }

    /// Lets requests through.
    pub fn open(&self) {
        self.set(true);
    }

    /// Lets no further request through. Those on their way go on; see [`Gate::drain`].
    pub fn close(&self) {
        self.set(false);
    }

    /// Whether requests are let through.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Leave for one request; `None` while the gate is closed.
    #[must_use]
    pub fn pass(self: &Arc<Self>) -> Option<Pass> {
        let mut state = self.lock();
        if !state.open {
            return None;
        }
        state.passes += 1;
        Some(Pass(Arc::clone(self)))
    }

    /// Waits until the gate is open. It may be closed again by the time the caller looks.
    pub async fn opened(&self) {
        // Fails only when the sender is gone, and `self` holds it.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// Blocks until every pass is back. A request that cannot be finished now, such as one held
    /// for `werror=stop`, gives back its pass and takes a new one when the gate opens.
    pub fn drain(&self) {
        let mut state = self.lock();
        while state.passes > 0 {
            state = self
                .returned
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn set(&self, open: bool) {
        // Under the lock, so that waiters and `pass` agree.
        let mut state = self.lock();
        state.open = open;
        self.open.send_replace(open);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.passes -= 1;
        if state.passes == 0 {
            self.0.returned.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_closed_gate_lets_nothing_through() {
        let gate = Gate::new();
        assert!(gate.pass().is_none());
        gate.open();
        let pass = gate.pass();
        assert!(pass.is_some() && gate.is_open());
        gate.close();
        assert!(gate.pass().is_none() && !gate.is_open());
    }

    #[test]
    fn draining_waits_for_what_is_under_way() {
        let gate = Gate::new();
        gate.open();
        let pass = gate.pass();
        gate.close();
        let (drained, news) = mpsc::channel();
        let waiting = Arc::clone(&gate);
        let thread = std::thread::spawn(move || {
            waiting.drain();
            drained.send(()).unwrap();
        });
        assert!(news.try_recv().is_err());
        drop(pass);
        news.recv().unwrap();
        thread.join().unwrap();
        gate.drain();
    }

    #[test]
    fn opening_wakes_who_waits() {
        let gate = Gate::new();
        let mut opened = pin!(gate.opened());
        let mut context = Context::from_waker(Waker::noop());
        assert!(opened.as_mut().poll(&mut context).is_pending());
        gate.open();
        assert!(opened.as_mut().poll(&mut context).is_ready());
    }
}
