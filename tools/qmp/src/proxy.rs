//! Many clients on one monitor.
//!
//! ```text
//! client ── front ──▶ policy ──▶ behind ──▶ the server
//! client ◀─ front ◀── mailbox ◀── behind ◀── replies to one, events to all
//! ```
//!
//! Each client has a `front` with a session of its own, the same as in a
//! server: it negotiates for itself, and its requests run one after another.
//! One task, `behind`, holds the connection to the server. Between the two
//! go a channel of calls, at most two of each client's, and a mailbox per
//! client, whose size is limited.
//!
//! It knows no command's meaning, but which ones take descriptors.

mod audit;
mod behind;
mod front;
mod mailbox;
mod metrics;
mod policy;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_client::Builder;
use tinamou_mock::Schema;
use tinamou_qmp::Value;
use tinamou_qmp::session::{Greeting, Version};
use tokio::sync::mpsc;

pub use audit::Audit;
pub use behind::{Behind, Link, Lost};
pub use mailbox::Slow;
pub use metrics::{Metrics, serve as serve_metrics};
pub use policy::{CommandPattern, Policy, Rule};

use crate::listen::{Arrival, Listener};
use crate::recording::Redaction;
use behind::Message;
use front::Front;
use mailbox::Mailbox;

/// How long to wait when the process has no descriptors to spare.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// What may be chosen about a proxy.
#[derive(Debug)]
pub struct Config {
    /// How to connect to the server.
    pub server: Builder,
    /// Who may do what.
    pub policy: Policy,
    /// Where it is written down.
    pub audit: Option<Audit>,
    /// What the log of it hides, besides passwords and secrets.
    pub redact: Vec<Redaction>,
    /// What becomes of clients that do not read.
    pub slow: Slow,
    /// The bytes that may wait for a client.
    pub backlog: usize,
}

/// A proxy. Clones share it.
#[derive(Clone, Debug)]
pub struct Proxy(Arc<Core>);

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Core {
    config: Config,
    metrics: Metrics,
    clients: Mutex<BTreeMap<u64, Arc<Mailbox>>>,
    numbers: AtomicU64,
    server: Mutex<Arc<Server>>,
    calls: mpsc::UnboundedSender<Message>,
}

/// What is known of the server behind.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) greeting: Greeting,
    pub(crate) schema: Schema,
}

impl Proxy {
    /// A proxy without clients; `Behind::run` connects it.
    #[must_use]
    pub fn new(config: Config) -> (Self, Behind) {
        let (calls, received) = mpsc::unbounded_channel();
        let core = Arc::new(Core {
            config,
            metrics: Metrics::default(),
            clients: Mutex::default(),
            numbers: AtomicU64::new(0),
            server: Mutex::new(Arc::new(Server::unknown())),
            calls,
        });
        (Self(Arc::clone(&core)), Behind::new(core, received))
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Serves everyone who comes.
    ///
    /// # Errors
    /// The listener is broken.
    pub async fn serve(&self, listener: &Listener) -> io::Result<()> {
        loop {
            match listener.accept().await {
                Ok(arrival) => self.admit(arrival),
                Err(error) if is_passing(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Disconnects everyone, after what waits for them was sent.
    pub fn dismiss(&self) {
        for mailbox in self.0.clients().values() {
            mailbox.close();
        }
    }

    /// How many clients are connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.0.clients().len()
    }

    fn admit(&self, arrival: Arrival) {
        let core = Arc::clone(&self.0);
        tokio::spawn(async move {
            let Ok(connected) = arrival.identify().await else {
                core.metrics.refused();
                return;
            };
            let number = core.numbers.fetch_add(1, Ordering::Relaxed);
            let Some(rule) = core.config.policy.rule(&connected.peer) else {
                core.metrics.refused();
                core.audit(|audit| audit.turned_away(number, &connected.peer));
                return;
            };
            // Boxed, since what a task awaits takes its room twice.
            Box::new(Front::new(core, number, connected, rule))
                .run()
                .await;
        });
    }
}

impl Core {
    fn clients(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Mailbox>>> {
        lock(&self.clients)
    }

    fn server(&self) -> Arc<Server> {
        Arc::clone(&lock(&self.server))
    }

    fn set_server(&self, server: Server) {
        *lock(&self.server) = Arc::new(server);
    }

    /// Writes to the log, if there is one.
    fn audit(&self, write: impl FnOnce(&Audit) -> io::Result<()>) {
        if let Some(audit) = &self.config.audit
            && write(audit).is_err()
        {
            self.metrics.audit_failed();
        }
    }
}

impl Server {
    /// What clients see before the server was ever reached.
    fn unknown() -> Self {
        Self {
            greeting: Greeting {
                version: Version {
                    micro: 0,
                    minor: 0,
                    major: 0,
                },
                package: String::new(),
                oob: false,
            },
            schema: Schema::of_commands([]),
        }
    }

    /// What a server tells of itself.
    fn read(greeting: &tinamou_qmp::client::Greeting, introspection: &str) -> Option<Self> {
        let introspection: Value = serde_json::from_str(introspection).ok()?;
        let version = greeting.version.qemu;
        Some(Self {
            greeting: Greeting {
                version: Version {
                    micro: version.micro,
                    minor: version.minor,
                    major: version.major,
                },
                package: greeting.version.package.clone(),
                oob: greeting.capabilities.iter().any(|name| name == "oob"),
            },
            schema: Schema::from_introspection(introspection).ok()?,
        })
    }
}

/// Whether accepting may work again later.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::CONNABORTED,
        Errno::INTR,
    ];
    Errno::from_io_error(error).is_some_and(|error| passing.contains(&error))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
