//! What comes when a connection stands.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Outcome, Trouble, ensure};
use crate::same::same;

pub(super) const CHECKS: &[Row] = &[
    Row(
        "greeting/first",
        "QMP: Server Greeting",
        "The server speaks first: an object with the one member QMP.",
        first,
    ),
    Row(
        "greeting/version",
        "QMP: Server Greeting",
        "QMP.version has the numbers major, minor and micro in qemu, and the string package.",
        version,
    ),
    Row(
        "greeting/capabilities",
        "QMP: Server Greeting",
        "QMP.capabilities is an array of strings, none of them twice.",
        capabilities,
    ),
    Row(
        "greeting/again",
        "QMP: Server Greeting",
        "Every connection is greeted in the same way.",
        again,
    ),
    Row(
        "greeting/query-version",
        "QMP: Server Greeting",
        "query-version says what the greeting said.",
        query_version,
    ),
];

fn first(bench: &mut Bench) -> Outcome {
    let mut wire = bench.connect()?;
    let message = wire.message();
    bench.note(&wire);
    let greeting = message?;
    let members = greeting.as_object().map_or(0, serde_json::Map::len);
    ensure(members == 1 && greeting["QMP"].is_object(), || {
        "the first message is no greeting".to_owned()
    })?;
    Ok(String::new())
}

fn version(bench: &mut Bench) -> Outcome {
    let greeting = bench.greeting()?;
    let version = &greeting["QMP"]["version"];
    for part in ["major", "minor", "micro"] {
        ensure(version["qemu"][part].is_u64(), || {
            format!("version.qemu.{part} is no number: {version}")
        })?;
    }
    ensure(version["package"].is_string(), || {
        format!("version.package is no string: {version}")
    })?;
    Ok(String::new())
}

fn capabilities(bench: &mut Bench) -> Outcome {
    let greeting = bench.greeting()?;
    let offered = &greeting["QMP"]["capabilities"];
    let wrong = || Trouble::broken(format!("capabilities is no list of names: {offered}"));
    let list = offered.as_array().ok_or_else(wrong)?;
    let names: Option<BTreeSet<&str>> = list.iter().map(Value::as_str).collect();
    let names = names.ok_or_else(wrong)?;
    ensure(names.len() == list.len(), || {
        format!("a capability is offered twice: {offered}")
    })?;
    Ok(format!("{offered}"))
}

fn again(bench: &mut Bench) -> Outcome {
    let one = bench.greeting()?;
    bench.greeted()?;
    let other = bench.greeting()?;
    ensure(same(&one, &other), || format!("first {one}, then {other}"))?;
    Ok(String::new())
}

fn query_version(bench: &mut Bench) -> Outcome {
    let greeting = bench.greeting()?;
    let mut wire = bench.wire(State::Negotiated)?;
    let reply = wire.call(&json!({"execute": "query-version"}))?;
    bench.note(&wire);
    if reply["error"]["class"] == "CommandNotFound" {
        return Err(Trouble::skipped("the server has no query-version"));
    }
    ensure(same(&reply["return"], &greeting["QMP"]["version"]), || {
        format!("the greeting said {}", greeting["QMP"]["version"])
    })?;
    bench.keep(wire);
    Ok(String::new())
}
