//! What a mock was asked, and what it answers.

use std::time::Duration;

use tinamou_qmp::{Error, Object, Value};

/// A command that a client sent and that the schema allows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// Which connection it came by, counted from 0.
    pub connection: usize,
    /// The command.
    pub command: &'static str,
    /// Its arguments.
    pub arguments: Object,
    /// It came with `exec-oob`.
    pub oob: bool,
}

/// Who says what a mock answers.
pub trait Script: Send {
    /// The answer, if the script has one; else it is made up.
    fn answer(&mut self, request: &Received) -> Option<Answer>;

    /// What happens by itself after a client has negotiated.
    fn happenings(&mut self, _connection: usize) -> Vec<Happening> {
        Vec::new()
    }
}

/// An answer and what comes with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Events ahead of the reply.
    pub before: Vec<Happening>,
    /// How long the reply takes.
    pub delay: Duration,
    /// The reply.
    pub outcome: Outcome,
    /// Events behind it; their delays count from the reply.
    pub after: Vec<Happening>,
    /// The server closes the connection behind all this.
    pub close: bool,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self {
            before: Vec::new(),
            delay: Duration::ZERO,
            outcome,
            after: Vec::new(),
            close: false,
        }
    }
}

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A success.
    Return(Value),
    /// A failure; the class may be one that does not exist.
    Error {
        /// The class.
        class: String,
        /// The description.
        desc: String,
    },
    /// None at all.
    Silence,
}

impl Outcome {
    /// The success of a command that returns nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::Return(Value::Object(Object::new()))
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::Error {
            class: error.class.to_string(),
            desc: error.desc,
        }
    }
}

/// An event in a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// The event.
    pub name: String,
    /// Its data; an event without any has no such member.
    pub data: Option<Object>,
    /// When it happens, from what it follows.
    pub delay: Duration,
    /// It happens again and again, this long apart.
    pub every: Option<Duration>,
}

impl Happening {
    /// An event that happens at once.
    pub fn new(name: impl Into<String>, data: Option<Object>) -> Self {
        Self {
            name: name.into(),
            data,
            delay: Duration::ZERO,
            every: None,
        }
    }
}
