//! Messages that nobody asked for. Most of these checks change the state of
//! the machine, so they need a server that may be harmed.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Outcome, Trouble, ensure, finding, verdict};
use crate::observed::Habit;
use crate::wire::{Wire, WireError};

pub(super) const CHECKS: &[Row] = &[
    Row(
        "events/stop",
        "practice",
        "stop says STOP before it returns, and nothing if the machine stands already.",
        stop,
    ),
    Row(
        "events/cont",
        "practice",
        "cont says RESUME before it returns, and nothing if the machine runs already.",
        cont,
    ),
    Row(
        "events/reset",
        "practice",
        "system_reset says RESET before it returns.",
        |bench| one(bench, "system_reset", "RESET"),
    ),
    Row(
        "events/powerdown",
        "practice",
        "system_powerdown says POWERDOWN before it returns.",
        |bench| one(bench, "system_powerdown", "POWERDOWN"),
    ),
    Row(
        "events/not-before-negotiation",
        "QMP: Capabilities Negotiation",
        "Events are not for clients that have not negotiated.",
        not_before_negotiation,
    ),
    Row(
        "events/shutdown",
        "practice",
        "quit says SHUTDOWN, returns, and closes the connection, in this order.",
        shutdown,
    ),
    Row(
        "events/quit-ends",
        "practice",
        "A server that was told to quit ends.",
        quit_ends,
    ),
    Row(
        "events/time",
        "QMP: Asynchronous events",
        "The time of an event is the time of day, or -1.",
        time,
    ),
    Row(
        "events/in-schema",
        "QAPI: Client JSON Protocol introspection",
        "Every event is in the schema, and its data fits its type.",
        in_schema,
    ),
];

/// A connection to a server whose state may be changed by these commands.
fn playground(bench: &mut Bench, commands: &[&str]) -> Result<Wire, Trouble> {
    if !bench.disposable {
        let why = "it changes the machine; --spawn or --disposable allows it";
        return Err(Trouble::skipped(why));
    }
    let schema = bench.schema()?;
    if let Some(lost) = commands.iter().find(|name| schema.command(name).is_none()) {
        return Err(Trouble::skipped(format!("the server has no {lost}")));
    }
    bench.wire(State::Negotiated)
}

/// Runs a command; gives the names of the events before its reply.
fn events_of(wire: &mut Wire, command: &str) -> Result<Vec<String>, Trouble> {
    wire.take_events();
    let reply = wire.call(&json!({"execute": command}))?;
    ensure(reply.get("return").is_some(), || {
        format!("{command} fails: {reply}")
    })?;
    let name = |event: &Value| event["event"].as_str().unwrap_or_default().to_owned();
    Ok(wire.take_events().iter().map(name).collect())
}

/// Runs a command that must say an event, or must not, before its reply.
fn says(wire: &mut Wire, command: &str, event: &str, expected: bool) -> Result<(), Trouble> {
    let events = events_of(wire, command)?;
    let times = events.iter().filter(|name| *name == event).count();
    ensure(times == usize::from(expected), || {
        let wanted = usize::from(expected);
        format!("{command} says {event} {times} times before it returns, not {wanted}")
    })
}

fn stop(bench: &mut Bench) -> Outcome {
    let mut wire = playground(bench, &["stop", "cont"])?;
    let mut play = || {
        events_of(&mut wire, "cont")?;
        says(&mut wire, "stop", "STOP", true)?;
        says(&mut wire, "stop", "STOP", false)
    };
    let outcome = play();
    bench.note(&wire);
    outcome?;
    bench.keep(wire);
    Ok(String::new())
}

fn cont(bench: &mut Bench) -> Outcome {
    let mut wire = playground(bench, &["stop", "cont"])?;
    let mut play = || {
        events_of(&mut wire, "stop")?;
        says(&mut wire, "cont", "RESUME", true)?;
        says(&mut wire, "cont", "RESUME", false)?;
        events_of(&mut wire, "stop")
    };
    let outcome = play();
    bench.note(&wire);
    outcome?;
    bench.keep(wire);
    Ok(String::new())
}

fn one(bench: &mut Bench, command: &str, event: &str) -> Outcome {
    let mut wire = playground(bench, &[command])?;
    let outcome = says(&mut wire, command, event, true);
    bench.note(&wire);
    outcome?;
    bench.keep(wire);
    Ok(String::new())
}

