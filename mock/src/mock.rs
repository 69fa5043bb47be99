//! A mock: what it is made of, and what it was asked.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinamou_qmp::Object;
use tinamou_qmp::session::{Greeting, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::{broadcast, watch};

use crate::answer::{Answer, Outcome, Received, Script};
use crate::base::Base;
use crate::fault::{Fault, Planted};
use crate::message;
use crate::rules::Rules;
use crate::schema::{Leniency, Schema};
use crate::session::Connection;

/// The version of a mock that was told none.
pub(crate) const VERSION: Version = Version {
    micro: 2,
    minor: 0,
    major: 10,
};

/// Events that may wait for a connection that is busy; older ones are lost to
/// it, as there is no server here that must not lose any.
const EVENTS: usize = 1024;

/// Requests that are remembered.
const JOURNAL: usize = 4096;

/// A made-up server. Clones share it.
#[derive(Clone, Debug)]
pub struct Mock(pub(crate) Arc<Core>);

/// What all connections share.
pub(crate) struct Core {
    pub(crate) schema: Schema,
    pub(crate) greeting: Greeting,
    pub(crate) faults: Vec<Planted>,
    leniency: Leniency,
    pub(crate) events: broadcast::Sender<Emitted>,
    unchecked: bool,
    strict: bool,
    observer: Option<Observer>,
    script: Mutex<Box<dyn Script>>,
    base: Mutex<Base>,
    journal: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    quit: watch::Sender<bool>,
}

/// An event on its way to all connections but the one that caused it.
#[derive(Clone, Debug)]
pub(crate) struct Emitted {
    pub(crate) line: Arc<[u8]>,
    pub(crate) by: Option<usize>,
}

/// Who hears of every command and of where its answer came from.
type Observer = Box<dyn Fn(&Received, Origin) + Send + Sync>;

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the script.
    Script,
    /// From what every mock does.
    Base,
    /// From nowhere but the schema.
    MadeUp,
    /// There was none, and a strict mock makes none up.
    Nowhere,
}

/// A mock in the making.
#[derive(Default)]
#[must_use]
pub struct Builder {
    schema: Option<Schema>,
    script: Option<Box<dyn Script>>,
    greeting: Option<Greeting>,
    faults: Vec<Planted>,
    strict: bool,
    unchecked: bool,
    observer: Option<Observer>,
}

impl Builder {
    /// Checks against this schema; the whole of QEMU's unless called.
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Answers by these rules, with the faults and the greeting among them.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.faults.extend_from_slice(rules.faults());
        self.greeting = rules.greeting().cloned().or(self.greeting);
        self.script(rules)
    }

    /// Answers by a script.
    pub fn script(mut self, script: impl Script + 'static) -> Self {
        self.script = Some(Box::new(script));
        self
    }

    /// Says who the server is.
    pub fn greeting(mut self, greeting: Greeting) -> Self {
        self.greeting = Some(greeting);
        self
    }

    /// Plants a fault.
    pub fn fault(mut self, fault: impl Into<Planted>) -> Self {
        self.faults.push(fault.into());
        self
    }

    /// Makes nothing up: commands that no rule answers are refused.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Leaves arguments to the script, right or wrong.
    pub fn unchecked(mut self) -> Self {
        self.unchecked = true;
        self
    }

    /// Tells someone of every command and of where its answer came from.
    pub fn observer(
        mut self,
        observer: impl Fn(&Received, Origin) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Makes it.
    #[must_use]
    pub fn build(self) -> Mock {
        let schema = self.schema.unwrap_or_else(Schema::whole);
        let greeting = self.greeting.unwrap_or_else(|| Greeting {
            version: VERSION,
            package: "qmp mock".to_owned(),
            oob: true,
        });
        let has = |fault| self.faults.iter().any(|planted| planted.fault == fault);
        let leniency = Leniency {
            unknown_members: has(Fault::UnknownArgumentAccepted),
            missing_members: has(Fault::MissingArgumentAccepted),
            types: has(Fault::WrongTypeAccepted),
            values: has(Fault::UnknownValueAccepted),
        };
        Mock(Arc::new(Core {
            base: Mutex::new(Base::new(&schema, &greeting, &self.faults)),
            schema,
            greeting,
            leniency,
            faults: self.faults,
            events: broadcast::Sender::new(EVENTS),
            unchecked: self.unchecked,
            strict: self.strict,
            observer: self.observer,
            script: Mutex::new(self.script.unwrap_or_else(|| Box::new(Rules::default()))),
            journal: Mutex::default(),
            connections: AtomicUsize::new(0),
            quit: watch::Sender::new(false),
        }))
    }
}

