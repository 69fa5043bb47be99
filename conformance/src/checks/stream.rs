//! What holds for every message: watched while all other checks ran.

use serde_json::json;

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Outcome, Trouble};
use crate::observed::Habit;

pub(super) const CHECKS: &[Row] = &[
    Row(
        "stream/line-ends",
        "QMP: General Definitions",
        "Every message ends in CR LF.",
        |bench| watched(bench, Habit::LineEnd),
    ),
    Row(
        "stream/ascii",
        "QMP: Protocol Specification",
        "Every message is ASCII; other characters are escaped.",
        |bench| watched(bench, Habit::Ascii),
    ),
    Row(
        "stream/repeated-members",
        "QMP: Protocol Specification",
        "No object in a message has a member twice.",
        |bench| watched(bench, Habit::Members),
    ),
    Row(
        "stream/kinds",
        "QMP: General Definitions",
        "Every message is a greeting, a reply or an event.",
        |bench| watched(bench, Habit::Kind),
    ),
    Row(
        "stream/replies",
        "QMP: Commands Responses",
        "A reply has either return or error, perhaps an id, and nothing else.",
        |bench| watched(bench, Habit::Reply),
    ),
    Row(
        "stream/errors",
        "QMP: Error",
        "An error is a class and a desc, neither empty, and nothing else.",
        |bench| watched(bench, Habit::Error),
    ),
    Row(
        "stream/events",
        "QMP: Asynchronous events",
        "An event has a name, a timestamp of seconds and microseconds, perhaps data, and nothing else.",
        |bench| watched(bench, Habit::Event),
    ),
    Row(
        "stream/quiet",
        "QMP: Capabilities Negotiation",
        "No event comes before negotiation.",
        |bench| watched(bench, Habit::Quiet),
    ),
    Row(
        "stream/service",
        "practice",
        "Whoever connects is greeted and can negotiate, at any time.",
        service,
    ),
];

fn watched(bench: &mut Bench, habit: Habit) -> Outcome {
    if bench.observed.messages() < 10 {
        provoke(bench)?;
    }
    match bench.observed.breach_of(habit) {
        Some(breach) => Err(Trouble::broken(breach)),
        None => Ok(format!("{} messages", bench.observed.messages())),
    }
}

/// Clients that come one upon the other are the hardest to serve.
fn service(bench: &mut Bench) -> Outcome {
    for _ in 0..10 {
        bench.wire(State::Fresh)?;
    }
    watched(bench, Habit::Service)
}

/// Gets some messages of every kind, where no other checks ran.
fn provoke(bench: &mut Bench) -> Result<(), Trouble> {
    let probe = bench.probe()?;
    let mut wire = bench.wire(State::Negotiated)?;
    for id in 0..10 {
        wire.call(&json!({"execute": probe, "id": [id, "é\u{7f}😀"]}))?;
        wire.call(&json!({"execute": "no-such-é", "id": id}))?;
    }
    bench.keep(wire);
    Ok(())
}
