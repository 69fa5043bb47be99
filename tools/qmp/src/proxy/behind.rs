//! The connection to the server behind the proxy, and how it comes back.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tinamou_client::{Address, Error, Stage, Stream};
use tinamou_qmp::client::{
    ErrorReply, Event, Fault, Incoming, LONGEST_MESSAGE, Peer, Request, RequestId, Session,
};
use tinamou_qmp::session::Ticket;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::mailbox::{Delivery, Mailbox};
use super::{Core, Server};

/// How long a server may take to greet, negotiate and tell of itself.
const GREETING: Duration = Duration::from_secs(10);

/// How long to wait before connecting again: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Bytes that are read at once.
const READ: usize = 32 << 10;

/// From a front.
#[derive(Debug)]
pub(super) enum Message {
    Call(Box<Call>),
    /// The client has left; nobody waits for its calls.
    Gone(u64),
}

/// A command on its way to the server.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) client: u64,
    pub(super) command: &'static str,
    /// JSON text.
    pub(super) arguments: Vec<u8>,
    pub(super) oob: bool,
    pub(super) fds: Vec<OwnedFd>,
    pub(super) ticket: Ticket,
    pub(super) mailbox: Arc<Mailbox>,
}

/// Who waits for a reply of the server's.
#[derive(Debug)]
enum Token {
    Client(Box<Call>, Instant),
    /// The proxy itself, for what the server tells of itself.
    Introspection,
}

/// The side of a proxy that talks to the server.
#[derive(Debug)]
pub struct Behind {
    core: Arc<Core>,
    calls: mpsc::UnboundedReceiver<Message>,
}

/// A connection that was made.
#[derive(Debug)]
pub struct Link {
    stream: Stream,
    session: Session<Token>,
    /// Calls under way, by client.
    calls: HashMap<u64, Vec<RequestId>>,
    unflushed: bool,
}

impl Behind {
    pub(super) fn new(core: Arc<Core>, calls: mpsc::UnboundedReceiver<Message>) -> Self {
        Self { core, calls }
    }

    /// Connects for the first time, so that faults of the command line show
    /// at once.
    ///
    /// # Errors
    /// The server is not there, does not answer, or is none.
    pub async fn connect(&self, address: &Address) -> Result<Link, Error> {
        let stream = self.core.config.server.dial(address).await?;
        let mut link = Link {
            stream,
            session: Session::new(Peer::Monitor { oob: true }, LONGEST_MESSAGE),
            calls: HashMap::new(),
            unflushed: false,
        };
        let known = timeout(
            GREETING,
            poll_fn(|cx| link.poll_introduction(cx, &self.core)),
        );
        let late = |_| Error::Unresponsive {
            stage: Stage::Greeting,
            after: GREETING,
            command: String::new(),
        };
        let server = known.await.map_err(late)??;
        self.core.set_server(server);
        self.core.metrics.connected(true);
        Ok(link)
    }

    /// Passes calls and replies on until the server is lost. What was under
    /// way is answered with an error.
    pub async fn pass(&mut self, mut link: Link) -> Lost {
        let why = poll_fn(|cx| link.poll_pass(cx, &self.core, &mut self.calls)).await;
        self.core.metrics.connected(false);
        for (_, token) in link.session.end() {
            if let Token::Client(call, _) = token {
                let reason = "The server behind the proxy was lost before it answered";
                call.refuse(&self.core, reason);
            }
        }
        why
    }