/// Makes events and leaves at once, so that the next client comes among them.
fn not_before_negotiation(bench: &mut Bench) -> Outcome {
    for _ in 0..5 {
        let mut wire = playground(bench, &["stop", "cont"])?;
        let turn = "{\"execute\": \"cont\"}\n{\"execute\": \"stop\"}\n";
        // The server may have closed on us; that is its right.
        let _ = wire.send(turn.repeat(10).as_bytes());
        drop(wire);
        let mut wire = bench.wire(State::Fresh)?;
        let outcome = unasked(&mut wire);
        bench.note(&wire);
        outcome?;
    }
    match bench.observed.breach_of(Habit::Quiet) {
        Some(breach) => Err(Trouble::broken(breach)),
        None => Ok(String::new()),
    }
}

/// Reads up to the reply to a request of our own, which any server refuses.
fn unasked(wire: &mut Wire) -> Result<(), WireError> {
    wire.send_json(&json!({"execute": "no-such-command", "id": "mine"}))?;
    while wire.message()?["id"] != "mine" {}
    Ok(())
}

fn shutdown(bench: &mut Bench) -> Outcome {
    let mut wire = playground(bench, &["quit"])?;
    let schema = bench.schema()?;
    let outcome = last_words(&mut wire);
    bench.note(&wire);
    let rest = outcome?;
    bench.wait_for_end();
    bench.restart();
    let kinds: Vec<&str> = rest.iter().map(kind).collect();
    let returned = kinds.iter().position(|kind| *kind == "return");
    let returned = returned.ok_or_else(|| Trouble::broken("quit does not return"))?;
    ensure(returned + 1 == kinds.len(), || {
        format!("after quit returned came {:?}", &kinds[returned + 1..])
    })?;
    // Programs that have no machine have no such event.
    let expected = schema.event("SHUTDOWN").is_some();
    ensure(kinds.contains(&"SHUTDOWN") == expected, || {
        "SHUTDOWN does not come before quit returns".to_owned()
    })?;
    Ok(String::new())
}

fn last_words(wire: &mut Wire) -> Result<Vec<Value>, WireError> {
    wire.send_json(&json!({"execute": "quit"}))?;
    wire.rest()
}

/// What a message is: an event's name, `return`, or another.
fn kind(message: &Value) -> &str {
    let returned = message.get("return").map(|_| "return");
    let event = message["event"].as_str();
    event.or(returned).unwrap_or("another message")
}

fn quit_ends(bench: &mut Bench) -> Outcome {
    let mut wire = playground(bench, &["quit"])?;
    // The connection may end before the reply; another check is about that.
    let _ = last_words(&mut wire);
    bench.note(&wire);
    let ended = bench.wait_for_end();
    bench.restart();
    match ended {
        Some(true) => Ok(String::new()),
        Some(false) => Err(Trouble::broken("the server is still there")),
        None => Err(Trouble::skipped("the server was not started for the test")),
    }
}

fn time(bench: &mut Bench) -> Outcome {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    let events = events_seen(bench)?;
    let findings = events.iter().filter_map(|event| {
        let seconds = event["timestamp"]["seconds"].as_i64().unwrap_or_default();
        // Clocks of two hosts may differ, but not by a day.
        let right = seconds == -1 || seconds.abs_diff(now.cast_signed()) < 86_400;
        let what = format!("is dated {}", event["timestamp"]);
        (!right).then(|| finding(kind(event), what))
    });
    verdict(findings.collect(), format!("{} events", events.len()))
}

fn in_schema(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let events = events_seen(bench)?;
    let empty = json!({});
    let findings = events.iter().filter_map(|event| {
        let data = event.get("data").unwrap_or(&empty);
        let fault = match schema.event(kind(event)) {
            Some(ty) => schema.fit(data, ty).err(),
            None => Some("is not in the schema".to_owned()),
        };
        Some(finding(kind(event), fault?))
    });
    verdict(findings.collect(), format!("{} events", events.len()))
}

fn events_seen(bench: &Bench) -> Result<Vec<Value>, Trouble> {
    let events = bench.observed.events();
    if events.is_empty() {
        return Err(Trouble::skipped("no event was seen"));
    }
    Ok(events)
}
