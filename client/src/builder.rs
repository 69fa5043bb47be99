//! What may be chosen about a client, and how one comes to be.

use crate::agent;
use crate::connection::{Connection, Progress};
use crate::deadlines::Deadlines;
use crate::error::Stage;
use crate::events::{Log, Room};
use crate::reconnect::Reconnect;
use crate::transport::{self, Foreign, Listener, Tls, Transport};
use crate::{Address, Client, Error, Result, Stream};
use std::sync::Arc;
use std::time::Duration;
use tinamou_qmp::client::{LONGEST_MESSAGE, Peer};
use tinamou_qmp::typed::Strictness;
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
    pub(crate) strictness: Strictness,
    pub(crate) tls: Option<Tls>,
    pub(crate) reconnect: Option<Reconnect>,
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
            strictness: Strictness::Tolerant,
            tls: None,
            reconnect: None,
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

    /// Makes replies to typed calls that say more than their types know an
    /// error: to find out where an interface has grown.
    pub fn strict(mut self) -> Self {
        self.strictness = Strictness::Strict;
        self
    }

    /// Whom to trust over TLS, and who we are.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Connects again whenever the connection has ended, other than by
    /// [`Client::close`]. Calls that were under way fail, since nobody knows
    /// whether they were carried out; calls made meanwhile wait, within their
    /// deadlines. Events go on in the same numbering.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody is there, does not answer in time, or is no QMP server.
    pub async fn connect(self, address: &Address) -> Result<Client> {
        let stream = transport::connect(address, &self).await?;
        self.over(stream, Some(address.clone())).await
    }

    /// Listens for servers that connect by themselves.
    ///
    /// # Errors
    /// The address is taken, or of a kind that cannot be listened on.
    pub async fn listen(self, address: &Address) -> Result<Listener> {
        Listener::new(address, self).await
    }

    /// Connects and leaves it at that: nothing is read or written.
    ///
    /// # Errors
    /// Nobody listens there, or does not answer in time.
    pub async fn dial(&self, address: &Address) -> Result<Stream> {
        let stream = transport::connect(address, self).await?;
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
        self.over(Box::new(Foreign(stream)), None).await
    }

    pub(crate) async fn over(
        self,
        stream: Box<dyn Transport>,
        address: Option<Address>,
    ) -> Result<Client> {
        let log = Arc::new(Log::new(self.history));
        let connection = self.open(stream, &log).await?;
        Ok(Client::start(self, log, connection, address))
    }

    /// Greets and negotiates, or synchronises with an agent.
    pub(crate) async fn open(
        &self,
        stream: Box<dyn Transport>,
        log: &Arc<Log>,
    ) -> Result<Arc<Connection>> {
        let connection = Connection::new(stream, self.peer, self.longest_message, Arc::clone(log));
        let Deadlines {
            greeting,
            negotiation,
            ..
        } = self.deadlines;
        match self.peer {
            Peer::Monitor { .. } => {
                let greeted = connection.until(Progress::Greeted);
                within(Stage::Greeting, greeting, greeted).await?;
                let negotiated = connection.until(Progress::Negotiated);
                within(Stage::Negotiation, negotiation, negotiated).await?;
            }
            Peer::Agent => {
                let synchronised = agent::synchronise(&connection);
                within(Stage::Synchronisation, greeting, synchronised).await?;
            }
        }
        Ok(connection)
    }
}

/// Bounds a stage by its deadline.
pub(crate) async fn within<T>(
    stage: Stage,
    after: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let late = |_| Error::Unresponsive {
        stage,
        after,
        command: String::new(),
    };
    timeout(after, work).await.map_err(late)?
}
