//! The client for programs without a runtime: the same verbs, each of which
//! waits.
//!
//! There is no thread behind it. Whoever waits moves the bytes, for all who
//! share the connection; between calls nothing is read, and the server keeps
//! events until the next call. A process may fork or become a daemon before
//! its first call without leaving anything behind.
//!
//! ```no_run
//! use tinamou_client::blocking::Client;
//!
//! let client = Client::connect(&"/run/vm.sock".parse()?)?;
//! println!("{}", client.execute("query-status", ())?);
//! # Ok::<(), tinamou_client::Error>(())
//! ```

use crate::{Address, Builder, Closed, EventMessage, Greeting, Request, Result, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tinamou_qmp::typed::TypedCommand;
use tokio::runtime::Runtime;

/// A client whose calls wait. Handles are cheap to clone and may be used from
/// many threads at once, but not from within an asynchronous task.
#[derive(Clone, Debug)]
pub struct Client {
    // Dropped before what it runs on.
    client: crate::Client,
    runtime: Arc<Runtime>,
}

impl Client {
    /// Connects to a monitor, with ordinary deadlines.
    ///
    /// # Errors
    /// Nobody is there, does not answer in time, or is no QMP server.
    pub fn connect(address: &Address) -> Result<Self> {
        Self::build(Builder::default(), address)
    }

    /// Connects as the builder says.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn build(builder: Builder, address: &Address) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = runtime.block_on(builder.connect(address))?;
        Ok(Self {
            client,
            runtime: Arc::new(runtime),
        })
    }

    /// Runs a command by its name. Arguments are anything that serialises to
    /// an object, or `()`.
    ///
    /// # Errors
    /// The command failed, its deadline passed, or the connection ended.
    pub fn execute(&self, command: &str, arguments: impl Serialize) -> Result<Value> {
        self.wait(self.client.execute(command, arguments))
    }

    /// Runs a command that has a type.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), or the reply does not have the command's
    /// form.
    pub fn call<C: TypedCommand>(&self, command: C) -> Result<C::Return> {
        self.wait(self.client.call(command))
    }

    /// A request with more to say; sent by one of the methods that wait.
    pub fn request<'a>(&'a self, command: &'a str, arguments: impl Serialize) -> Waiting<'a> {
        Waiting {
            client: self,
            request: self.client.request(command, arguments),
        }
    }

    /// Runs a command and waits for an event that it leads to, within one
    /// deadline. The event cannot be missed.
    ///
    /// # Errors
    /// As [`execute`](Self::execute); or the event did not come in time, or
    /// cannot come any more.
    pub fn execute_and_wait(
        &self,
        command: &str,
        arguments: impl Serialize,
        predicate: impl FnMut(&EventMessage) -> bool,
        deadline: Duration,
    ) -> Result<(Value, EventMessage)> {
        self.wait(
            self.client
                .execute_and_wait(command, arguments, predicate, deadline),
        )
    }

    /// The events from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events {
            events: self.client.events(),
            runtime: Arc::clone(&self.runtime),
        }
    }

    /// The server's interface, as it describes it; asked for once.
    ///
    /// # Errors
    /// The server does not describe it, or not in this form.
    pub fn schema(&self) -> Result<Arc<Schema>> {
        self.wait(self.client.schema())
    }

    /// What the server said of itself; a guest agent says nothing.
    #[must_use]
    pub fn greeting(&self) -> Option<Greeting> {
        self.client.greeting()
    }

    /// Waits for the end of the connection, and says how it ended.
    #[must_use]
    pub fn closed(&self) -> Closed {
        self.wait(self.client.closed())
    }

    /// Closes the connection.
    pub fn close(&self) {
        self.wait(self.client.close());
    }

    /// The client below, whose futures [`wait`](Self::wait) waits for: for
    /// what has no verb here, such as [recipes](crate::recipes).
    #[must_use]
    pub fn asynchronous(&self) -> &crate::Client {
        &self.client
    }

    /// Waits for a future, and moves the connection's bytes meanwhile.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

/// A request that is about to be sent.
#[derive(Debug)]
#[must_use = "a request is sent by one of its methods that wait"]
pub struct Waiting<'a> {
    client: &'a Client,
    request: Request<'a>,
}

impl<'a> Waiting<'a> {
    /// Runs it out of band.
    pub fn oob(mut self, oob: bool) -> Self {
        self.request = self.request.oob(oob);
        self
    }

    /// How long to wait for the reply.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.request = self.request.deadline(deadline);
        self
    }

    /// Waits for the reply as long as the connection lasts.
    pub fn no_deadline(mut self) -> Self {
        self.request = self.request.no_deadline();
        self
    }

    /// What the reply's type does not know is an error then.
    pub fn strict(mut self) -> Self {
        self.request = self.request.strict();
        self
    }

    /// Passes descriptors along.
    pub fn fds(mut self, fds: Vec<OwnedFd>) -> Self {
        self.request = self.request.fds(fds);
        self
    }

    /// Sends it; what it returned as a value.
    ///
    /// # Errors
    /// The command failed, its deadline passed, or the connection ended.
    pub fn value(self) -> Result<Value> {
        self.client.wait(self.request.value())
    }

    /// Sends it; what it returned as a type of the caller's.
    ///
    /// # Errors
    /// As [`value`](Self::value), or the reply does not have the type's form.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T> {
        self.client.wait(self.request.decode())
    }
}

/// A reader of events that waits for them: an iterator until the connection
/// ends.
#[derive(Debug)]
pub struct Events {
    events: crate::Events,
    runtime: Arc<Runtime>,
}

impl Events {
    /// Only events with these names.
    #[must_use]
    pub fn only<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.events = self.events.only(names);
        self
    }

    /// The next event, if it comes within this time.
    pub fn next_within(&mut self, time: Duration) -> Option<EventMessage> {
        let next = self.events.next();
        let within = async { tokio::time::timeout(time, next).await };
        self.runtime.block_on(within).ok().flatten()
    }

    /// Events that went by unseen, because the history was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.events.dropped()
    }
}

impl Iterator for Events {
    type Item = EventMessage;

    fn next(&mut self) -> Option<EventMessage> {
        self.runtime.block_on(self.events.next())
    }
}
