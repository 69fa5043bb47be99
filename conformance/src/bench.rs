//! What the checks share: the server, connections to it in every state, and
//! what is known about it.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::check::{Trouble, ensure};
use crate::observed::Observed;
use crate::schema::Schema;
use crate::target::{Server, Stream, Target};
use crate::wire::{Wire, WireError};

/// Commands that servers are likely to have, that need no arguments, answer
/// shortly and change nothing.
const PROBES: &[&str] = &[
    "query-version",
    "query-name",
    "query-status",
    "query-commands",
];

/// After this many connections that failed one after the other no more are
/// tried.
const HOPELESS: usize = 3;

/// The state that a check wants its connection in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Greeted, nothing negotiated.
    Fresh,
    /// Negotiated without capabilities.
    Negotiated,
    /// Negotiated with out-of-band execution.
    Oob,
}

/// The server and what is known about it.
#[derive(Debug)]
pub(crate) struct Bench {
    target: Target,
    server: Option<Server>,
    idle: Option<Wire>,
    failures: usize,
    greeting: Option<Value>,
    schema: Option<Rc<Schema>>,
    probe: Option<String>,
    conversation: Vec<String>,
    syncs: usize,
    pub(crate) patience: Duration,
    /// What checks do to the server's state matters to nobody.
    pub(crate) disposable: bool,
    pub(crate) observed: Observed,
}

impl Bench {
    pub(crate) fn new(
        target: Target,
        patience: Duration,
        disposable: bool,
        probe: Option<String>,
    ) -> Self {
        Self {
            target,
            server: None,
            idle: None,
            failures: 0,
            greeting: None,
            schema: None,
            probe,
            conversation: Vec::new(),
            syncs: 0,
            patience,
            disposable,
            observed: Observed::default(),
        }
    }

    /// Finds out whether there is a server at all.
    pub(crate) fn reach(&mut self) -> io::Result<()> {
        self.stream().map(drop)
    }

    /// A connection on which nothing was read.
    pub(crate) fn connect(&mut self) -> Result<Wire, Trouble> {
        // Many servers serve one client at a time.
        self.idle = None;
        if self.failures >= HOPELESS {
            return Err(Trouble::skipped("the server takes no connections any more"));
        }
        self.open().inspect_err(|_| self.failures += 1)
    }

    fn open(&mut self) -> Result<Wire, Trouble> {
        let stream = self.stream().map_err(WireError::Connect)?;
        Ok(Wire::new(stream, self.patience, self.observed.clone())?)
    }

    /// A connection; the server is started if it has to be.
    fn stream(&mut self) -> io::Result<Stream> {
        if let Some(server) = &mut self.server
            && server.ended().is_some()
        {
            self.server = None;
        }
        let server = match &mut self.server {
            Some(server) => server,
            place => place.insert(Server::up(&self.target, self.patience, &self.observed)?),
        };
        server.connect(self.patience)
    }

    /// A connection in the given state. A negotiated one may have served
    /// other checks before.
    pub(crate) fn wire(&mut self, state: State) -> Result<Wire, Trouble> {
        if state == State::Negotiated
            && let Some(mut wire) = self.idle.take()
        {
            wire.begin();
            return Ok(wire);
        }
        if state == State::Fresh {
            return self.greeted();
        }
        self.served("negotiation is not answered", |bench| {
            bench.negotiated(state)
        })
    }

    fn negotiated(&mut self, state: State) -> Result<Wire, Trouble> {
        let mut wire = self.greeted()?;
        let capabilities = match state {
            State::Oob if self.offers("oob") => json!({"enable": ["oob"]}),
            State::Oob => return Err(Trouble::skipped("the server does not offer oob")),
            State::Fresh | State::Negotiated => json!({}),
        };
        negotiate(&mut wire, &capabilities)?;
        wire.begin();
        Ok(wire)
    }

    /// Connects once more if a server that has served before keeps silent.
    /// That this was needed is for one check alone to find, and not for
    /// whichever came across it.
    fn served(
        &mut self,
        what: &str,
        connect: impl Fn(&mut Self) -> Result<Wire, Trouble>,
    ) -> Result<Wire, Trouble> {
        match connect(self) {
            Err(Trouble::Silent(time)) if self.greeting.is_some() => {
                let what = format!("{what} within {time:?}");
                self.observed.unserved(what.as_str());
                match connect(self) {
                    Err(Trouble::Silent(_)) => Err(Trouble::broken(what + ", twice")),
                    outcome => outcome,
                }
            }
            outcome => outcome,
        }
    }

    /// A connection whose greeting was read.
    pub(crate) fn greeted(&mut self) -> Result<Wire, Trouble> {
        self.served("no greeting comes", Self::greeted_once)
    }

    fn greeted_once(&mut self) -> Result<Wire, Trouble> {
        let mut wire = self.connect()?;
        let greeting = greeting(&mut wire).inspect_err(|_| self.failures += 1)?;
        if greeting.get("QMP").is_none() {
            self.failures += 1;
            return Err(Trouble::broken("no greeting comes first"));
        }
        self.failures = 0;
        self.greeting = Some(greeting);
        Ok(wire)
    }

    /// Gives back a negotiated connection on which nothing is open.
    pub(crate) fn keep(&mut self, wire: Wire) {
        self.note(&wire);
        self.idle = Some(wire);
    }

    /// Notes the conversation on a connection for the report.
    pub(crate) fn note(&mut self, wire: &Wire) {
        self.conversation = wire.conversation();
    }

