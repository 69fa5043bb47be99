//! What holds for every message of a server, noted while other checks talk
//! to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::wire::shorten;

/// A rule that every message obeys.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Habit {
    /// Lines end in CR LF.
    LineEnd,
    /// Output is ASCII.
    Ascii,
    /// No object has a member twice.
    Members,
    /// A message is a greeting, a reply or an event.
    Kind,
    /// Replies have a return value or an error, and an id.
    Reply,
    /// Errors have a class and a description.
    Error,
    /// Events have a name, a time and perhaps data.
    Event,
    /// No event comes before negotiation.
    Quiet,
    /// Who connects is served.
    Service,
}

/// The breaches seen so far; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The first message that broke a habit.
    breaches: BTreeMap<Habit, String>,
    messages: usize,
    /// Every event once.
    events: BTreeMap<String, Value>,
}

impl Observed {
    /// Takes a message as it was on the wire.
    pub(crate) fn line(&self, text: &[u8], end: &[u8]) {
        if end != b"\r\n" {
            let what = format!("after {} comes {end:?}", shorten(text));
            self.breach(Habit::LineEnd, what);
        }
        if !text.is_ascii() {
            self.breach(Habit::Ascii, shorten(text));
        }
        // QEMU's rules for JSON are the ones that refuse a repeated key.
        let repeated = tinamou_qmp::json::parse(text).is_err_and(|error| {
            let text = error.to_string();
            text.contains("duplicate key")
        });
        if repeated {
            self.breach(Habit::Members, shorten(text));
        }
    }

    /// Takes a message as it was understood.
    pub(crate) fn message(&self, message: &Value, negotiated: bool) {
        let fault = |habit, why: Option<&str>| {
            if let Some(why) = why {
                let text = message.to_string();
                self.breach(habit, format!("{why}: {}", shorten(text.as_bytes())));
            }
        };
        let has = |name| message.get(name).is_some();
        self.state().messages += 1;
        if has("event") {
            fault(Habit::Event, event_fault(message));
            fault(Habit::Quiet, (!negotiated).then_some("before negotiation"));
            if let Some(name) = message["event"].as_str() {
                let mut state = self.state();
                let events = &mut state.events;
                events.insert(name.to_owned(), message.clone());
            }
        } else if has("return") || has("error") {
            fault(Habit::Reply, reply_fault(message));
            fault(Habit::Error, message.get("error").and_then(error_fault));
        } else if !has("QMP") {
            fault(Habit::Kind, Some("neither greeting, reply nor event"));
        }
    }

    /// The first breach of a habit.
    pub(crate) fn breach_of(&self, habit: Habit) -> Option<String> {
        self.state().breaches.get(&habit).cloned()
    }

    /// How many messages were seen.
    pub(crate) fn messages(&self) -> usize {
        self.state().messages
    }

    /// The last event of every name.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.state().events.values().cloned().collect()
    }

    /// Takes a connection that was made and not served.
    pub(crate) fn unserved(&self, what: impl Into<String>) {
        self.breach(Habit::Service, what.into());
    }

    fn breach(&self, habit: Habit, what: String) {
        self.state().breaches.entry(habit).or_insert(what);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reply_fault(reply: &Value) -> Option<&'static str> {
    if reply.get("return").is_some() && reply.get("error").is_some() {
        return Some("both a return value and an error");
    }
    let known = ["return", "error", "id"];
    other_member(reply, &known).then_some("a member that replies do not have")
}

fn error_fault(error: &Value) -> Option<&'static str> {
    let text = |name| error.get(name).is_some_and(Value::is_string);
    if !text("class") || error["class"] == "" {
        return Some("no class");
    }
    if !text("desc") || error["desc"] == "" {
        return Some("no desc");
    }
    other_member(error, &["class", "desc"]).then_some("a member that errors do not have")
}

fn event_fault(event: &Value) -> Option<&'static str> {
    let named = event["event"].as_str().is_some_and(|name| !name.is_empty());
    let data = event.get("data");
    if !named {
        Some("no name")
    } else if data.is_some_and(|data| !data.is_object()) {
        Some("the data is no object")
    } else if !is_time(&event["timestamp"]) {
        Some("no timestamp of seconds and microseconds")
    } else if other_member(event, &["event", "data", "timestamp"]) {
        Some("a member that events do not have")
    } else {
        None
    }
}

/// Seconds and microseconds; both -1 if the host has no clock.
fn is_time(timestamp: &Value) -> bool {
    let part = |name: &str| timestamp[name].as_i64();
    match (part("seconds"), part("microseconds")) {
        (Some(-1), Some(-1)) => true,
        (Some(seconds), Some(micros)) => seconds >= 0 && (0..1_000_000).contains(&micros),
        _ => false,
    }
}

/// Whether an object has a member besides these and downstream ones.
fn other_member(object: &Value, known: &[&str]) -> bool {
    let members = object.as_object().into_iter().flatten();
    let mut names = members.map(|(name, _)| name.as_str());
    names.any(|name| !known.contains(&name) && !name.starts_with("__"))
}
