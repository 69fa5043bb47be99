//! The client's side of one connection: greeting, negotiation, requests,
//! replies by id and events, without any I/O.
//!
//! ```text
//! bytes ── feed ──▶ Session ── receive ──▶ Incoming: greeting, reply, event
//! bytes ◀─ output ─ Session ◀─ request ── the embedder's token
//! ```
//!
//! Every request carries a token of the embedder's, which comes back with the
//! reply: a channel to whoever waits, say. A request that nobody waits for any
//! more is [forgotten](Session::forget): taken back if it was not sent yet,
//! else its late reply is dropped.
//!
//! The server is not trusted. What is no message ends the session with a
//! [`Fault`]; replies that nobody asked for are counted and dropped; input is
//! bounded by the limit on one message, and output by the [window](WINDOW).

mod frames;
mod message;

pub use message::{ErrorReply, Event, Fault, Greeting, QemuVersion, Timestamp, VersionInfo};

use frames::Frames;
use message::Message;
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};

/// Requests that are sent ahead of their replies. Further ones wait here,
/// where they can still be taken back.
pub const WINDOW: usize = 64;

/// The window of in-band requests with out-of-band execution on. QEMU queues
/// this many and then stops reading, which would hold up out-of-band requests.
pub const WINDOW_BESIDE_OOB: usize = 8;

/// The longest message taken, unless told otherwise: as long as the longest
/// token that QEMU takes.
pub const LONGEST_MESSAGE: usize = 64 << 20;

/// What goes before the number of each id.
const ID_PREFIX: &str = "tinamou-";

/// Ends what a guest agent has been sent so far, and begins what it answers to
/// `guest-sync-delimited`.
const DELIMITER: u8 = 0xFF;

/// Whom the session talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A monitor, which greets and negotiates.
    Monitor {
        /// Ask for out-of-band execution if the greeting offers it.
        oob: bool,
    },
    /// A guest agent, which does neither.
    Agent,
}

/// A request's number within its session.
pub type RequestId = u64;

/// A request to be sent.
#[derive(Debug)]
pub struct Request<'a> {
    /// The command.
    pub command: &'a str,
    /// The arguments: the JSON text of an object, or empty.
    pub arguments: &'a [u8],
    /// Run it out of band.
    pub oob: bool,
    /// An id to use instead of one that the session makes.
    pub id: Option<&'a str>,
    /// The token has something to go along with the request's first byte, such
    /// as file descriptors; one such request is under way at a time, because a
    /// server keeps the descriptors of the last one only.
    pub carries: bool,
}

/// What came in.
#[derive(Debug)]
pub enum Incoming<T> {
    /// The greeting; see [`Session::greeting`].
    Greeting,
    /// The negotiation is done: requests may be made.
    Negotiated,
    /// The answer to a request.
    Reply {
        /// The request.
        id: RequestId,
        /// What the embedder gave with it.
        token: T,
        /// What the command returned, or why it failed.
        outcome: Result<Box<RawValue>, ErrorReply>,
    },
    /// Something happened.
    Event(Event),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    Negotiating,
    Ready,
    Broken,
}

/// A request whose answer is awaited.
#[derive(Debug)]
struct Pending<T> {
    /// `None`: nobody waits for it any more.
    token: Option<T>,
    oob: bool,
    carries: bool,
    /// The id on the wire, if the session did not make it.
    name: Option<Box<str>>,
}

/// A request that waits for its place in the window.
#[derive(Debug)]
struct Queued {
    id: RequestId,
    text: Vec<u8>,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Session<T> {
    peer: Peer,
    phase: Phase,
    frames: Frames,
    greeting: Option<Greeting>,
    oob: bool,
    last_id: RequestId,
    pending: HashMap<RequestId, Pending<T>>,
    /// Requests that were sent and not answered.
    under_way: usize,
    /// Those of them that run in band.
    in_band: usize,
    /// The request under way whose token carries something.
    carrier: Option<RequestId>,
    queue: VecDeque<Queued>,
    output: Vec<u8>,
    /// Bytes of `output` that were sent.
    sent: usize,
    /// Where in `output` the carrier's request begins.
    carrier_at: Option<usize>,
    strays: u64,
}

impl<T> Session<T> {
    /// A session that has just begun, and takes messages of at most
    /// `longest_message` bytes.
    #[must_use]
    pub fn new(peer: Peer, longest_message: usize) -> Self {
        let agent = peer == Peer::Agent;
        Self {
            peer,
            phase: if agent { Phase::Ready } else { Phase::Greeting },
            frames: Frames::new(longest_message, agent.then_some(DELIMITER)),
            greeting: None,
            oob: false,
            last_id: 0,
            pending: HashMap::new(),
            under_way: 0,
            in_band: 0,
            carrier: None,
            queue: VecDeque::new(),
            output: Vec::new(),
            sent: 0,
            carrier_at: None,
            strays: 0,
        }
    }

    /// What the server said of itself.
    #[must_use]
    pub fn greeting(&self) -> Option<&Greeting> {
        self.greeting.as_ref()
    }

