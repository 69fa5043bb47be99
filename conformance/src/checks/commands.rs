//! What is advertised is what is done: every command accepts what its schema
//! says, and refuses what it does not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Finding, Outcome, Trouble, finding, verdict};
use crate::lists::Conduct;
use crate::schema::{Command, Member, Schema};
use crate::wire::{Wire, WireError};

const VALIDATION: &str = "QMP: Compatibility Considerations";

pub(super) const CHECKS: &[Row] = &[
    Row(
        "commands/known",
        "QAPI: Client JSON Protocol introspection",
        "Every command of the schema is there.",
        known,
    ),
    Row(
        "commands/others",
        "QAPI: Client JSON Protocol introspection",
        "Names that the schema does not have, or has for something else, are no commands.",
        others,
    ),
    Row(
        "commands/unknown-argument",
        VALIDATION,
        "Every command refuses an argument that its schema does not have.",
        unknown_argument,
    ),
    Row(
        "commands/missing-argument",
        VALIDATION,
        "Every command refuses to go without an argument that its schema requires.",
        missing_argument,
    ),
    Row(
        "commands/wrong-type",
        VALIDATION,
        "Every command refuses arguments of other types than its schema says.",
        wrong_type,
    ),
    Row(
        "commands/wrong-element",
        VALIDATION,
        "Every command refuses arrays with elements of other types than its schema says.",
        wrong_element,
    ),
    Row(
        "commands/accepted",
        "QAPI: Client JSON Protocol introspection",
        "Commands that only read accept what their schema allows, each optional argument included.",
        accepted,
    ),
    Row(
        "commands/returned",
        "QAPI: Client JSON Protocol introspection",
        "What commands that only read return fits the type in the schema.",
        returned,
    ),
];

/// Names that a server may know though it does not say so.
const LIKELY: &[&str] = &[
    "no-such-command",
    "help",
    "query-version",
    "query-name",
    "query-status",
    "query-kvm",
    "query-events",
    "device_del",
    "system_reset",
    "stop",
    "cont",
];

/// Arguments to try, with what is wrong about them.
type Trials = Vec<(String, Value)>;

fn known(bench: &mut Bench) -> Outcome {
    let judge = |reply: &Value| {
        let lost = reply["error"]["class"] == "CommandNotFound";
        lost.then(|| "is not found".to_owned())
    };
    let with_unknown = |_: &Schema, _: &Command| vec![unknown()];
    every_command(bench, with_unknown, judge)
}

fn others(bench: &mut Bench) -> Outcome {
    let schema = bench.schema()?;
    let mut names: BTreeSet<String> = LIKELY.iter().map(|&name| name.to_owned()).collect();
    for entry in &schema.entries {
        let name = entry["name"].as_str().unwrap_or_default();
        names.extend([name.to_owned(), name.to_uppercase(), name.replace('-', "_")]);
        names.insert(format!("x-{name}"));
    }
    names.retain(|name| schema.command(name).is_none());
    let mut wire = bench.wire(State::Negotiated)?;
    let mut findings = Vec::new();
    for name in &names {
        // If it is a command after all, it shall not be carried out.
        let request = json!({"execute": name, "arguments": {"no-such-argument": 1}});
        let reply = wire.call(&request);
        bench.note(&wire);
        if reply?["error"]["class"] != "CommandNotFound" {
            findings.push(finding(name, "is not answered with CommandNotFound"));
        }
    }
    bench.keep(wire);
    verdict(findings, format!("{} names", names.len()))
}

fn unknown() -> (String, Value) {
    let what = "accepts an unknown argument".to_owned();
    (what, json!({"no-such-argument": 1}))
}

fn unknown_argument(bench: &mut Bench) -> Outcome {
    let trials = |schema: &Schema, command: &Command| {
        let (what, _) = unknown();
        let mut arguments = schema.instance(&command.arguments);
        arguments["no-such-argument"] = json!(1);
        vec![(what, arguments)]
    };
    every_command(bench, trials, refused)
}

fn missing_argument(bench: &mut Bench) -> Outcome {
    let trials = |schema: &Schema, command: &Command| {
        let arguments = schema.instance(&command.arguments);
        let members = members(schema, command, &arguments);
        let required = members.iter().filter(|member| !member.optional);
        let without = required.map(|member| {
            let mut arguments = arguments.clone();
            if let Some(object) = arguments.as_object_mut() {
                object.remove(&member.name);
            }
            (format!("goes without {}", member.name), arguments)
        });
        without.collect()
    };
    every_command(bench, trials, refused)
}

fn wrong_type(bench: &mut Bench) -> Outcome {
    let trials = |schema: &Schema, command: &Command| {
        let arguments = schema.instance(&command.arguments);
        let mut trials = Trials::new();
        for member in members(schema, command, &arguments) {
            for misfit in schema.misfits(&member.ty) {
                trials.push(with(&arguments, &member.name, misfit));
            }
        }
        trials
    };
    every_command(bench, trials, refused)
}

fn wrong_element(bench: &mut Bench) -> Outcome {
    let trials = |schema: &Schema, command: &Command| {
        let arguments = schema.instance(&command.arguments);
        let mut trials = Trials::new();
        for member in members(schema, command, &arguments) {
            for misfit in schema.element_misfits(&member.ty) {
                trials.push(with(&arguments, &member.name, json!([misfit])));
            }
        }
        trials
    };
    every_command(bench, trials, refused)
}