impl Mock {
    /// A mock in the making.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A mock with a single fault.
    #[must_use]
    pub fn with(fault: impl Into<Planted>) -> Self {
        Self::builder().fault(fault).build()
    }

    /// Serves one client until it leaves or is left.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
    ) -> io::Result<()> {
        let number = self.0.connections.fetch_add(1, Ordering::Relaxed);
        Connection::new(Arc::clone(&self.0), number)
            .run(stream)
            .await
    }

    /// Serves everyone who comes by a socket, until `quit` was sent.
    ///
    /// # Errors
    /// The socket fails.
    pub async fn accept(&self, listener: UnixListener) -> io::Result<()> {
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted?.0,
                () = self.quit() => return Ok(()),
            };
            let mock = self.clone();
            // A client that breaks off is no failure of the mock.
            tokio::spawn(async move { drop(mock.serve(stream).await) });
        }
    }

    /// Waits until a client has sent `quit`.
    pub async fn quit(&self) {
        let mut quit = self.0.quit.subscribe();
        drop(quit.wait_for(|&quit| quit).await);
    }

    /// Sends an event to every client that has negotiated.
    pub fn emit(&self, name: &str, data: Option<Object>) {
        self.0.emit(message::event(name, data).into(), None);
    }

    /// The commands that were sent and that the schema allows, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.0.journal).clone()
    }
}

impl Core {
    /// Whether the schema allows the command these arguments.
    pub(crate) fn check(&self, command: &str, arguments: &Object) -> tinamou_qmp::Result<()> {
        if self.unchecked {
            return Ok(());
        }
        let arguments = arguments.clone();
        self.schema
            .check_arguments(command, arguments, self.leniency)
    }

    /// What a request is answered with.
    pub(crate) fn answer(&self, request: &Received) -> Answer {
        let mut journal = lock(&self.journal);
        if journal.len() < JOURNAL {
            journal.push(request.clone());
        }
        drop(journal);
        let (answer, origin) = self.find_answer(request);
        if let Some(observer) = &self.observer {
            observer(request, origin);
        }
        answer
    }

    fn find_answer(&self, request: &Received) -> (Answer, Origin) {
        if let Some(answer) = lock(&self.script).answer(request) {
            return (answer, Origin::Script);
        }
        if let Some(answer) = lock(&self.base).answer(request.command) {
            return (answer, Origin::Base);
        }
        if self.strict {
            let desc = format!("No rule answers '{}'", request.command);
            let refused = Outcome::from(tinamou_qmp::Error::generic(desc));
            return (refused.into(), Origin::Nowhere);
        }
        let made_up = self.schema.example_return(request.command);
        (Outcome::Return(made_up).into(), Origin::MadeUp)
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Box<dyn Script>> {
        lock(&self.script)
    }

    pub(crate) fn emit(&self, line: Arc<[u8]>, by: Option<usize>) {
        // Nobody may be connected.
        let _ = self.events.send(Emitted { line, by });
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.faults.iter().any(|planted| planted.fault == fault)
    }

    pub(crate) fn set_quit(&self) {
        self.quit.send_replace(true);
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mock")
            .field("greeting", &self.greeting)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
