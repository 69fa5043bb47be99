//! The server's side of one connection: greeting, negotiation, requests,
//! replies and events, without any I/O.
//!
//! ```text
//! bytes ── feed ──▶ Session ── next ──▶ Request ──▶ the embedder runs it
//! bytes ◀─ output ─ Session ◀─ reply, reply_error, no_reply ─┘
//! ```
//!
//! In-band requests are handed out one at a time and in order. Out-of-band
//! requests may overtake them. Everything that needs no command to run
//! (faults of the envelope, unknown commands, the negotiation itself) is
//! answered here.

mod capabilities;
mod envelope;
mod greeting;
mod output;

pub use greeting::{Greeting, Version};
pub use output::event;

use crate::json::{Reader, Style};
use crate::{CommandSpec, Error, Object, Result, Value};
use envelope::Envelope;
use serde::Serialize;
use std::collections::VecDeque;

/// Requests that wait behind the one that runs, with out-of-band on. When
/// so many wait, reading stops, and with it out-of-band execution.
pub const QUEUE_LIMIT: usize = 8;

/// The one command that a session carries out itself.
pub const QMP_CAPABILITIES: CommandSpec = CommandSpec {
    name: "qmp_capabilities",
    allow_oob: false,
    allow_preconfig: true,
    success_response: true,
    deprecated: false,
    unstable: false,
};

/// The commands that a server has, and whether they may run now.
pub trait Catalog {
    /// The facts about the command `name`, if there is one.
    fn command(&self, name: &str) -> Option<&CommandSpec>;

    /// Whether policy and configuration let the command run.
    ///
    /// # Errors
    /// They do not, for the reason given.
    fn admit(&self, _command: &CommandSpec) -> Result<()> {
        Ok(())
    }

    /// Whether the machine is still to be made, so that only commands with
    /// `allow_preconfig` may run.
    fn preconfig(&self) -> bool {
        false
    }
}

/// Which request a reply belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// A request that the embedder is to run and answer.
#[derive(Debug)]
pub struct Request {
    /// To answer it by.
    pub ticket: Ticket,
    /// The command, as its catalog spells it.
    pub command: &'static str,
    /// The arguments as they came, unchecked.
    pub arguments: Object,
    /// It came with `exec-oob`: run it now, whatever else is running.
    pub oob: bool,
}

/// A request that is being run.
#[derive(Debug)]
struct Running {
    ticket: Ticket,
    id: Option<Value>,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    style: Style,
    offers_oob: bool,
    negotiated: bool,
    oob: bool,
    reader: Reader,
    /// No more input will come.
    ended: bool,
    queue: VecDeque<Result<Value>>,
    in_band: Option<Running>,
    out_of_band: Option<Running>,
    tickets: u64,
    output: Vec<u8>,
}

impl Session {
    /// A session that has just begun: its output starts with the greeting.
    #[must_use]
    pub fn new(greeting: &Greeting, style: Style) -> Self {
        let mut output = Vec::new();
        greeting.write(&mut output, style);
        Self {
            style,
            offers_oob: greeting.oob,
            negotiated: false,
            oob: false,
            reader: Reader::new(),
            ended: false,
            // Seldom does more than one request wait.
            queue: VecDeque::with_capacity(1),
            in_band: None,
            out_of_band: None,
            tickets: 0,
            output,
        }
    }

    /// How output is laid out.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// Whether the client has negotiated, so that it gets events.
    #[must_use]
    pub fn negotiated(&self) -> bool {
        self.negotiated
    }

    /// Whether out-of-band execution was negotiated.
    #[must_use]
    pub fn oob(&self) -> bool {
        self.oob
    }

