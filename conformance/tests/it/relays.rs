//! Faults that a mock does not have, planted in what it says, one for every
//! rule that is left; and servers that show odd things of themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tinamou_conformance::{checks, report};
use tinamou_mock::{Mock, Rules, Schema};

use crate::faults::{PATIENCE, ROWS, side_by_side};
use crate::peer::{Mangle, Peer, failed};

/// Checks whose fault cannot be planted in a mock: this one needs a process.
const ELSEWHERE: &[&str] = &["events/quit-ends"];

/// A check that needs a server without `oob`.
const NOT_OFFERED: &str = "negotiation/not-offered";

/// A rule, and a server that breaks it.
type Row = (&'static str, Arc<Mangle>);

/// Changes every line.
fn each(change: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Arc<Mangle> {
    Arc::new(change)
}

/// Says one thing for another.
fn says(this: &'static str, for_that: &'static str) -> Arc<Mangle> {
    each(move |_, line| line.replace(for_that, this))
}

/// The id of a reply as it is written, with its name.
fn id_of(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    Some(format!(", \"id\": {}", value.get("id")?))
}

/// Takes as a success what has this in it.
fn takes(input: &'static str) -> Arc<Mangle> {
    each(move |asked, line| {
        if !asked.contains(input) || !line.contains("\"error\"") {
            return line.to_owned();
        }
        let id = id_of(line).unwrap_or_default();
        format!("{{\"return\": {{}}{id}}}\r\n")
    })
}

/// Refuses what has this in it.
fn refuses(input: &'static str) -> Arc<Mangle> {
    each(move |asked, line| {
        if !asked.contains(input) || !line.contains("\"return\"") {
            return line.to_owned();
        }
        let id = id_of(line).unwrap_or_default();
        format!("{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"no OOB\"}}{id}}}\r\n")
    })
}

/// Does not answer what has this in it.
fn ignores(input: &'static str) -> Arc<Mangle> {
    each(move |asked, line| match asked.contains(input) {
        true => String::new(),
        false => line.to_owned(),
    })
}

/// Greets every client as another version.
fn greets_otherwise() -> Arc<Mangle> {
    let greetings = AtomicUsize::new(0);
    each(move |_, line| {
        if !line.contains("\"QMP\"") {
            return line.to_owned();
        }
        let version = format!("\"micro\": {}", greetings.fetch_add(1, Ordering::Relaxed));
        line.replace("\"micro\": 2", &version)
    })
}

/// Forgets the fifth client.
fn forgets_one() -> Arc<Mangle> {
    let greetings = AtomicUsize::new(0);
    each(move |_, line| {
        let fifth = line.contains("\"QMP\"") && greetings.fetch_add(1, Ordering::Relaxed) == 4;
        match fifth {
            true => String::new(),
            false => line.to_owned(),
        }
    })
}

/// Greets six times and then no more.
fn tires() -> Arc<Mangle> {
    let greetings = AtomicUsize::new(0);
    each(move |_, line| {
        let tired = line.contains("\"QMP\"") && greetings.fetch_add(1, Ordering::Relaxed) > 6;
        if tired {
            String::new()
        } else {
            line.to_owned()
        }
    })
}

/// Sends errors without their ids.
fn forgets_ids_of_errors() -> Arc<Mangle> {
    each(|_, line| match line.split_once(", \"error\": ") {
        Some((_, error)) => format!("{{\"error\": {error}"),
        None => line.to_owned(),
    })
}

fn rows() -> Vec<Row> {
    vec![
        ("greeting/again", greets_otherwise()),
        (
            "greeting/query-version",
            each(|asked, line| match asked.contains("query-version") {
                true => line.replace("\"micro\": 2", "\"micro\": 3"),
                false => line.to_owned(),
            }),
        ),
        (
            "negotiation/unknown-commands-wait",
            says("GenericError", "CommandNotFound"),
        ),
        ("negotiation/empty-arguments", refuses("\"arguments\": {}")),
        ("negotiation/spelling", takes("OOB")),
        ("negotiation/enable-type", takes("null")),
        ("negotiation/enable-elements", takes("[1]")),
        ("negotiation/unknown-argument", takes("no-such-argument")),
        ("negotiation/envelope", takes("[]")),
        (
            "negotiation/no-oob",
            takes("\"exec-oob\": \"qmp_capabilities\""),
        ),
        (
            "framing/no-newline",
            each(|asked, line| match asked.ends_with('}') {
                true => String::new(),
                false => line.to_owned(),
            }),
        ),
        ("framing/cr-lf", refuses("\r")),
        ("framing/lines", refuses("\t")),
        (
            "framing/blank-lines",
            each(|asked, line| match asked.starts_with('\n') {
                true => format!(
                    "{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"no\"}}}}\r\n{line}"
                ),
                false => line.to_owned(),
            }),
        ),
        ("framing/half-close", refuses("\"id\": 1}")),
        (
            "framing/half-request",
            each(|asked, line| match line {
                "" if asked.ends_with("\"id\": 1") => "{\"return\": {}, \"id\": 1}\r\n".to_owned(),
                line => line.to_owned(),
            }),
        ),
        ("framing/comma", takes("")),
        ("envelope/member-order", refuses("{\"id\"")),
        ("envelope/no-arguments", refuses("\"arguments\": {}")),
        ("envelope/member-spelling", takes("\"Execute\"")),
        ("envelope/execute-type", takes("{\"execute\": null")),
        ("envelope/array", takes("[{")),
        ("envelope/scalar", takes("-1.5")),
        ("envelope/no-oob", takes("\"exec-oob\"")),
        ("ids/escapes", says("", "\\u0001")),
        ("ids/unicode", says("\\uFFFD", "\\uD83D\\uDE00")),
        ("ids/nul", says("", "\\u0000")),
        (
            "ids/integer-limits",
            says("18446744073709551614", "18446744073709551615"),
        ),
        ("ids/big-integer", says("e+18", "e+19")),
        ("ids/fraction", says("\"id\": 1}", "\"id\": 1.5}")),
        ("ids/boolean", says("\"id\": 1}", "\"id\": true}")),
        ("ids/null", says("}", ", \"id\": null}")),
        ("ids/array", says("\"id\": {}}", "\"id\": []}")),
        ("ids/object", says("\"id\": []}", "\"id\": {}}")),
        ("ids/in-errors", forgets_ids_of_errors()),
        ("json/escaped-names", refuses("\\u0065")),
        ("json/single-quotes", refuses("'")),
        ("json/zero-exponent", ignores("0e1")),
        ("json/noncharacters", ignores("\\ufffe")),
        ("json/long", ignores("[0,1,2,3,4")),
        (
            "json/huge-number",
            each(|asked, line| match asked.contains("1e400") {
                true => "{\"return\": {}, \"id\": inf}\r\n".to_owned(),
                false => line.to_owned(),
            }),
        ),
        ("json/missing-separator", takes("[1 2]")),
        ("json/names", takes("{1: 2}")),
        ("json/repeated-name", takes("\"a\": 1, \"a\": 2")),
        ("json/words", takes("NaN")),
        ("json/numbers", takes("012")),
        ("json/escapes", takes("\\x41")),
        ("json/lone-surrogates", takes("\\ud800\"")),
        ("json/controls-in-strings", takes("a\tb")),
        ("json/utf-8", takes("\u{FFFD}")),
        ("json/between-tokens", takes("\u{b}")),
        ("json/comments", takes("//")),
        ("json/brackets", takes("}]")),
        ("json/foreign", takes("GET")),
        ("json/flush-in-object", ignores("[1, 2")),
        ("json/flush-in-string", ignores("\"abc\\")),
        ("json/flush-control", ignores("\u{1}")),
        ("json/flush-idle", ignores("\u{FFFD}")),
        ("errors/not-negotiated-text", says("it", "qmp_capabilities")),
        ("errors/names-command", says("it", "no-such-command")),
        ("errors/names-member", says("it", "no-such-member")),
        ("errors/json-text", says("text", "JSON")),
        ("oob/allowed", refuses("exec-oob")),
        (
            "oob/also-in-band",
            says("does not support OOB", "query-yank"),
        ),
        ("oob/arguments", takes("no-such-argument")),
        ("oob/all-answered", ignores("oob-5")),
        ("oob/in-band", refuses("\"execute\"")),
        ("oob/unknown-command", takes("no-such-command")),
        ("oob/both", takes("\"exec-oob\"")),
        ("oob/type", takes("null")),
        ("oob/envelope", takes("no-such-member")),
        (
            "oob/negotiation",
            takes("\"exec-oob\": \"qmp_capabilities\""),
        ),
        ("oob/json", takes("{\"execute\": }")),
        ("connections/again", tires()),
        ("stream/service", forgets_one()),
        ("connections/half-request", refuses("\"next\"")),
        ("connections/half-string", refuses("\"next\"")),
        (
            "connections/gone-unread",
            each(|asked, line| match asked.contains("\"next\"") {
                true => format!("{{\"return\": {{}}}}\r\n{line}"),
                false => line.to_owned(),
            }),
        ),
        (
            "connections/speaks-first",
            each(|asked, line| match asked.contains("early") {
                true => line.replace("\"return\"", "\"event\""),
                false => line.to_owned(),
            }),
        ),
        ("events/time", says("\"seconds\": 1", "\"seconds\": ")),
        ("stream/ascii", says("é", "\\u00E9")),
        (
            "stream/repeated-members",
            says("{\"return\": {}, \"return\"", "{\"return\""),
        ),
    ]
}

#[test]
fn a_fault_of_each_kind_is_found() {
    let wrong = side_by_side(&rows(), |(check, mangle)| {
        let only: &[&str] = match *check {
            "events/time" => &["events/stop", check],
            _ => &[check],
        };
        let peer = Peer::mangled(Mock::builder().build(), Arc::clone(mangle));
        let found = peer.hold(only, PATIENCE);
        let right = failed(&found) == [*check];
        (!right).then(|| format!("{check}\n{}", report::text(&found)))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Changes what introspection shows.
type Odd = fn(&mut Vec<Value>);

/// The first entry of a meta-type.
fn first<'a>(schema: &'a mut [Value], meta: &str) -> &'a mut Value {
    let found = schema.iter_mut().find(|entry| entry["meta-type"] == meta);
    found.expect("there is one of every meta-type")
}

fn union(schema: &mut [Value]) -> &mut Value {
    let found = schema.iter_mut().find(|entry| entry.get("tag").is_some());
    found.expect("there is a union")
}

const ODD: &[(&str, Odd)] = &[
    ("introspection/entries", |schema| {
        schema.push(schema[0].clone())
    }),
    ("introspection/shapes", |schema| {
        first(schema, "command")["odd"] = json!(1)
    }),
    ("introspection/references", |schema| {
        first(schema, "array")["element-type"] = json!("lost")
    }),
    ("introspection/reached", |schema| {
        schema.push(json!({"name": "lonely", "meta-type": "object", "members": []}));
    }),
    ("introspection/arguments", |schema| {
        first(schema, "event")["arg-type"] = json!("int")
    }),
    ("introspection/members", |schema| {
        let with_members = |entry: &&mut Value| entry["members"].get(0).is_some();
        let objects = schema
            .iter_mut()
            .filter(|entry| entry["meta-type"] == "object");
        let object = objects.into_iter().find(with_members).expect("an object");
        let members = object["members"].as_array_mut().expect("a list");
        members.push(members[0].clone());
    }),
    ("introspection/unions", |schema| {
        union(schema)["tag"] = json!("lost")
    }),
    ("introspection/unions", |schema| {
        union(schema)["variants"][0]["case"] = json!("lost")
    }),
    ("introspection/alternates", |schema| {
        let members = first(schema, "alternate")["members"].as_array_mut();
        let members = members.expect("a list");
        members.push(members[0].clone());
    }),
    ("introspection/enums", |schema| {
        first(schema, "enum")["values"][0] = json!("lost")
    }),
    ("introspection/builtins", |schema| {
        first(schema, "builtin")["json-type"] = json!("odd")
    }),
    ("introspection/itself", |schema| {
        first(schema, "enum")["odd"] = json!(1)
    }),
    ("commands/known", |schema| {
        first(schema, "command")["name"] = json!("no-such-command")
    }),
];

#[test]
fn odd_introspection_is_found() {
    for (check, odd) in ODD {
        let schema = serde_json::to_value(Schema::whole().introspection()).expect("JSON");
        let Value::Array(mut schema) = schema else {
            panic!("introspection is a list");
        };
        odd(&mut schema);
        let rule = json!({"command": "query-qmp-schema", "return": schema, "unchecked": true});
        let rules = Rules::parse(&rule.to_string()).expect("a rule");
        let peer = Peer::mock(Mock::builder().rules(rules).build());
        let found = peer.hold(&[check], PATIENCE);
        assert_eq!(failed(&found), [*check], "{}", report::text(&found));
    }
}

/// No check is there that nothing was seen to break.
#[test]
fn what_was_not_offered_and_is_enabled_is_found() {
    let rules = r#"{"greeting": {"oob": false}}"#;
    let mock = Mock::builder().rules(Rules::parse(rules).expect("a rule"));
    let mock = mock.build();
    let sound = Peer::mock(mock.clone()).hold(&[NOT_OFFERED], PATIENCE);
    assert_eq!(failed(&sound), [""; 0], "{}", report::text(&sound));
    let found = Peer::mangled(mock, takes("\"oob\"")).hold(&[NOT_OFFERED], PATIENCE);
    assert_eq!(failed(&found), [NOT_OFFERED], "{}", report::text(&found));
}

#[test]
fn every_check_can_fail() {
    let of_mocks = ROWS.iter().flat_map(|(_, _, ids)| ids.iter().copied());
    let of_relays = rows().into_iter().map(|(id, _)| id);
    let of_schemas = ODD.iter().map(|(id, _)| *id);
    let broken: BTreeSet<&str> = of_mocks
        .chain(of_relays)
        .chain(of_schemas)
        .chain([NOT_OFFERED])
        .chain(ELSEWHERE.iter().copied())
        .collect();
    let checks = checks();
    let left = checks.iter().map(|check| check.id.as_str());
    let left: Vec<_> = left.filter(|id| !broken.contains(id)).collect();
    assert!(left.is_empty(), "{left:?}");
}
