//! One request, with what can be said about how it is to be run.

use crate::client::{Client, Prepared, decode};
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::future::{Future, IntoFuture};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;
use tinamou_qmp::typed::Strictness;

/// Arguments as JSON text; empty if there are none.
#[derive(Debug, Default)]
pub(crate) struct Arguments(Vec<u8>);

impl Arguments {
    pub(crate) fn of(arguments: &impl Serialize) -> Result<Self> {
        let text = serde_json::to_vec(arguments)
            .map_err(|error| Error::usage(format!("the arguments have no JSON text: {error}")))?;
        match text.first() {
            Some(b'{') => Ok(Self(text)),
            Some(b'n') => Ok(Self::default()),
            _ => Err(Error::usage("arguments must be an object")),
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.0
    }
}

/// A request that is about to be sent: await it for its value, or say more.
#[derive(Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct Request<'a> {
    client: &'a Client,
    command: &'a str,
    arguments: Result<Arguments>,
    oob: bool,
    id: Option<&'a str>,
    fds: Vec<OwnedFd>,
    deadline: Option<Duration>,
    unanswered: bool,
    strictness: Strictness,
}

/// How long an error may take to come from a command whose success is silent.
const SILENCE: Duration = Duration::from_secs(1);

impl<'a> Request<'a> {
    pub(crate) fn new(client: &'a Client, command: &'a str, arguments: Result<Arguments>) -> Self {
        Self {
            client,
            command,
            arguments,
            oob: false,
            id: None,
            fds: Vec::new(),
            deadline: Some(client.deadline_of(command)),
            unanswered: false,
            strictness: client.strictness(),
        }
    }

    /// Runs it out of band: at once, whatever else is running. Few commands
    /// may be.
    pub fn oob(mut self, oob: bool) -> Self {
        self.oob = oob;
        self
    }

    /// How long to wait for the reply.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Waits for the reply as long as the connection lasts.
    pub fn no_deadline(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// What the reply's type does not know is an error then, with its place:
    /// members, and values of enumerations.
    pub fn strict(mut self) -> Self {
        self.strictness = Strictness::Strict;
        self
    }

    /// The command answers failures only, as `guest-shutdown` does: a second of
    /// silence, or the end of the connection, is success.
    pub fn unanswered(mut self) -> Self {
        self.unanswered = true;
        self.deadline(SILENCE)
    }

    /// Passes descriptors along, which the command (`getfd`, `add-fd`) finds.
    /// They are closed here once they are sent. Unix sockets only.
    pub fn fds(mut self, fds: Vec<OwnedFd>) -> Self {
        self.fds = fds;
        self
    }

    /// The id on the wire, instead of one that the client makes. It must not
    /// be that of another request under way.
    pub fn id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }

    /// Sends it; what it returned as a value, members in the server's order.
    ///
    /// # Errors
    /// The command failed, its deadline passed, or the connection ended.
    pub async fn value(self) -> Result<Value> {
        self.decode().await
    }

    /// Sends it; what it returned as a type of the caller's.
    ///
    /// # Errors
    /// As [`value`](Self::value), or the reply does not have the type's form.
    pub async fn decode<T: DeserializeOwned>(self) -> Result<T> {
        let (command, strictness) = (self.command, self.strictness);
        decode(command, &self.raw().await?, strictness)
    }

    /// Sends it; the JSON text of what it returned.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub async fn raw(self) -> Result<Box<RawValue>> {
        let prepared = Prepared {
            command: self.command,
            arguments: self.arguments?,
            oob: self.oob,
            id: self.id,
            fds: self.fds,
            deadline: self.deadline,
        };
        match self.client.send(prepared).await {
            Err(Error::Unresponsive { .. } | Error::Disconnected { .. }) if self.unanswered => {
                Ok(RawValue::from_string("{}".to_owned()).expect("an object is JSON"))
            }
            reply => reply,
        }
    }
}

impl<'a> IntoFuture for Request<'a> {
    type Output = Result<Value>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.value())
    }
}
