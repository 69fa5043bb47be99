//! All checks, in the order they run.

mod commands;
mod connections;
mod events;
mod greeting;
mod introspection;
mod json;
mod negotiation;
mod oob;
mod pipelining;
mod stream;

use crate::bench::Bench;
use crate::check::{Basis, Body, Check, Outcome};
use crate::script;

/// The checks that are written down as conversations.
const SCRIPTS: &[&str] = &[
    include_str!("../checks/greeting.txt"),
    include_str!("../checks/negotiation.txt"),
    include_str!("../checks/framing.txt"),
    include_str!("../checks/envelope.txt"),
    include_str!("../checks/ids.txt"),
    include_str!("../checks/json.txt"),
    include_str!("../checks/errors.txt"),
    include_str!("../checks/oob.txt"),
];

/// The groups in the order they run, with what each is about.
pub const GROUPS: &[(&str, &str)] = &[
    ("greeting", "What comes when a connection stands."),
    ("negotiation", "The way to command mode."),
    ("framing", "How requests are found in the stream."),
    ("envelope", "The object around a command."),
    ("ids", "What comes back with a reply."),
    (
        "json",
        "What the reader takes and refuses, and how it recovers.",
    ),
    ("errors", "What is said when something fails."),
    ("pipelining", "Requests sent without waiting for replies."),
    ("oob", "Out-of-band execution, where it is offered."),
    ("connections", "One client after the other."),
    (
        "introspection",
        "The schema that the server shows of itself.",
    ),
    ("commands", "What is advertised is what is done."),
    ("events", "Messages that nobody asked for."),
    (
        "stream",
        "What holds for every message, watched while all others ran.",
    ),
];

/// A check in code: id, basis, rule, program.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    fn(&mut Bench) -> Outcome,
);

const ROWS: &[&[Row]] = &[
    greeting::CHECKS,
    negotiation::CHECKS,
    json::CHECKS,
    pipelining::CHECKS,
    oob::CHECKS,
    connections::CHECKS,
    introspection::CHECKS,
    commands::CHECKS,
    events::CHECKS,
    stream::CHECKS,
];

/// Every check, in the order of their groups.
#[must_use]
pub fn checks() -> Vec<Check> {
    let scripts = SCRIPTS.iter().flat_map(|file| script::checks(file));
    let rows = ROWS.iter().copied().flatten().map(from_row);
    let mut all: Vec<Check> = rows.chain(scripts).collect();
    let place = |check: &Check| GROUPS.iter().position(|(name, _)| *name == check.group());
    all.sort_by_key(place);
    all
}

fn from_row(Row(id, basis, rule, program): &Row) -> Check {
    Check {
        id: (*id).to_owned(),
        rule: (*rule).to_owned(),
        basis: Basis::parse(basis).expect("the tables of checks are well-formed"),
        body: Body::Code(*program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_has_a_name_of_its_own_in_a_known_group() {
        let mut ids = BTreeSet::new();
        for check in checks() {
            let known = GROUPS.iter().any(|(name, _)| *name == check.group());
            assert!(known, "{} is in no group", check.id);
            assert!(check.rule.ends_with('.'), "{}: {}", check.id, check.rule);
            assert!(ids.insert(check.id.clone()), "{} is there twice", check.id);
        }
    }
}
