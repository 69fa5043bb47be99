//! The client: a handle on a connection that many may share.

use crate::connection::{Connection, Waiter};
use crate::error::Stage;
use crate::events::{EventMessage, Events, Log};
use crate::reconnect::supervise;
use crate::request::{Arguments, Request};
use crate::schema::Schema;
use crate::transport::Listener;
use crate::{Address, Builder, Closed, Error, Result};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tinamou_qmp::client::{Greeting, Request as WireRequest, RequestId, wire_id};
use tinamou_qmp::typed::{self, Strictness, TypedCommand};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

/// A client of a QMP server or a guest agent.
///
/// Handles are cheap to clone and may be used from many tasks at once. Any
/// future may be dropped at any time: the reply is then discarded when it
/// comes, and the connection is as good as before. When the last handle and
/// the last reader of events is gone, the connection is closed.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) builder: Builder,
    pub(crate) log: Arc<Log>,
    current: Mutex<Arc<Connection>>,
    /// Told when there is another connection.
    replaced: watch::Sender<()>,
    closed: watch::Sender<Option<Closed>>,
    schema: tokio::sync::Mutex<Option<Arc<Schema>>>,
    /// Whether there will be another connection when this one ends.
    reconnects: bool,
    /// Told when no other connection is wanted.
    closing: Arc<Notify>,
    /// The connection ends with this.
    owner: bool,
}

/// What is to be sent, ready to go.
pub(crate) struct Prepared<'a> {
    pub(crate) command: &'a str,
    pub(crate) arguments: Arguments,
    pub(crate) oob: bool,
    pub(crate) id: Option<&'a str>,
    pub(crate) fds: Vec<OwnedFd>,
    /// `None`: for ever.
    pub(crate) deadline: Option<Duration>,
}

impl Client {
    /// Connects to a monitor, with ordinary deadlines.
    ///
    /// # Errors
    /// Nobody is there, does not answer in time, or is no QMP server.
    pub async fn connect(address: &Address) -> Result<Self> {
        Self::builder().connect(address).await
    }

    /// Listens for servers that connect by themselves.
    ///
    /// # Errors
    /// The address is taken, or of a kind that cannot be listened on.
    pub async fn listen(address: &Address) -> Result<Listener> {
        Self::builder().listen(address).await
    }

    /// What may be chosen about a client.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs a command by its name. Arguments are anything that serialises to
    /// an object, or `()`.
    ///
    /// # Errors
    /// The command failed, its deadline passed, or the connection ended.
    pub async fn execute(&self, command: &str, arguments: impl Serialize) -> Result<Value> {
        self.request(command, arguments).value().await
    }

    /// Runs a command that has a type.
    ///
    /// # Errors
    /// The command failed, its deadline passed, the connection ended, or the
    /// reply does not have the command's form.
    pub async fn call<C: TypedCommand>(&self, command: C) -> Result<C::Return> {
        if !C::SUCCESS_RESPONSE {
            return self.request(C::NAME, command).unanswered().decode().await;
        }
        let prepared = Prepared {
            command: C::NAME,
            arguments: Arguments::of(&command)?,
            oob: false,
            id: None,
            fds: Vec::new(),
            deadline: Some(self.deadline_of(C::NAME)),
        };
        let reply = self.send(prepared).await?;
        decode(C::NAME, &reply, self.strictness())
    }

    /// A request with more to say: out of band, another deadline, descriptors
    /// that go along. Await it, or one of its methods.
    pub fn request<'a>(&'a self, command: &'a str, arguments: impl Serialize) -> Request<'a> {
        Request::new(self, command, Arguments::of(&arguments))
    }

