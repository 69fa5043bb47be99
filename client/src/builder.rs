//! What may be chosen about a client, and how one comes to be.

use crate::connection::{Connection, Progress};
use crate::deadlines::Deadlines;
use crate::error::Stage;
use crate::events::{Log, Room};
use crate::transport::{self, Foreign, Transport};
use crate::{Address, Client, Error, Result, Stream};
use std::sync::Arc;
use std::time::Duration;
use tinamou_qmp::client::{LONGEST_MESSAGE, Peer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// What may be chosen about a client.
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until it connects"]
pub struct Builder {
    pub(crate) deadlines: Deadlines,
    peer: Peer,
    longest_message: usize,
    history: Room,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            peer: Peer::Monitor { oob: true },
            longest_message: LONGEST_MESSAGE,
            history: Room {
                events: 1024,
                bytes: 1 << 20,
            },
        }
    }
}

impl Builder {
    /// How long to wait for what.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Whether to ask for out-of-band execution, if the server offers it; on
    /// unless told otherwise.
    pub fn oob(mut self, oob: bool) -> Self {
        if let Peer::Monitor { oob: asked } = &mut self.peer {
            *asked = oob;
        }
        self
    }

    /// Talks to a guest agent, which neither greets nor negotiates nor sends
    /// events, and which is synchronised with instead.
    pub fn agent(mut self) -> Self {
        self.peer = Peer::Agent;
        self
    }

    /// The longest message to take, in bytes: 64 MiB unless told otherwise. A
    /// server that sends a longer one is hung up on.
    pub fn longest_message(mut self, bytes: usize) -> Self {
        self.longest_message = bytes;
        self
    }

    /// How many events are kept for those who read them late, and how many
    /// bytes they may take: 1024 and 1 MiB unless told otherwise.
    pub fn history(mut self, events: usize, bytes: usize) -> Self {
        self.history = Room {
            events: events.max(1),
            bytes,
        };
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody is there, does not answer in time, or is no QMP server.
    pub async fn connect(self, address: &Address) -> Result<Client> {
        let stream = transport::connect(address, &self.deadlines).await?;
        self.over(stream).await
    }

    /// Connects and leaves it at that: nothing is read or written.
    ///
    /// # Errors
    /// Nobody listens there, or does not answer in time.
    pub async fn dial(&self, address: &Address) -> Result<Stream> {
        let stream = transport::connect(address, &self.deadlines).await?;
        Ok(Stream::new(stream))
    }

    /// A client over a stream that is connected already.
    ///
    /// # Errors
    /// The other end does not answer in time, or is no QMP server.
    pub async fn connect_over<S>(self, stream: S) -> Result<Client>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.over(Box::new(Foreign(stream))).await
    }

    async fn over(self, stream: Box<dyn Transport>) -> Result<Client> {
        let log = Arc::new(Log::new(self.history));
        let connection = self.open(stream, &log).await?;
        let (client, task) = Client::start(self, log, connection);
        tokio::spawn(task);
        Ok(client)
    }

    /// Greets and negotiates.
    async fn open(&self, stream: Box<dyn Transport>, log: &Arc<Log>) -> Result<Arc<Connection>> {
        let connection = Connection::new(stream, self.peer, self.longest_message, Arc::clone(log));
        if matches!(self.peer, Peer::Monitor { .. }) {
            let greeted = connection.until(Progress::Greeted);
            within(Stage::Greeting, self.deadlines.greeting, greeted).await?;
            let negotiated = connection.until(Progress::Negotiated);
            within(Stage::Negotiation, self.deadlines.negotiation, negotiated).await?;
        }
        Ok(connection)
    }
}

/// Bounds a stage by its deadline.
async fn within<T>(
    stage: Stage,
    deadline: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    timeout(deadline, work).await.unwrap_or_else(|_| {
        Err(Error::Unresponsive {
            stage,
            after: deadline,
            command: String::new(),
        })
    })
}