    /// Connects again, as often as it takes. Calls are refused meanwhile.
    pub async fn reconnect(&mut self, address: &Address) -> Link {
        let mut wait = FIRST_WAIT;
        loop {
            self.refuse_calls(sleep(wait)).await;
            let connecting = Self::connect_for(Arc::clone(&self.core), address);
            if let Ok(link) = self.refuse_calls(connecting).await {
                self.core.metrics.reconnected();
                return link;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// As [`connect`](Self::connect), while calls can be taken.
    async fn connect_for(core: Arc<Core>, address: &Address) -> Result<Link, Error> {
        let (_, none) = mpsc::unbounded_channel();
        Self::new(core, none).connect(address).await
    }

    async fn refuse_calls<T>(&mut self, until: impl Future<Output = T>) -> T {
        let mut until = std::pin::pin!(until);
        loop {
            tokio::select! {
                done = &mut until => return done,
                Some(message) = self.calls.recv() => if let Message::Call(call) = message {
                    call.refuse(&self.core, "The proxy has no connection to its server");
                },
            }
        }
    }
}

/// How a server was lost.
#[derive(Clone, Debug)]
pub struct Lost(pub String);

impl Link {
    fn poll_introduction(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
    ) -> Poll<Result<Server, Error>> {
        loop {
            self.poll_write(cx).map_err(Error::from)?;
            if let Err(error) = ready!(self.poll_read(cx)) {
                return Poll::Ready(Err(error.into()));
            }
            while let Some(incoming) = self.session.receive().map_err(broken)? {
                match incoming {
                    Incoming::Negotiated => self.introspect(),
                    Incoming::Reply {
                        token: Token::Introspection,
                        outcome,
                        ..
                    } => return Poll::Ready(self.introduced(outcome)),
                    // Clients of before wait for events as well.
                    Incoming::Event(event) => tell(&event, core),
                    _ => {}
                }
            }
        }
    }

    fn introspect(&mut self) {
        let request = Request {
            command: "query-qmp-schema",
            arguments: b"",
            oob: false,
            id: None,
            carries: false,
        };
        self.session.request(&request, Token::Introspection);
    }

    fn introduced(&self, outcome: Result<Box<RawValue>, ErrorReply>) -> Result<Server, Error> {
        let unknown = || Error::Protocol("the server does not tell its commands".to_owned());
        let introspection = outcome.map_err(|_| unknown())?;
        let greeting = self.session.greeting().ok_or_else(unknown)?;
        Server::read(greeting, introspection.get()).ok_or_else(unknown)
    }

    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        core: &Core,
        calls: &mut mpsc::UnboundedReceiver<Message>,
    ) -> Poll<Lost> {
        loop {
            while let Poll::Ready(Some(message)) = calls.poll_recv(cx) {
                match message {
                    Message::Call(call) => self.call(call, core),
                    Message::Gone(client) => self.forget(client),
                }
            }
            if let Err(error) = self.poll_write(cx) {
                return Poll::Ready(Lost(error.to_string()));
            }
            core.metrics.set_queue(self.session.waiting());
            if let Err(error) = ready!(self.poll_read(cx)) {
                return Poll::Ready(Lost(error.to_string()));
            }
            if let Err(fault) = self.sort(core) {
                return Poll::Ready(Lost(fault.to_string()));
            }
        }
    }

    fn call(&mut self, mut call: Box<Call>, core: &Core) {
        if !call.fds.is_empty() && !self.stream.carries_fds() {
            let reason = "Descriptors cannot be passed to the server behind the proxy";
            return call.refuse(core, reason);
        }
        let arguments = std::mem::take(&mut call.arguments);
        let request = Request {
            command: call.command,
            arguments: &arguments,
            oob: call.oob && self.session.oob(),
            id: None,
            carries: !call.fds.is_empty(),
        };
        let client = call.client;
        let id = self
            .session
            .request(&request, Token::Client(call, Instant::now()));
        self.calls.entry(client).or_default().push(id);
    }

    fn forget(&mut self, client: u64) {
        for id in self.calls.remove(&client).unwrap_or_default() {
            self.session.forget(id);
        }
    }

    fn sort(&mut self, core: &Core) -> Result<(), Fault> {
        while let Some(incoming) = self.session.receive()? {
            match incoming {
                Incoming::Event(event) => tell(&event, core),
                Incoming::Reply {
                    id,
                    token: Token::Client(call, began),
                    outcome,
                } => {
                    if let Some(calls) = self.calls.get_mut(&call.client) {
                        calls.retain(|other| *other != id);
                    }
                    core.metrics
                        .answered(call.command, began.elapsed(), outcome.is_ok());
                    core.audit(|audit| {
                        audit.answered(call.client, call.command, began, outcome.as_ref().err())
                    });
                    call.mailbox.reply(call.ticket, outcome);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes as far as it goes.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            let (bytes, token) = self.session.output();
            if bytes.is_empty() {
                break;
            }
            let written = match token {
                Some(Token::Client(call, _)) if !call.fds.is_empty() => {
                    let sent = self.stream.poll_send(cx, bytes, &call.fds);
                    if sent.is_ready() {
                        call.fds.clear();
                    }
                    sent
                }
                _ => Pin::new(&mut self.stream).poll_write(cx, bytes),
            };
            match written {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(length) => self.session.sent(length?),
            }
            self.unflushed = true;
        }
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            flushed?;
            self.unflushed = false;
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            let ended = io::Error::new(io::ErrorKind::UnexpectedEof, "it ended the connection");
            return Poll::Ready(Err(ended));
        }
        self.session.feed(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl Call {
    /// Answers without the server.
    fn refuse(&self, core: &Core, desc: &str) {
        let error = ErrorReply {
            class: "GenericError".to_owned(),
            desc: desc.to_owned(),
        };
        core.metrics.answered(self.command, Duration::ZERO, false);
        core.audit(|audit| audit.answered(self.client, self.command, Instant::now(), Some(&error)));
        self.mailbox.reply(self.ticket, Err(error));
    }
}

fn broken(fault: Fault) -> Error {
    Error::Protocol(fault.to_string())
}

/// Tells all clients of an event.
fn tell(event: &Event, core: &Core) {
    let data = event.data.as_ref().map(|data| data.get());
    let line: Arc<[u8]> = event_line(&event.name, event.timestamp, data).into();
    core.metrics.event();
    for mailbox in core.clients().values() {
        match mailbox.event(&line) {
            Delivery::Dropped => core.metrics.event_dropped(),
            Delivery::Overflow => core.metrics.client_dropped(),
            Delivery::Taken | Delivery::Closed => {}
        }
    }
}

/// An event as QEMU lays it out.
fn event_line(
    name: &str,
    timestamp: tinamou_qmp::client::Timestamp,
    data: Option<&str>,
) -> Vec<u8> {
    let tinamou_qmp::client::Timestamp {
        seconds,
        microseconds,
    } = timestamp;
    let name = serde_json::Value::from(name);
    let data = data.map_or_else(String::new, |data| format!(", \"data\": {data}"));
    format!(
        "{{\"timestamp\": {{\"seconds\": {seconds}, \"microseconds\": {microseconds}}}, \"event\": {name}{data}}}\r\n"
    )
    .into_bytes()
}
