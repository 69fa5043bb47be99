//! Out-of-band execution, where introspection has to say what may run so.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Outcome, Trouble, ensure, finding, verdict};
use crate::lists::Conduct;
use crate::schema::Schema;
use crate::wire::Wire;

pub(super) const CHECKS: &[Row] = &[
    Row(
        "oob/allowed",
        "QMP: Out-of-band execution",
        "Commands with allow-oob run out of band, with an id or without.",
        allowed,
    ),
    Row(
        "oob/also-in-band",
        "QMP: Out-of-band execution",
        "Commands with allow-oob run in band as well.",
        also_in_band,
    ),
    Row(
        "oob/others",
        "QMP: Out-of-band execution",
        "Commands without allow-oob are refused out of band, and not carried out.",
        others,
    ),
    Row(
        "oob/arguments",
        "QMP: Compatibility Considerations",
        "Arguments are checked out of band as they are in band.",
        arguments,
    ),
    Row(
        "oob/all-answered",
        "QMP: Out-of-band execution",
        "Out-of-band requests between others are each answered once, and the others in order.",
        all_answered,
    ),
];

/// A command that may run out of band and does no harm, with its arguments.
fn harmless(schema: &Schema) -> Result<Value, Trouble> {
    let of_conduct = |wanted| {
        let mut commands = schema.commands();
        commands.find(move |command| command.allow_oob && Conduct::of(&command.name) == wanted)
    };
    if let Some(command) = of_conduct(Conduct::Reads) {
        let arguments = schema.instance(&command.arguments);
        return Ok(json!({"exec-oob": command.name, "arguments": arguments}));
    }
    // One that is refused for its arguments is harmless as well.
    let Some(command) = of_conduct(Conduct::Changes) else {
        return Err(Trouble::skipped("no command is said to allow oob"));
    };
    Ok(json!({"exec-oob": command.name, "arguments": {"no-such-argument": 1}}))
}

/// Whether a reply is another than one that refuses to run out of band.
fn ran(reply: &Value) -> bool {
    let text = reply["error"]["desc"].as_str().unwrap_or_default();
    reply["error"]["class"] != "CommandNotFound" && !text.contains("OOB")
}

fn allowed(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut wire = bench.wire(State::Oob)?;
    let mut request = harmless(&schema)?;
    for id in [None, Some(json!(1)), Some(json!({"a": [null]}))] {
        if let Some(id) = &id {
            request["id"] = id.clone();
        }
        let reply = wire.call(&request);
        bench.note(&wire);
        let reply = reply?;
        ensure(ran(&reply), || {
            format!("{} is refused", request["exec-oob"])
        })?;
        ensure(reply.get("id") == id.as_ref(), || {
            "the id does not come back".to_owned()
        })?;
    }
    Ok(format!("{}", request["exec-oob"]))
}

fn also_in_band(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut wire = bench.wire(State::Oob)?;
    let request = harmless(&schema)?;
    let mut request = json!({"execute": request["exec-oob"], "arguments": request["arguments"]});
    request["id"] = json!(1);
    let reply = wire.call(&request);
    bench.note(&wire);
    ensure(ran(&reply?), || {
        format!("{} is refused", request["execute"])
    })?;
    Ok(String::new())
}

fn others(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut wire = bench.wire(State::Oob)?;
    let mut findings = Vec::new();
    let mut refused = 0;
    for command in schema.commands().filter(|command| !command.allow_oob) {
        // If it is carried out after all, it must do no harm.
        if Conduct::of(&command.name) != Conduct::Reads {
            continue;
        }
        let reply = wire.call(&json!({"exec-oob": command.name, "id": refused}));
        bench.note(&wire);
        let reply = reply?;
        refused += 1;
        if reply.get("error").is_none() {
            findings.push(finding(&command.name, "runs out of band"));
        }
    }
    verdict(findings, format!("{refused} commands"))
}

fn arguments(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut wire = bench.wire(State::Oob)?;
    let mut request = harmless(&schema)?;
    request["arguments"] = json!({"no-such-argument": 1});
    request["id"] = json!(1);
    let reply = wire.call(&request);
    bench.note(&wire);
    ensure(reply?.get("error").is_some(), || {
        "an unknown argument is accepted".to_owned()
    })?;
    Ok(String::new())
}

fn all_answered(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let probe = bench.probe()?;
    let mut wire = bench.wire(State::Oob)?;
    let oob = harmless(&schema)?;
    let mut lines = String::new();
    // No more in flight than servers must be able to queue.
    for id in 0..8 {
        let mut beside = oob.clone();
        beside["id"] = json!(format!("oob-{id}"));
        let request = json!({"execute": probe, "id": id});
        lines.push_str(&format!("{request}\n{beside}\n"));
    }
    wire.send(lines.as_bytes())?;
    let outcome = collect(&mut wire, 8);
    bench.note(&wire);
    outcome?;
    bench.sync(&mut wire, State::Oob)?;
    Ok(String::new())
}

/// Takes the replies to `count` requests of either kind.
fn collect(wire: &mut Wire, count: usize) -> Result<(), Trouble> {
    let mut next = 0;
    let mut beside = BTreeSet::new();
    for _ in 0..2 * count {
        let reply = wire.reply()?;
        let id = reply.get("id").cloned().unwrap_or_default();
        if let Some(id) = id.as_str() {
            ensure(beside.insert(id.to_owned()), || {
                format!("{id} is answered twice")
            })?;
        } else {
            ensure(id == json!(next), || {
                format!("the reply to {next} was due, but that to {id} came")
            })?;
            next += 1;
        }
    }
    ensure(next == count && beside.len() == count, || {
        "not every request is answered".to_owned()
    })
}