    /// Whether requests may be made: the negotiation is done.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Whether out-of-band execution was negotiated.
    #[must_use]
    pub fn oob(&self) -> bool {
        self.oob
    }

    /// Replies that nobody had asked for.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.strays
    }

    /// Requests that somebody waits for.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Adds input; call [`receive`](Self::receive) afterwards until it has nothing
    /// more.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.phase != Phase::Broken {
            self.frames.push(bytes);
        }
    }

    /// The next thing that came in, if it is there.
    ///
    /// # Errors
    /// The server does not keep to the protocol. The session is of no more use
    /// then, and has nothing more.
    pub fn receive(&mut self) -> Result<Option<Incoming<T>>, Fault> {
        if self.phase == Phase::Broken {
            return Ok(None);
        }
        let next = self.read();
        if next.is_err() {
            self.phase = Phase::Broken;
            self.frames.clear();
        }
        next
    }

    /// Once [ready](Self::is_ready), sends a request, or has it wait for its place in the window. Its reply
    /// comes with the token.
    pub fn request(&mut self, request: &Request<'_>, token: T) -> RequestId {
        let id = self.enter(request, Some(token));
        let text = request_text(id, request);
        if self.admits(request.oob, request.carries) && (request.oob || self.queue.is_empty()) {
            self.send(id, &text);
        } else {
            self.queue.push_back(Queued { id, text });
        }
        id
    }

    /// Takes back a request: it is not sent any more, or its late reply will
    /// be dropped. Its token is returned if it was still waited for.
    pub fn forget(&mut self, id: RequestId) -> Option<T> {
        if let Some(place) = self.queue.iter().position(|queued| queued.id == id) {
            self.queue.remove(place);
            let token = self.pending.remove(&id)?.token;
            self.refill();
            return token;
        }
        self.pending.get_mut(&id)?.token.take()
    }

    /// Makes a guest agent forget what it was sent in part, and this session
    /// what it was answered so far: what comes before the next delimiter is
    /// dropped. A `guest-sync-delimited` must follow.
    pub fn resynchronise(&mut self) {
        self.output.push(DELIMITER);
        self.frames.skip_to_delimiter();
        // Agents before 4.0 answer without id: what nobody waits for must not
        // stand beside what is asked now.
        let under_way = self.pending.iter();
        let forgotten = under_way.filter(|(_, pending)| pending.token.is_none());
        let forgotten: Vec<RequestId> = forgotten.map(|(id, _)| *id).collect();
        for id in forgotten {
            self.remove(id);
        }
    }

    /// What is to be sent next, and the token whose attachments go along with
    /// its first byte.
    pub fn output(&mut self) -> (&[u8], Option<&mut T>) {
        let rest = &self.output[self.sent..];
        match (self.carrier_at, self.carrier) {
            (Some(at), _) if at > self.sent => (&self.output[self.sent..at], None),
            (Some(_), Some(id)) => {
                let pending = self.pending.get_mut(&id);
                (rest, pending.and_then(|pending| pending.token.as_mut()))
            }
            _ => (rest, None),
        }
    }

    /// Forgets the first `length` bytes of the output, which were sent, and
    /// with them what went along.
    pub fn sent(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        if self.carrier_at == Some(self.sent) {
            self.carrier_at = None;
        }
        self.sent += length;
        if self.sent >= self.output.len() {
            self.output.clear();
            self.output.shrink_to(4096);
            self.sent = 0;
        }
    }

    /// Ends the session: the tokens of all requests that are waited for.
    pub fn end(&mut self) -> Vec<(RequestId, T)> {
        self.phase = Phase::Broken;
        self.frames.clear();
        self.queue.clear();
        let pending = std::mem::take(&mut self.pending).into_iter();
        pending
            .filter_map(|(id, pending)| Some((id, pending.token?)))
            .collect()
    }

    fn read(&mut self) -> Result<Option<Incoming<T>>, Fault> {
        loop {
            let Some(text) = self.frames.next()? else {
                return Ok(None);
            };
            let incoming = match Message::read(text)? {
                Message::Greeting(greeting) => self.greeted(greeting),
                Message::Event(event) => Some(Incoming::Event(event)),
                Message::Reply { id, outcome } => {
                    let id = match id {
                        Some(id) => find(&self.pending, &id),
                        None => only_sent(&self.pending, &self.queue),
                    };
                    let outcome = outcome.map(ToOwned::to_owned);
                    self.replied(id, outcome)?
                }
            };
            if incoming.is_some() {
                return Ok(incoming);
            }
        }
    }

    fn greeted(&mut self, greeting: Greeting) -> Option<Incoming<T>> {
        if self.phase != Phase::Greeting {
            self.strays += 1;
            return None;
        }
        let Peer::Monitor { oob } = self.peer else {
            return None;
        };
        self.oob = oob && greeting.capabilities.iter().any(|name| name == "oob");
        let arguments: &[u8] = if self.oob {
            br#"{"enable":["oob"]}"#
        } else {
            b""
        };
        let request = Request {
            command: "qmp_capabilities",
            arguments,
            oob: false,
            id: None,
            carries: false,
        };
        let id = self.enter(&request, None);
        self.send(id, &request_text(id, &request));
        self.greeting = Some(greeting);
        self.phase = Phase::Negotiating;
        Some(Incoming::Greeting)
    }

    fn replied(
        &mut self,
        id: Option<RequestId>,
        outcome: Result<Box<RawValue>, ErrorReply>,
    ) -> Result<Option<Incoming<T>>, Fault> {
        let sent = id.filter(|id| self.queue.iter().all(|queued| queued.id != *id));
        let Some((id, pending)) = sent.and_then(|id| Some((id, self.remove(id)?))) else {
            self.strays += 1;
            return Ok(None);
        };
        if self.phase == Phase::Negotiating {
            outcome.map_err(Fault::Negotiation)?;
            self.phase = Phase::Ready;
            return Ok(Some(Incoming::Negotiated));
        }
        self.refill();
        Ok(pending
            .token
            .map(|token| Incoming::Reply { id, token, outcome }))
    }

    /// Takes out a request that was sent.
    fn remove(&mut self, id: RequestId) -> Option<Pending<T>> {
        let pending = self.pending.remove(&id)?;
        self.under_way -= 1;
        if !pending.oob {
            self.in_band -= 1;
        }
        if self.carrier == Some(id) {
            self.carrier = None;
            self.carrier_at = None;
        }
        Some(pending)
    }

    fn enter(&mut self, request: &Request<'_>, token: Option<T>) -> RequestId {
        self.last_id += 1;
        let pending = Pending {
            token,
            oob: request.oob,
            carries: request.carries,
            name: request.id.map(Into::into),
        };
        self.pending.insert(self.last_id, pending);
        self.last_id
    }

    /// Whether a request may be sent now.
    fn admits(&self, oob: bool, carries: bool) -> bool {
        let window = match (oob, self.oob) {
            (false, true) => self.in_band < WINDOW_BESIDE_OOB,
            _ => self.under_way < WINDOW,
        };
        window && !(carries && self.carrier.is_some())
    }

    fn send(&mut self, id: RequestId, text: &[u8]) {
        let Some(pending) = self.pending.get(&id) else {
            return;
        };
        self.under_way += 1;
        if !pending.oob {
            self.in_band += 1;
        }
        if pending.carries {
            self.carrier = Some(id);
            self.carrier_at = Some(self.output.len());
        }
        self.output.extend_from_slice(text);
    }

    /// Sends what waited for its place, in order.
    fn refill(&mut self) {
        while let Some(first) = self.queue.front() {
            let Some(pending) = self.pending.get(&first.id) else {
                self.queue.pop_front();
                continue;
            };
            if !self.admits(pending.oob, pending.carries) {
                return;
            }
            if let Some(queued) = self.queue.pop_front() {
                self.send(queued.id, &queued.text);
            }
        }
    }
}

