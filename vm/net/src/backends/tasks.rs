//! The tasks of a back end.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Tasks that end together. Clones are the same tasks.
#[derive(Clone)]
pub(crate) struct Tasks {
    runtime: Handle,
    state: Arc<Mutex<State>>,
}

struct State {
    tasks: Vec<AbortHandle>,
    /// How many there may be before those that have ended are forgotten.
    limit: usize,
    /// Held by each task; gone when no more may begin.
    running: Option<mpsc::Sender<()>>,
}

impl Tasks {
    /// None yet. The channel of `running` closes when all have ended after
    /// [`stop`](Self::stop).
    pub(super) fn new(runtime: Handle, running: mpsc::Sender<()>) -> Self {
        Self {
            runtime,
            state: Arc::new(Mutex::new(State {
                tasks: Vec::new(),
                limit: 16,
                running: Some(running),
            })),
        }
    }

    /// Begins one. After [`stop`](Self::stop) it ends at once.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut state = self.state();
        let Some(running) = state.running.clone() else {
            return self.runtime.spawn(async {}).abort_handle();
        };
        let task = Task {
            work: Box::pin(work),
            _running: running,
        };
        let task = self.runtime.spawn(task).abort_handle();
        if state.tasks.len() >= state.limit {
            state.tasks.retain(|task| !task.is_finished());
            state.limit = (2 * state.tasks.len()).max(16);
        }
        state.tasks.push(task.clone());
        task
    }

    /// Ends one, and waits until what it had is given back unless it is the runtime that asks.
    pub(crate) fn end(&self, task: &AbortHandle) {
        task.abort();
        for _ in 0..1000 {
            if task.is_finished() || Handle::try_current().is_ok() {
                return;
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Ends all, for good.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.running = None;
        for task in state.tasks.drain(..) {
            task.abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that tells by its channel when all it had is dropped: the fields are, in this order.
struct Task {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    _running: mpsc::Sender<()>,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.work.as_mut().poll(cx)
    }
}