    /// Adds input. Call [`next`](Self::next) afterwards until it has nothing
    /// more, and read from the connection again when [`wants_input`] says so.
    ///
    /// [`wants_input`]: Self::wants_input
    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.ended {
            self.reader.push(bytes);
        }
    }

    /// Whether more input is of use now. It is not while a request holds the
    /// input up: any request without out-of-band, a full queue with it.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.ended && !self.held_up()
    }

    /// Ends the input. With out-of-band on, requests that wait are dropped,
    /// as QEMU drops them; without, what came before the end is still run.
    pub fn end_input(&mut self) {
        self.ended = true;
        if self.oob {
            self.queue.clear();
            self.reader = Reader::new();
        }
    }

    /// Whether the input has ended and all of it has been answered. Call it
    /// when [`next`](Self::next) had nothing more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.ended && self.queue.is_empty() && self.in_band.is_none() && self.out_of_band.is_none()
    }

    /// The next request to run, if there is one.
    pub fn next(&mut self, catalog: &impl Catalog) -> Option<Request> {
        loop {
            if let Some(request) = self.read_ahead(catalog) {
                return Some(request);
            }
            if self.in_band.is_some() {
                return None;
            }
            match self.queue.pop_front()? {
                Err(error) => self.write_error(None, &error),
                Ok(Value::Object(request)) => {
                    if let Some(request) = self.dispatch(request, false, catalog) {
                        return Some(request);
                    }
                }
                Ok(_) => self.write_error(None, &Error::not_an_object()),
            }
        }
    }

    /// Answers a request with what its command returned.
    ///
    /// Answers to requests that this session does not wait for are ignored.
    pub fn reply<T: Serialize + ?Sized>(&mut self, ticket: Ticket, value: &T) {
        let Some(running) = self.finish(ticket) else {
            return;
        };
        let result = output::reply(&mut self.output, value, running.id.as_ref(), self.style);
        if let Err(error) = result {
            self.write_error(running.id.as_ref(), &error);
        }
    }

    /// Answers a request with a return value that is already JSON text, made
    /// by [`append`](crate::json::append) in this session's style at depth 1.
    pub fn reply_raw(&mut self, ticket: Ticket, value: &[u8]) {
        let Some(running) = self.finish(ticket) else {
            return;
        };
        output::raw_reply(&mut self.output, value, running.id.as_ref(), self.style);
    }

    /// Answers a request with an error.
    pub fn reply_error(&mut self, ticket: Ticket, error: &Error) {
        let Some(running) = self.finish(ticket) else {
            return;
        };
        self.write_error(running.id.as_ref(), error);
    }

    /// Answers a request with an error whose body is already JSON text, such
    /// as one that another server made.
    pub fn reply_error_raw(&mut self, ticket: Ticket, body: &[u8]) {
        let Some(running) = self.finish(ticket) else {
            return;
        };
        output::raw_error(&mut self.output, body, running.id.as_ref(), self.style);
    }

    /// Ends a request whose command sends no reply on success.
    pub fn no_reply(&mut self, ticket: Ticket) {
        self.finish(ticket);
    }

    /// Sends an event: a whole line made by [`event`] in this session's
    /// style. Before the negotiation events are dropped.
    pub fn event(&mut self, line: &[u8]) {
        if self.negotiated {
            self.output.extend_from_slice(line);
        }
    }

    /// What is to be sent to the client.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Takes out what is to be sent to the client.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Forgets the first `length` bytes of the output, which were sent.
    pub fn sent(&mut self, length: usize) {
        self.output.drain(..length.min(self.output.len()));
    }

    /// Reads messages into the queue as far as it goes, up to an out-of-band
    /// request that is to be run.
    fn read_ahead(&mut self, catalog: &impl Catalog) -> Option<Request> {
        while !self.held_up() {
            match self.reader.read()? {
                Ok(Value::Object(request)) if envelope::is_oob(&request) => {
                    let request = self.dispatch(request, true, catalog);
                    if request.is_some() {
                        return request;
                    }
                }
                message => self.queue.push_back(message),
            }
        }
        None
    }

    /// Whether reading must pause until a request was answered.
    fn held_up(&self) -> bool {
        if self.out_of_band.is_some() {
            return true;
        }
        match (self.oob, &self.in_band) {
            (false, running) => running.is_some() || !self.queue.is_empty(),
            (true, Some(_)) => self.queue.len() >= QUEUE_LIMIT,
            // The first one is about to run, and does not count.
            (true, None) => self.queue.len() > QUEUE_LIMIT,
        }
    }

    /// Checks a request and either answers it or hands it out.
    fn dispatch(
        &mut self,
        mut request: Object,
        oob: bool,
        catalog: &impl Catalog,
    ) -> Option<Request> {
        let id = request.shift_remove("id");
        match self.admit(request, oob, catalog) {
            Ok(Admitted::Run { command, arguments }) => {
                let ticket = self.start(id, oob);
                Some(Request {
                    ticket,
                    command,
                    arguments,
                    oob,
                })
            }
            Ok(Admitted::Negotiated) => {
                output::raw_reply(
                    &mut self.output,
                    output::empty(self.style),
                    id.as_ref(),
                    self.style,
                );
                None
            }
            Err(error) => {
                self.write_error(id.as_ref(), &error);
                None
            }
        }
    }

    /// The checks in QEMU's order.
    fn admit(&mut self, request: Object, oob: bool, catalog: &impl Catalog) -> Result<Admitted> {
        let Envelope { command, arguments } = Envelope::open(request, self.oob)?;
        if !self.negotiated && command != QMP_CAPABILITIES.name {
            return Err(Error::expecting_negotiation());
        }
        let spec = if command == QMP_CAPABILITIES.name {
            &QMP_CAPABILITIES
        } else {
            catalog
                .command(&command)
                .ok_or_else(|| Error::command_not_found(&command))?
        };
        catalog.admit(spec)?;
        if oob && !spec.allow_oob {
            return Err(Error::oob_not_supported(spec.name));
        }
        if catalog.preconfig() && !spec.allow_preconfig {
            return Err(Error::only_after_initialization(spec.name));
        }
        if spec.name != QMP_CAPABILITIES.name {
            return Ok(Admitted::Run {
                command: spec.name,
                arguments,
            });
        }
        self.oob = capabilities::negotiate(arguments, self.negotiated, self.offers_oob)?;
        self.negotiated = true;
        Ok(Admitted::Negotiated)
    }

    fn start(&mut self, id: Option<Value>, oob: bool) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let running = if oob {
            &mut self.out_of_band
        } else {
            &mut self.in_band
        };
        *running = Some(Running { ticket, id });
        ticket
    }

    fn finish(&mut self, ticket: Ticket) -> Option<Running> {
        let is_it = |running: &mut Running| running.ticket == ticket;
        self.in_band
            .take_if(is_it)
            .or_else(|| self.out_of_band.take_if(is_it))
    }

    fn write_error(&mut self, id: Option<&Value>, error: &Error) {
        output::error(&mut self.output, error, id, self.style);
    }
}

/// A request that passed all checks.
enum Admitted {
    Run {
        command: &'static str,
        arguments: Object,
    },
    Negotiated,
}