fn with(arguments: &Value, name: &str, value: Value) -> (String, Value) {
    let what = format!("accepts {value} for {name}");
    let mut arguments = arguments.clone();
    arguments[name] = value;
    (what, arguments)
}

/// The members of a command's arguments, those of the chosen variant included.
fn members(schema: &Schema, command: &Command, arguments: &Value) -> Vec<Member> {
    let own = schema.members(&command.arguments);
    let variant = schema.chosen_variant(&command.arguments, arguments);
    let of_variant = variant.as_deref().map_or(&[][..], |ty| schema.members(ty));
    own.iter().chain(of_variant).cloned().collect()
}

fn refused(reply: &Value) -> Option<String> {
    reply.get("error").is_none().then(String::new)
}

/// Sends every command its trials and judges each reply. A judge's text says
/// what is wrong; where it is empty, the trial's own text does.
fn every_command(
    bench: &mut Bench,
    trials: fn(&Schema, &Command) -> Trials,
    judge: fn(&Value) -> Option<String>,
) -> Outcome {
    let schema = bench.schema()?;
    let mut findings = Vec::new();
    let (mut requests, mut left_out) = (0, 0);
    let mut wire = bench.wire(State::Negotiated)?;
    for command in schema.commands() {
        if !may_be_sent(bench, command) {
            left_out += 1;
            continue;
        }
        let trials = trials(&schema, command);
        requests += trials.len();
        let outcome = attempt(&mut wire, command, &trials, judge);
        bench.note(&wire);
        match outcome {
            Ok(found) => findings.extend(found),
            Err(error) => {
                findings.push(finding(&command.name, error.to_string()));
                // Whatever happened, the next command gets a clean connection.
                drop(wire);
                wire = bench.wire(State::Negotiated)?;
            }
        }
    }
    bench.keep(wire);
    verdict(findings, note(requests, left_out))
}

fn may_be_sent(bench: &Bench, command: &Command) -> bool {
    match Conduct::of(&command.name) {
        Conduct::Reads => true,
        Conduct::Changes => bench.disposable,
        Conduct::Never => false,
    }
}

fn note(requests: usize, left_out: usize) -> String {
    match left_out {
        0 => format!("{requests} requests"),
        commands => format!("{requests} requests; {commands} commands left out"),
    }
}

fn attempt(
    wire: &mut Wire,
    command: &Command,
    trials: &Trials,
    judge: fn(&Value) -> Option<String>,
) -> Result<Vec<Finding>, WireError> {
    let mut findings = Vec::new();
    for (what, arguments) in trials {
        let reply = wire.call(&json!({"execute": command.name, "arguments": arguments}))?;
        if let Some(fault) = judge(&reply) {
            let what = if fault.is_empty() { what } else { &fault };
            findings.push(finding(&command.name, what));
        }
    }
    Ok(findings)
}

fn accepted(bench: &mut Bench) -> Outcome {
    let trials = |schema: &Schema, command: &Command| {
        let arguments = schema.instance(&command.arguments);
        let mut trials = vec![(
            "refuses what its schema allows".to_owned(),
            arguments.clone(),
        )];
        let members = members(schema, command, &arguments);
        for member in members.iter().filter(|member| member.optional) {
            let (_, arguments) = with(&arguments, &member.name, schema.instance(&member.ty));
            trials.push((format!("refuses {}", member.name), arguments));
        }
        trials
    };
    let judge = |reply: &Value| refuses_form(reply).then(String::new);
    every_reader(bench, |wire, schema, command| {
        attempt(wire, command, &trials(schema, command), judge)
    })
}

fn returned(bench: &mut Bench) -> Outcome {
    every_reader(bench, |wire, schema, command| {
        let arguments = schema.instance(&command.arguments);
        let reply = wire.call(&json!({"execute": command.name, "arguments": arguments}))?;
        let returned = reply.get("return");
        let fault = returned.and_then(|value| schema.fit(value, &command.returns).err());
        let fault = fault.map(|fault| finding(&command.name, format!("returns: {fault}")));
        Ok(fault.into_iter().collect())
    })
}

/// Does something with every command that only reads.
fn every_reader(
    bench: &mut Bench,
    attempt: impl Fn(&mut Wire, &Schema, &Command) -> Result<Vec<Finding>, WireError>,
) -> Outcome {
    let schema = bench.schema()?;
    let mut findings = Vec::new();
    let mut readers = 0;
    let mut wire = bench.wire(State::Negotiated)?;
    for command in schema.commands() {
        if Conduct::of(&command.name) != Conduct::Reads {
            continue;
        }
        readers += 1;
        let outcome = attempt(&mut wire, &schema, command);
        bench.note(&wire);
        findings.extend(outcome.map_err(Trouble::from)?);
    }
    bench.keep(wire);
    verdict(findings, format!("{readers} commands"))
}

/// Whether a reply refuses arguments for their form, as QEMU words it.
fn refuses_form(reply: &Value) -> bool {
    let text = reply["error"]["desc"].as_str().unwrap_or_default();
    let forms = [
        "Invalid parameter type for ",
        " is unexpected",
        " is missing",
        " does not accept value ",
    ];
    forms.iter().any(|form| text.contains(form))
}
