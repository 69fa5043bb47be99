//! Checks as text: lines sent, replies expected.
//!
//! The files in `checks/` hold them, one file per group:
//!
//! ```text
//! [envelope/unknown-member]
//! rule: A request with a member that the protocol does not know is refused.
//! basis: QMP: Issuing Commands
//! > {"execute": "$probe", "x": 1, "id": 1}
//! < error ; id 1
//! ```
//!
//! `>` sends a line, `>>` the same without the newline, `>.` byte by byte.
//! `$probe` is a command that answers and changes nothing, `<FF>` is a byte
//! and `<61*9>` nine of them. `<` expects a reply: `return`, `return VALUE`,
//! `error`, `error CLASS`, `error CLASS saying WORDS`, each with `; id VALUE` or without any id; `errors`
//! stands for one or more errors, after which the reader is brought into a
//! known state; `end` is the end of the stream. `close` ends our direction.
//! `state:` is `fresh`, `negotiated` (if nothing is said) or `oob`. After the
//! last line comes a request that must be answered next, whatever the script
//! was.

mod parse;

use std::fmt;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::bench::{Bench, State};
use crate::check::{Outcome, Trouble, ensure};
use crate::same::same;
use crate::wire::Wire;

pub(crate) use parse::checks;

/// Between pieces that shall arrive apart.
const APART: Duration = Duration::from_millis(20);

/// Brings a JSON reader into a known state.
pub(crate) const FLUSH: &[u8] = b"\xFF";

/// A conversation.
#[derive(Debug, Default)]
pub(crate) struct Script {
    state: Option<State>,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Send(Vec<u8>),
    Dribble(Vec<u8>),
    Pause,
    Close,
    Reply { what: Expected, id: Option<Value> },
    Errors,
    End,
}

#[derive(Debug)]
enum Expected {
    Return(Option<Value>),
    Error {
        class: Option<String>,
        saying: Option<String>,
    },
}

impl Expected {
    const ANY_ERROR: Self = Self::Error {
        class: None,
        saying: None,
    };

    fn is_met(&self, reply: &Value) -> bool {
        match self {
            Self::Return(value) => match (value, reply.get("return")) {
                (Some(value), Some(got)) => same(got, value),
                (_, got) => got.is_some(),
            },
            Self::Error { class, saying } => {
                let error = &reply["error"];
                let text = error["desc"].as_str().unwrap_or_default();
                error.is_object()
                    && class.as_ref().is_none_or(|class| error["class"] == *class)
                    && saying.as_ref().is_none_or(|words| text.contains(words))
            }
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Return(None) => f.write_str("success"),
            Self::Return(Some(value)) => write!(f, "to be returned {value}"),
            Self::Error { class, saying } => {
                f.write_str("an error")?;
                if let Some(class) = class {
                    write!(f, " of class {class}")?;
                }
                match saying {
                    Some(words) => write!(f, " that says {words}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The word that stands for a harmless command.
const PROBE: &[u8] = b"$probe";

impl Script {
    /// Plays the script.
    pub(crate) fn play(&self, bench: &mut Bench) -> Outcome {
        let state = self.state.unwrap_or(State::Negotiated);
        let probe = match bench.probe() {
            // Before negotiation any command does, since none is carried out.
            Err(Trouble::Broken(_) | Trouble::Silent(_)) if state == State::Fresh => {
                "query-version".to_owned()
            }
            probe => probe?,
        };
        let mut wire = bench.wire(state)?;
        let outcome = self.steps(bench, &mut wire, state, probe.as_bytes());
        bench.note(&wire);
        outcome?;
        if state == State::Negotiated && !self.ends() {
            bench.keep(wire);
        }
        Ok(String::new())
    }

    fn ends(&self) -> bool {
        let closing = |step: &Step| matches!(step, Step::Close | Step::End);
        self.steps.iter().any(closing)
    }

    fn steps(
        &self,
        bench: &mut Bench,
        wire: &mut Wire,
        state: State,
        probe: &[u8],
    ) -> Result<(), Trouble> {
        for step in &self.steps {
            match step {
                Step::Send(bytes) => wire.send(&with_probe(bytes, probe))?,
                Step::Dribble(bytes) => wire.dribble(&with_probe(bytes, probe))?,
                Step::Pause => thread::sleep(APART),
                Step::Close => wire.half_close()?,
                Step::Reply { what, id } => {
                    let reply = wire.reply()?;
                    expect(&reply, what, id.as_ref())?;
                }
                Step::Errors => errors(bench, wire, state)?,
                Step::End => {
                    let rest = wire.rest()?;
                    ensure(rest.is_empty(), || {
                        "expected the end of the stream".to_owned()
                    })?;
                }
            }
        }
        if !self.ends() {
            bench.sync(wire, state)?;
        }
        Ok(())
    }
}

/// Takes at least one error, and more if more come.
fn errors(bench: &mut Bench, wire: &mut Wire, state: State) -> Result<(), Trouble> {
    let reply = wire.reply()?;
    expect(&reply, &Expected::ANY_ERROR, reply.get("id"))?;
    wire.send(FLUSH)?;
    bench.sync_after_errors(wire, state)?;
    Ok(())
}

fn expect(reply: &Value, what: &Expected, id: Option<&Value>) -> Result<(), Trouble> {
    ensure(what.is_met(reply), || format!("expected {what}"))?;
    match (reply.get("id"), id) {
        (None, None) => Ok(()),
        (Some(got), Some(wanted)) if same(got, wanted) => Ok(()),
        (_, None) => Err(Trouble::broken("expected no id")),
        (_, Some(wanted)) => Err(Trouble::broken(format!("expected the id {wanted}"))),
    }
}

fn with_probe(bytes: &[u8], probe: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        if let Some(after) = rest.strip_prefix(PROBE) {
            out.extend_from_slice(probe);
            rest = after;
        } else {
            out.push(byte);
            rest = &rest[1..];
        }
    }
    out
}