    /// The conversation noted last, once.
    pub(crate) fn take_conversation(&mut self) -> Vec<String> {
        std::mem::take(&mut self.conversation)
    }

    /// The last greeting.
    pub(crate) fn greeting(&mut self) -> Result<Value, Trouble> {
        if self.greeting.is_none() {
            self.greeted()?;
        }
        Ok(self.greeting.clone().unwrap_or_default())
    }

    /// Whether the greeting offers a capability.
    pub(crate) fn offers(&self, capability: &str) -> bool {
        let greeting = self.greeting.as_ref();
        let offered = greeting.and_then(|greeting| greeting["QMP"]["capabilities"].as_array());
        offered.is_some_and(|offered| offered.iter().any(|name| name == capability))
    }

    /// A command that answers shortly and changes nothing.
    pub(crate) fn probe(&mut self) -> Result<String, Trouble> {
        if let Some(probe) = &self.probe {
            return Ok(probe.clone());
        }
        let mut wire = self.wire(State::Negotiated)?;
        for probe in PROBES {
            let reply = wire.call(&json!({"execute": probe}))?;
            if reply.get("return").is_some() {
                self.keep(wire);
                self.probe = Some((*probe).to_owned());
                return Ok((*probe).to_owned());
            }
        }
        let tried = PROBES.join(", ");
        Err(Trouble::skipped(format!(
            "the server has none of {tried}; name another with --probe"
        )))
    }

    /// What the server says of itself.
    pub(crate) fn schema(&mut self) -> Result<Rc<Schema>, Trouble> {
        if let Some(schema) = &self.schema {
            return Ok(Rc::clone(schema));
        }
        let mut wire = self.wire(State::Negotiated)?;
        let reply = wire.call(&json!({"execute": "query-qmp-schema"}))?;
        let Some(entries) = reply.get("return") else {
            return Err(Trouble::skipped("the server has no introspection"));
        };
        let schema = Rc::new(Schema::read(entries));
        self.keep(wire);
        ensure(schema.commands().next().is_some(), || {
            "introspection shows no commands".to_owned()
        })?;
        self.schema = Some(Rc::clone(&schema));
        Ok(schema)
    }

    /// Makes sure that nothing is left to be read, and that the server reads:
    /// the next reply is the one to a request sent now.
    pub(crate) fn sync(&mut self, wire: &mut Wire, state: State) -> Result<(), Trouble> {
        let id = self.send_sync(wire)?;
        let reply = wire.reply()?;
        self.is_sync(&reply, &id, state)
    }

    /// The same where errors may come before; counts them.
    pub(crate) fn sync_after_errors(
        &mut self,
        wire: &mut Wire,
        state: State,
    ) -> Result<usize, Trouble> {
        let id = self.send_sync(wire)?;
        let mut errors = 0;
        loop {
            let reply = wire.reply()?;
            if reply.get("id") == Some(&id) {
                self.is_sync(&reply, &id, state)?;
                return Ok(errors);
            }
            ensure(reply.get("error").is_some(), || {
                "expected errors alone before the next reply".to_owned()
            })?;
            errors += 1;
        }
    }

    fn send_sync(&mut self, wire: &mut Wire) -> Result<Value, Trouble> {
        self.syncs += 1;
        let id = json!(format!("after-{}", self.syncs));
        // Before negotiation any command is answered, if by an error.
        let probe = self.probe.as_deref().unwrap_or(PROBES[0]);
        wire.send_json(&json!({"execute": probe, "id": id}))?;
        Ok(id)
    }

    fn is_sync(&self, reply: &Value, id: &Value, state: State) -> Result<(), Trouble> {
        let known = self.probe.is_some() && state != State::Fresh;
        let right = reply.get("id") == Some(id) && (!known || reply.get("return").is_some());
        ensure(right, || {
            "the request after it is not the next to be answered".to_owned()
        })
    }

    /// Ends a server that was started, so that the next check gets another.
    pub(crate) fn restart(&mut self) {
        self.idle = None;
        if matches!(self.target, Target::Spawn(_)) {
            self.server = None;
            self.failures = 0;
        }
    }

    /// Waits for a server that was started to end; `None` if it was not.
    pub(crate) fn wait_for_end(&mut self) -> Option<bool> {
        let server = self.server.as_mut()?;
        matches!(server, Server::Started(_)).then(|| server.wait(self.patience))
    }

    /// How the server ended, if it was started here and ended.
    pub(crate) fn last_words(&mut self) -> Option<String> {
        self.server.as_mut()?.ended()
    }
}

/// The first message that is no event: what happens while a client connects
/// may come before its greeting, which is for one check alone to find.
fn greeting(wire: &mut Wire) -> Result<Value, WireError> {
    /// After so many it is no accident.
    const EVENTS: usize = 16;
    for _ in 0..EVENTS {
        let message = wire.message()?;
        if message.get("event").is_none() {
            return Ok(message);
        }
    }
    wire.message()
}

/// Sends qmp_capabilities with these arguments, which must succeed.
pub(crate) fn negotiate(wire: &mut Wire, arguments: &Value) -> Result<(), Trouble> {
    let reply = wire.call(&json!({"execute": "qmp_capabilities", "arguments": arguments}))?;
    ensure(reply.get("return").is_some(), || {
        format!("negotiation fails: {reply}")
    })?;
    wire.set_negotiated();
    Ok(())
}
