//! The server: what all monitors of a program share, and the monitors.

use crate::connection::Connection;
use crate::control::Control;
use crate::events::EventBus;
use crate::hmp::Hmp;
use crate::main_loop::{MainLoop, Poster};
use crate::readline::Readline;
use crate::table::{Commands, Table};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tinamou_qmp::json::Style;
use tinamou_qmp::session::{Greeting, Version};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What a server is made of.
pub struct Config<C, S = ()> {
    /// The commands of control mode.
    pub table: Table<C, S>,
    /// What shared commands look at.
    pub shared: Arc<S>,
    /// The commands of readline mode.
    pub hmp: Arc<Hmp<C>>,
    /// The bus that sessions listen to.
    pub events: EventBus,
    /// The version in the greeting.
    pub version: Version,
    /// The package in the greeting.
    pub package: String,
    /// The bytes that may wait for a client that does not read; see
    /// [`DEFAULT_OUTPUT_LIMIT`].
    pub output_limit: usize,
}

impl<C: 'static, S> Config<C, S> {
    /// A server with a bus of its own and the HMP commands that every monitor
    /// has.
    pub fn new(table: Table<C, S>, shared: Arc<S>, version: Version) -> Self {
        Self {
            table,
            shared,
            hmp: Arc::new(Hmp::new("Type 'help' for more information")),
            events: EventBus::new(),
            version,
            package: String::new(),
            output_limit: DEFAULT_OUTPUT_LIMIT,
        }
    }
}

/// 64 MiB: as much as the longest request that QMP has.
pub const DEFAULT_OUTPUT_LIMIT: usize = 64 << 20;

/// Serves any number of monitors. Clones share the server.
pub struct Server<C, S = ()>(Arc<Core<C, S>>);

/// What all sessions share.
pub(crate) struct Core<C, S> {
    pub(crate) commands: Commands<C, S>,
    pub(crate) shared: Arc<S>,
    pub(crate) hmp: Arc<Hmp<C>>,
    pub(crate) events: EventBus,
    pub(crate) jobs: Poster<C>,
    pub(crate) output_limit: usize,
    version: Version,
    package: String,
    io: Handle,
    monitors: AtomicU32,
    preconfig: AtomicBool,
    serving: AtomicBool,
    overflows: AtomicU64,
    closing: watch::Sender<bool>,
}

impl<C: 'static, S: Send + Sync + 'static> Server<C, S> {
    /// Starts serving on the runtime `io`. The main loop runs what the other
    /// half hands out.
    pub fn start(config: Config<C, S>, io: &Handle) -> (Self, MainLoop<C>) {
        let (jobs, main_loop) = MainLoop::new();
        if config.events.follows_host() {
            io.spawn(config.events.clone().run_timer());
        }
        let core = Core {
            commands: config.table.finish(),
            shared: config.shared,
            hmp: config.hmp,
            events: config.events,
            jobs,
            output_limit: config.output_limit,
            version: config.version,
            package: config.package,
            io: io.clone(),
            monitors: AtomicU32::new(0),
            preconfig: AtomicBool::new(false),
            serving: AtomicBool::new(true),
            overflows: AtomicU64::new(0),
            closing: watch::Sender::new(false),
        };
        (Self(Arc::new(core)), main_loop)
    }

    /// Adds a monitor.
    #[must_use]
    pub fn monitor(&self, label: impl Into<String>, mode: Mode) -> Monitor<C, S> {
        let id = MonitorId(self.0.monitors.fetch_add(1, Ordering::Relaxed));
        Monitor(Arc::new(Place {
            core: Arc::clone(&self.0),
            id,
            label: label.into(),
            mode,
            clients: AtomicUsize::new(0),
        }))
    }

    /// Whether the machine is still to be made, so that only commands with
    /// `allow-preconfig` may run. At first it is not.
    pub fn set_preconfig(&self, preconfig: bool) {
        self.0.preconfig.store(preconfig, Ordering::Release);
    }

    /// Whether only commands with `allow-preconfig` may run.
    #[must_use]
    pub fn preconfig(&self) -> bool {
        self.0.preconfig()
    }

    /// Takes no further request from any client. `quit` calls it, so that
    /// nothing behind it is answered.
    pub fn stop_serving(&self) {
        self.0.serving.store(false, Ordering::Release);
    }

