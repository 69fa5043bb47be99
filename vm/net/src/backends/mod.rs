//! What can be at the host's end of a cable.

mod dgram;
mod framing;
mod hub;
mod socket;
mod stream;
mod tap;
mod tasks;
pub(crate) mod user;

use std::iter;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tinamou_chardev::Chardevs;
use tokio::runtime::Handle;

use crate::cable::Port;
use crate::config::Config;
use crate::error::Result;
use crate::network::Event;

pub(crate) use hub::Hub;
use tap::Queues;
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
    /// One for each queue.
    infos: Vec<Info>,
    tasks: Tasks,
    ended: mpsc::Receiver<()>,
    hub: Option<Arc<Hub>>,
    user: Option<User>,
    queues: Option<Queues>,
}

impl Backend {
    fn new(kind: &'static str, info: impl Into<String>, context: &Context<'_>) -> Self {
        Self::with_infos(kind, vec![info.into()], context)
    }

    /// One that says something about each of its queues.
    fn with_infos(kind: &'static str, infos: Vec<String>, context: &Context<'_>) -> Self {
        let (running, ended) = mpsc::channel();
        Self {
            kind,
            infos: infos.into_iter().map(Info::new).collect(),
            tasks: Tasks::new(context.runtime.clone(), running),
            ended,
            hub: None,
            user: None,
            queues: None,
        }
    }

    /// What its tasks say of it.
    fn info(&self) -> Info {
        self.infos.first().cloned().unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// What a queue does now, for `info network`.
    pub(crate) fn describe(&self, queue: usize) -> String {
        self.infos.get(queue).map_or_else(String::new, Info::text)
    }

    /// Says how many of its queues are in use.
    pub(crate) fn use_queues(&self, count: usize) {
        if let Some(queues) = &self.queues {
            queues.use_first(count);
        }
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
    fn new(text: String) -> Self {
        Self(Arc::new(Mutex::new(text)))
    }

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

/// Makes a back end at `port`, or at that and further ones if it has several queues. Must be
/// called within the runtime.
pub(crate) fn open(
    config: Config,
    port: Port,
    further: Vec<Port>,
    context: &Context<'_>,
) -> Result<Backend> {
    let all = |port| iter::once(port).chain(further).collect();
    match config {
        Config::Socket(config) => socket::open(config, port, context),
        Config::Stream(config) => stream::open(config, port, context),
        Config::Dgram(config) => dgram::open(config, port, context),
        Config::Tap(config) => tap::open(config, all(port), context),
        Config::Bridge(bridge) => {
            let info = format!("helper={},br={}", bridge.helper, bridge.bridge);
            tap::open_bridge(info, &bridge, vec![port], context)
        }
        Config::User(config) => user::open(&config, port, context),
        Config::Hubport { hub, .. } => Ok(hub::open(hub, port, context)),
    }
}
