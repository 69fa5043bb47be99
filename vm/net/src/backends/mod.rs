//! What can be at the host's end of a cable.

mod dgram;
mod framing;
mod hub;
mod socket;
mod stream;

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{self, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::cable::Port;
use crate::config::Config;
use crate::error::Result;
use crate::network::Event;

pub(crate) use hub::Hub;

/// What back ends are made with.
pub(crate) struct Context<'a> {
    pub(crate) id: String,
    pub(crate) runtime: Handle,
    pub(crate) report: Arc<dyn Fn(Event) + Send + Sync>,
    /// The hubs there are.
    pub(crate) hubs: Vec<&'a Arc<Hub>>,
}

impl Context<'_> {
    /// Lets `work` run until the back end is dropped.
    fn spawn(&self, backend: &mut Backend, work: impl Future<Output = ()> + Send + 'static) {
        let (running, ended) = mpsc::channel();
        let task = self.runtime.spawn(Task {
            work: Box::pin(work),
            _running: running,
        });
        backend.tasks.push((task.abort_handle(), ended));
    }
}

/// How long it takes a task to notice that it should end, at most.
const LAST_STEP: Duration = Duration::from_millis(500);

/// Work that tells by its channel when all it had is dropped: the fields are, in this order.
struct Task {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    _running: mpsc::Sender<()>,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        self.work.as_mut().poll(cx)
    }
}

/// A back end: tasks that end with it.
pub(crate) struct Backend {
    kind: &'static str,
    info: Info,
    tasks: Vec<(AbortHandle, mpsc::Receiver<()>)>,
    hub: Option<Arc<Hub>>,
}

impl Backend {
    fn new(kind: &'static str, info: impl Into<String>) -> Self {
        let backend = Self {
            kind,
            info: Info::default(),
            tasks: Vec::new(),
            hub: None,
        };
        backend.info.set(info);
        backend
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// What it does now, for `info network`.
    pub(crate) fn info(&self) -> String {
        self.info.text()
    }

    pub(crate) fn hub(&self) -> Option<&Arc<Hub>> {
        self.hub.as_ref()
    }

    /// Ends its work and gives back what it had: addresses can be bound again at once.
    pub(crate) fn stop(&mut self) {
        for (task, _) in &self.tasks {
            task.abort();
        }
        let waits = Handle::try_current().is_err();
        for (_, ended) in self.tasks.drain(..).filter(|_| waits) {
            // Nothing is ever sent: this ends with the task.
            let _ = ended.recv_timeout(LAST_STEP);
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A line about a back end, which its tasks rewrite.
#[derive(Clone, Default)]
struct Info(Arc<Mutex<String>>);

impl Info {
    fn set(&self, text: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }

    fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Makes a back end at `port`. Must be called within the runtime.
pub(crate) fn open(config: Config, port: Port, context: &Context<'_>) -> Result<Backend> {
    match config {
        Config::Socket(config) => socket::open(config, port, context),
        Config::Stream(config) => stream::open(config, port, context),
        Config::Dgram(config) => dgram::open(config, port, context),
        Config::Hubport { hub, .. } => Ok(hub::open(hub, port, context)),
    }
}