/// The request with this id on the wire.
fn find<T>(pending: &HashMap<RequestId, Pending<T>>, id: &str) -> Option<RequestId> {
    let made = id.strip_prefix(ID_PREFIX).and_then(|id| id.parse().ok());
    if let Some(made) = made.filter(|id| pending.contains_key(id)) {
        return Some(made);
    }
    let mut pending = pending.iter();
    pending
        .find(|(_, pending)| pending.name.as_deref() == Some(id))
        .map(|(id, _)| *id)
}

/// The only request under way, which a reply without id must answer: QEMU
/// leaves the id out when it could not read the request, and old guest agents
/// always do.
fn only_sent<T>(
    pending: &HashMap<RequestId, Pending<T>>,
    queue: &VecDeque<Queued>,
) -> Option<RequestId> {
    let was_sent = |id: &&RequestId| queue.iter().all(|queued| queued.id != **id);
    let mut sent = pending.keys().filter(was_sent);
    let only = *sent.next()?;
    sent.next().is_none().then_some(only)
}

/// The id of a request as it stands on the wire.
#[must_use]
pub fn wire_id(id: RequestId) -> String {
    format!("{ID_PREFIX}{id}")
}

fn request_text(id: RequestId, request: &Request<'_>) -> Vec<u8> {
    let mut text = Vec::with_capacity(64 + request.command.len() + request.arguments.len());
    let verb: &[u8] = if request.oob {
        b"{\"exec-oob\":"
    } else {
        b"{\"execute\":"
    };
    text.extend_from_slice(verb);
    put_string(&mut text, request.command);
    if !matches!(request.arguments, b"" | b"{}") {
        text.extend_from_slice(b",\"arguments\":");
        text.extend_from_slice(request.arguments);
    }
    text.extend_from_slice(b",\"id\":");
    match request.id {
        Some(id) => put_string(&mut text, id),
        None => {
            text.extend_from_slice(b"\"tinamou-");
            put_number(&mut text, id);
            text.push(b'"');
        }
    }
    text.extend_from_slice(b"}\n");
    text
}

fn put_string(text: &mut Vec<u8>, value: &str) {
    serde_json::to_writer(text, value).expect("a string has a JSON text");
}

fn put_number(text: &mut Vec<u8>, value: u64) {
    serde_json::to_writer(text, &value).expect("a number has a JSON text");
}