    /// Sends every client what is still waiting for it, and disconnects it.
    /// Clients that have not read all by `limit` are left behind.
    pub async fn shutdown(&self, limit: Duration) {
        self.stop_serving();
        self.0.closing.send_replace(true);
        if tokio::time::timeout(limit, self.0.closing.closed())
            .await
            .is_err()
        {
            tracing::warn!("a monitor's client did not read its last output");
        }
    }

    /// How many clients were disconnected because they did not read.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.0.overflows.load(Ordering::Relaxed)
    }
}

impl<C, S> Clone for Server<C, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C, S> Core<C, S> {
    pub(crate) fn greeting(&self, oob: bool) -> Greeting {
        Greeting {
            version: self.version,
            package: self.package.clone(),
            oob,
        }
    }

    pub(crate) fn preconfig(&self) -> bool {
        self.preconfig.load(Ordering::Acquire)
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    /// Tells when sessions are to end. One that has ended has dropped it.
    pub(crate) fn closing(&self) -> Closing {
        Closing(self.closing.subscribe())
    }

    /// Counts a client that did not read.
    pub(crate) fn overflow(&self) -> io::Error {
        self.overflows.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("a client that does not read its output is disconnected");
        io::Error::other("the client does not read its output")
    }
}

/// The end of the server, as sessions wait for it.
pub(crate) struct Closing(watch::Receiver<bool>);

impl Closing {
    pub(crate) async fn wait(&mut self) {
        // An error says that the server is gone, which is an end as well.
        drop(self.0.wait_for(|&closing| closing).await);
    }
}

/// How a monitor talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// QMP.
    Control {
        /// How output is laid out (`pretty=on`).
        style: Style,
        /// Whether out-of-band execution is offered.
        oob: bool,
    },
    /// HMP.
    Readline,
}

impl Mode {
    /// QMP with all its capabilities, on one line per message.
    pub const QMP: Self = Self::Control {
        style: Style::Compact,
        oob: true,
    };
}

/// Which monitor a command came by. Named file descriptors belong to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorId(u32);

/// A monitor, on which any number of clients may talk at once. Clones share
/// the monitor.
pub struct Monitor<C, S = ()>(Arc<Place<C, S>>);

struct Place<C, S> {
    core: Arc<Core<C, S>>,
    id: MonitorId,
    label: String,
    mode: Mode,
    clients: AtomicUsize,
}

impl<C: 'static, S: Send + Sync + 'static> Monitor<C, S> {
    /// What commands know the monitor by.
    #[must_use]
    pub fn id(&self) -> MonitorId {
        self.0.id
    }

    /// How many clients are connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.0.clients.load(Ordering::Acquire)
    }

    /// Serves a client from now on. It is done on the server's I/O runtime,
    /// so this may be called from any thread.
    pub fn attach(&self, connection: Connection) {
        let core = Arc::clone(&self.0.core);
        let io = core.io.clone();
        let visit = Visit::begin(&self.0, connection.peer.clone());
        // Boxed, since what a task awaits takes its room twice.
        match self.0.mode {
            Mode::Control { style, oob } => {
                let mut control = Box::new(Control::new(core, self.0.id, (style, oob), connection));
                io.spawn(async move { visit.end(control.run().await) });
            }
            Mode::Readline => {
                let mut readline = Box::new(Readline::new(core, self.0.id, connection));
                io.spawn(async move { visit.end(readline.run().await) });
            }
        }
    }
}

/// One client's time at a monitor.
struct Visit<C, S> {
    place: Arc<Place<C, S>>,
    peer: String,
}

impl<C, S> Visit<C, S> {
    fn begin(place: &Arc<Place<C, S>>, peer: String) -> Self {
        place.clients.fetch_add(1, Ordering::AcqRel);
        let place = Arc::clone(place);
        Self { place, peer }
    }

    fn end(self, result: io::Result<()>) {
        if let Err(error) = result {
            let (monitor, peer) = (&self.place.label, &self.peer);
            tracing::info!(monitor, peer, %error, "client disconnected");
        }
    }
}

impl<C, S> Drop for Visit<C, S> {
    fn drop(&mut self) {
        self.place.clients.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<C, S> Clone for Monitor<C, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C, S> fmt::Debug for Config<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl<C, S> fmt::Debug for Server<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl<C, S> fmt::Debug for Monitor<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("id", &self.0.id)
            .field("label", &self.0.label)
            .finish_non_exhaustive()
    }
}