    /// The events from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.events_after(self.inner.log.last())
    }

    /// The events whose number exceeds `sequence`, as far as the history holds
    /// them: `0` for all of it.
    #[must_use]
    pub fn events_after(&self, sequence: u64) -> Events {
        Events::new(Arc::clone(&self.inner.log), sequence).keeping(self.clone())
    }

    /// Runs a command and waits for an event that it leads to, within one
    /// deadline. The event is waited for from before the command is sent, so
    /// it cannot be missed.
    ///
    /// # Errors
    /// As [`execute`](Self::execute); or the event did not come in time, or
    /// cannot come any more.
    pub async fn execute_and_wait(
        &self,
        command: &str,
        arguments: impl Serialize,
        predicate: impl FnMut(&EventMessage) -> bool,
        deadline: Duration,
    ) -> Result<(Value, EventMessage)> {
        let events = self.events();
        let request = self.request(command, arguments).deadline(deadline);
        let began = Instant::now();
        let value = request.value().await?;
        let left = deadline.saturating_sub(began.elapsed());
        let event = self.wait(events, predicate, left).await;
        Ok((
            value,
            event.map_err(|error| about(error, command, deadline))?,
        ))
    }

    /// As [`execute_and_wait`](Self::execute_and_wait), for a command that has
    /// a type.
    ///
    /// # Errors
    /// The same.
    pub async fn call_and_wait<C: TypedCommand>(
        &self,
        command: C,
        predicate: impl FnMut(&EventMessage) -> bool,
        deadline: Duration,
    ) -> Result<(C::Return, EventMessage)> {
        let events = self.events();
        let request = self.request(C::NAME, &command).deadline(deadline);
        let began = Instant::now();
        let value = request.decode().await?;
        let left = deadline.saturating_sub(began.elapsed());
        let event = self.wait(events, predicate, left).await;
        Ok((
            value,
            event.map_err(|error| about(error, C::NAME, deadline))?,
        ))
    }

    /// Waits for an event.
    ///
    /// # Errors
    /// It did not come in time, or cannot come any more.
    pub async fn wait(
        &self,
        mut events: Events,
        mut predicate: impl FnMut(&EventMessage) -> bool,
        deadline: Duration,
    ) -> Result<EventMessage> {
        let search = async {
            loop {
                match events.next().await {
                    Some(event) if predicate(&event) => return Ok(event),
                    Some(_) => {}
                    None => return Err(self.disconnected("")),
                }
            }
        };
        let late = || Error::Unresponsive {
            stage: Stage::Event,
            after: deadline,
            command: String::new(),
        };
        timeout(deadline, search).await.map_err(|_| late())?
    }

    /// The server's interface, as it describes it; asked for once.
    ///
    /// # Errors
    /// The server does not describe it, or not in this form.
    pub async fn schema(&self) -> Result<Arc<Schema>> {
        let mut known = self.inner.schema.lock().await;
        if let Some(schema) = &*known {
            return Ok(Arc::clone(schema));
        }
        let reply = self.request("query-qmp-schema", ()).raw().await?;
        let schema = Arc::new(Schema::read(reply.get())?);
        *known = Some(Arc::clone(&schema));
        Ok(schema)
    }

    /// What the server said of itself; a guest agent says nothing.
    #[must_use]
    pub fn greeting(&self) -> Option<Greeting> {
        self.connection().greeting()
    }

    /// Whether commands may be run out of band.
    #[must_use]
    pub fn oob(&self) -> bool {
        self.connection().oob()
    }

    /// Replies that came without having been asked for.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.connection().strays()
    }

    /// Waits for the end of the connection, and says how it ended.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.inner.closed.subscribe();
        match closed.wait_for(Option::is_some).await {
            Ok(closed) => closed.clone().unwrap_or(Closed::Here),
            Err(_) => Closed::Here,
        }
    }

    /// Closes the connection. Those who wait for replies are told.
    pub async fn close(&self) {
        self.inner.closing.notify_one();
        self.connection().close();
        self.closed().await;
    }

    pub(crate) fn strictness(&self) -> Strictness {
        self.inner.builder.strictness
    }

    pub(crate) fn deadline_of(&self, command: &str) -> Duration {
        self.inner.builder.deadlines.of(command)
    }

    pub(crate) async fn send(&self, prepared: Prepared<'_>) -> Result<Box<RawValue>> {
        let began = Instant::now();
        let connection = self.usable(&prepared).await?;
        let (reply, waiting) = oneshot::channel();
        let request = WireRequest {
            command: prepared.command,
            arguments: prepared.arguments.text(),
            oob: prepared.oob,
            id: prepared.id,
            carries: !prepared.fds.is_empty(),
        };
        let waiter = Waiter {
            reply,
            fds: prepared.fds,
        };
        let mut call = Call {
            id: connection.submit(&request, waiter)?,
            connection: &connection,
            answered: false,
        };
        let answer = match prepared.deadline {
            Some(deadline) => {
                timeout(deadline, waiting)
                    .await
                    .map_err(|_| Error::Unresponsive {
                        stage: Stage::Call,
                        after: deadline,
                        command: prepared.command.to_owned(),
                    })?
            }
            None => waiting.await,
        };
        call.answered = true;
        match answer.unwrap_or(Err(Closed::Here)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(reply)) => {
                let id = prepared.id.map_or_else(|| wire_id(call.id), str::to_owned);
                let command = prepared.command;
                Err(Error::command(reply, command, id, began.elapsed()))
            }
            Err(closed) => Err(closed.into_error(prepared.command)),
        }
    }

    /// Sends a request whose reply nobody waits for, if it can be sent at once.
    pub(crate) fn post(&self, command: &str, arguments: &Value) {
        let arguments = arguments.to_string();
        let request = WireRequest {
            command,
            arguments: arguments.as_bytes(),
            oob: false,
            id: None,
            carries: false,
        };
        let (reply, _) = oneshot::channel();
        let fds = Vec::new();
        // The connection has ended: then so has what the request is about.
        let _ = self.connection().submit(&request, Waiter { reply, fds });
    }

    pub(crate) fn connection(&self) -> Arc<Connection> {
        self.inner.connection()
    }

    /// The connection, or the next one if this one has ended and another will
    /// follow within the deadline.
    async fn usable(&self, prepared: &Prepared<'_>) -> Result<Arc<Connection>> {
        let inner = &self.inner;
        let mut replaced = inner.replaced.subscribe();
        let connection = inner.connection();
        if !inner.reconnects || !connection.is_over() {
            return Ok(connection);
        }
        let next = async {
            tokio::select! {
                _ = replaced.changed() => Ok(inner.connection()),
                closed = self.closed() => Err(closed.into_error(prepared.command)),
            }
        };
        match prepared.deadline {
            None => next.await,
            Some(after) => timeout(after, next)
                .await
                .map_err(|_| Error::Unresponsive {
                    stage: Stage::Connect,
                    after,
                    command: prepared.command.to_owned(),
                })?,
        }
    }

    fn disconnected(&self, command: &str) -> Error {
        let closed = self.inner.closed.borrow().clone();
        closed.unwrap_or(Closed::Here).into_error(command)
    }

    /// A client on a connection that is ready, whose task begins to run.
    pub(crate) fn start(
        builder: Builder,
        log: Arc<Log>,
        connection: Arc<Connection>,
        address: Option<Address>,
    ) -> Self {
        let plan = builder.reconnect.clone().zip(address);
        let mut inner = Inner::new(builder, Arc::clone(&log), Arc::clone(&connection));
        inner.reconnects = plan.is_some();
        let inner = Arc::new(inner);
        let closing = Arc::clone(&inner.closing);
        let task = supervise(Arc::downgrade(&inner), log, connection, plan, closing);
        tokio::spawn(task);
        Self { inner }
    }

    /// A client that borrows a connection, whose task somebody else runs.
    pub(crate) fn passing(inner: &Inner, connection: Arc<Connection>) -> Self {
        let mut passing = Inner::new(inner.builder.clone(), Arc::clone(&inner.log), connection);
        passing.owner = false;
        Self {
            inner: Arc::new(passing),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("greeting", &self.greeting())
            .field("closed", &*self.inner.closed.borrow())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn new(builder: Builder, log: Arc<Log>, connection: Arc<Connection>) -> Self {
        Self {
            builder,
            log,
            current: Mutex::new(connection),
            replaced: watch::Sender::new(()),
            closed: watch::Sender::new(None),
            schema: tokio::sync::Mutex::new(None),
            reconnects: false,
            closing: Arc::default(),
            owner: true,
        }
    }

    /// Goes on over another connection.
    pub(crate) fn replace(&self, connection: Arc<Connection>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = connection;
        // A server that was started anew may be another one.
        if let Ok(mut schema) = self.schema.try_lock() {
            *schema = None;
        }
        self.replaced.send_replace(());
    }

    /// Says that it is over for good.
    pub(crate) fn finish(&self, end: Closed) {
        self.closed.send_replace(Some(end));
    }

    fn connection(&self) -> Arc<Connection> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.owner {
            self.closing.notify_one();
            self.connection().close();
        }
    }
}

/// A call under way. Dropped before its answer it is forgotten, so that the
/// late reply is dropped too.
struct Call<'a> {
    connection: &'a Connection,
    id: RequestId,
    answered: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.forget(self.id);
        }
    }
}

pub(crate) fn decode<T: serde::de::DeserializeOwned>(
    of: &str,
    reply: &RawValue,
    strictness: Strictness,
) -> Result<T> {
    typed::decode_as(reply.get(), strictness).map_err(|error| Error::decode(of, error))
}

/// Names the command after which an event was waited for.
fn about(error: Error, command: &str, deadline: Duration) -> Error {
    match error {
        Error::Unresponsive { stage, .. } => Error::Unresponsive {
            stage,
            after: deadline,
            command: command.to_owned(),
        },
        Error::Disconnected { closed, .. } => Error::Disconnected {
            closed,
            command: command.to_owned(),
        },
        error => error,
    }
}
