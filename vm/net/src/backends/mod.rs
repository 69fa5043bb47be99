//! What can be at the host's end of a cable.

mod dgram;
mod framing;
mod hub;
mod socket;
mod stream;
mod tap;
mod tasks;
pub(crate) mod user;

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tinamou_chardev::Chardevs;
use tokio::runtime::Handle;

use crate::cable::Port;
use crate::config::Config;
use crate::error::Result;
use crate::network::Event;

pub(crate) use hub::Hub;
pub(crate) use tasks::Tasks;
pub(crate) use user::User;

/// How long it takes tasks to notice that they should end, at most.
const LAST_STEP: Duration = Duration::from_millis(500);

/// What back ends are made with.
pub(crate) struct Context<'a> {
    pub(crate) id: String,
    pub(crate) runtime: Handle,
    pub(crate) report: Arc<dyn Fn(Event) + Send + Sync>,
    /// The character devices that back ends may lead to.
    pub(crate) chardevs: Chardevs,
    /// The hubs there are.
    pub(crate) hubs: Vec<&'a Arc<Hub>>,
}

/// A back end: tasks that end with it.
pub(crate) struct Backend {
    kind: &'static str,
    info: Info,
    tasks: Tasks,
    ended: mpsc::Receiver<()>,
    hub: Option<Arc<Hub>>,
    user: Option<User>,
}

impl Backend {
    fn new(kind: &'static str, info: impl Into<String>, context: &Context<'_>) -> Self {
        let (running, ended) = mpsc::channel();
        let backend = Self {
            kind,
            info: Info::default(),
            tasks: Tasks::new(context.runtime.clone(), running),
            ended,
            hub: None,
            user: None,
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

    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Ends its work and gives back what it had: addresses can be bound again at once.
    pub(crate) fn stop(&self) {
        self.tasks.stop();
        if Handle::try_current().is_err() {
            // Nothing is ever sent: this ends with the last task.
            let _ = self.ended.recv_timeout(LAST_STEP);
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
        Config::Tap(config) => tap::open(config, port, context),
        Config::User(config) => user::open(&config, port, context),
        Config::Hubport { hub, .. } => Ok(hub::open(hub, port, context)),
    }
}
