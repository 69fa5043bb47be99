//! One client after the other.

use serde_json::json;

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Outcome, ensure};

pub(super) const CHECKS: &[Row] = &[
    Row(
        "connections/again",
        "practice",
        "When a client has gone the next one is served, ten times over.",
        again,
    ),
    Row(
        "connections/half-request",
        "practice",
        "What a client left unfinished is forgotten, and not the beginning of what the next one sends.",
        half_request,
    ),
    Row(
        "connections/half-string",
        "practice",
        "A client that leaves in the middle of a string leaves a clean reader to the next one.",
        half_string,
    ),
    Row(
        "connections/gone-unread",
        "practice",
        "A client that leaves without reading its replies does not harm the next one.",
        gone_unread,
    ),
    Row(
        "connections/speaks-first",
        "practice",
        "A client that speaks before it was greeted is served like any other.",
        speaks_first,
    ),
];

fn again(bench: &mut Bench) -> Outcome {
    for _ in 0..10 {
        let mut wire = bench.wire(State::Fresh)?;
        let outcome = bench.sync(&mut wire, State::Fresh);
        bench.note(&wire);
        outcome?;
    }
    Ok(String::new())
}

fn half_request(bench: &mut Bench) -> Outcome {
    leave_behind(bench, b"{\"execute\": \"qmp_capabilities\", \"id\": [")
}

fn half_string(bench: &mut Bench) -> Outcome {
    leave_behind(bench, b"{\"execute\": \"qmp_capa")
}

fn leave_behind(bench: &mut Bench, bytes: &[u8]) -> Outcome {
    let mut wire = bench.greeted()?;
    wire.send(bytes)?;
    drop(wire);
    let mut wire = bench.greeted()?;
    let reply = wire.call(&json!({"execute": "qmp_capabilities", "id": "next"}));
    bench.note(&wire);
    let reply = reply?;
    let clean = reply.get("return").is_some() && reply["id"] == "next";
    ensure(clean, || "the next client is not served cleanly".to_owned())?;
    Ok(String::new())
}

fn gone_unread(bench: &mut Bench) -> Outcome {
    let probe = bench.probe()?;
    let mut wire = bench.wire(State::Negotiated)?;
    let request = json!({"execute": probe});
    let line = format!("{request}\n");
    // A server may close on us before all is written; that is its right.
    let _ = wire.send(line.repeat(200).as_bytes());
    drop(wire);
    let mut wire = bench.wire(State::Fresh)?;
    let reply = wire.call(&json!({"execute": probe, "id": "next"}));
    bench.note(&wire);
    ensure(reply?["id"] == "next", || {
        "the next client gets a reply that is not its own".to_owned()
    })?;
    Ok(String::new())
}

fn speaks_first(bench: &mut Bench) -> Outcome {
    let mut wire = bench.connect()?;
    wire.send_json(&json!({"execute": "qmp_capabilities", "id": "early"}))?;
    let outcome = wire
        .message()
        .and_then(|greeting| Ok((greeting, wire.reply()?)));
    bench.note(&wire);
    let (greeting, reply) = outcome?;
    ensure(greeting.get("QMP").is_some(), || {
        "the greeting does not come first".to_owned()
    })?;
    ensure(
        reply.get("return").is_some() && reply["id"] == "early",
        || "the early request is not answered".to_owned(),
    )?;
    Ok(String::new())
}
