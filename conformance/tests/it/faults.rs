//! Every fault that a mock can have is found by the checks meant for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tinamou_conformance::report;
use tinamou_mock::{Fault, Mock, Planted};

use crate::peer::{Peer, failed};

/// A fault, the checks that are made, and those of them that find it.
pub(crate) type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// Long enough for a server beside us; what does not come is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Every fault by name. One that a client must bear is found by nothing.
pub(crate) const ROWS: &[Row] = &[
    ("no-greeting", &["greeting/first"], &["greeting/first"]),
    (
        "late-greeting:ms=600000",
        &["greeting/first"],
        &["greeting/first"],
    ),
    ("late-greeting:ms=1", &["greeting/*"], &[]),
    ("hang-up", &["greeting/first"], &["greeting/first"]),
    ("garbled-greeting", &["greeting/first"], &["greeting/first"]),
    (
        "repeated-greeting",
        &["greeting/first", "greeting/once"],
        &["greeting/once"],
    ),
    (
        "event-before-greeting",
        &["greeting/first"],
        &["greeting/first"],
    ),
    (
        "greeting-without-version",
        &[
            "greeting/first",
            "greeting/version",
            "greeting/capabilities",
        ],
        &["greeting/version"],
    ),
    (
        "greeting-without-capabilities",
        &[
            "greeting/first",
            "greeting/version",
            "greeting/capabilities",
        ],
        &["greeting/capabilities"],
    ),
    (
        "negotiation-refused",
        &[
            "negotiation/no-arguments",
            "negotiation/empty-list",
            "negotiation/id",
            "negotiation/spelling",
        ],
        &[
            "negotiation/no-arguments",
            "negotiation/empty-list",
            "negotiation/id",
        ],
    ),
    (
        "negotiation-needless",
        &[
            "negotiation/each-connection",
            "negotiation/commands-wait",
            "negotiation/unknown-commands-wait",
        ],
        &["negotiation/each-connection", "negotiation/commands-wait"],
    ),
    (
        "negotiation-repeatable",
        &[
            "negotiation/once",
            "negotiation/once-class",
            "negotiation/not-later",
            "negotiation/id",
        ],
        &[
            "negotiation/once",
            "negotiation/once-class",
            "negotiation/not-later",
        ],
    ),
    (
        "unknown-capability-accepted",
        &[
            "negotiation/unknown-*",
            "negotiation/retry",
            "negotiation/once-checks-arguments",
        ],
        &[
            "negotiation/once-checks-arguments",
            "negotiation/unknown-capability",
            "negotiation/unknown-beside-known",
            "negotiation/retry",
        ],
    ),
    (
        "event-before-negotiation",
        &["events/not-before-negotiation", "stream/*"],
        &["events/not-before-negotiation", "stream/quiet"],
    ),
    ("wrong-id", &["ids/string"], &["ids/string"]),
    ("missing-id", &["ids/string"], &["ids/string"]),
    ("needless-id", &["ids/absent"], &["ids/absent"]),
    ("text-id", &["ids/integer"], &["ids/integer"]),
    (
        "rounded-id",
        &["ids/integer", "ids/string"],
        &["ids/integer"],
    ),
    ("no-reply", &["pipelining/order"], &["pipelining/order"]),
    (
        "repeated-reply",
        &["pipelining/order"],
        &["pipelining/order"],
    ),
    (
        "unasked-reply",
        &["pipelining/order"],
        &["pipelining/order"],
    ),
    ("delay:ms=1", &["ids/*", "pipelining/order"], &[]),
    ("stall", &["ids/absent"], &["ids/absent"]),
    ("cut", &["ids/absent"], &["ids/absent"]),
    ("half-close", &["ids/absent"], &["ids/absent"]),
    ("close", &["ids/absent"], &["ids/absent"]),
    ("garble", &["ids/absent"], &["ids/absent"]),
    ("garbage-line", &["ids/absent"], &["ids/absent"]),
    ("invalid-utf8", &["ids/absent"], &["ids/absent"]),
    ("endless-line", &["ids/absent"], &["ids/absent"]),
    (
        "huge-reply:bytes=1000",
        &["commands/returned"],
        &["commands/returned"],
    ),
    (
        "reorder:command=query-version",
        &["pipelining/*"],
        &[
            "pipelining/order",
            "pipelining/errors-in-order",
            "pipelining/slow-first",
            "pipelining/late-reader",
            "pipelining/order-with-oob",
            "pipelining/errors-with-oob",
        ],
    ),
    ("split-reply", &["ids/string", "ids/object"], &[]),
    ("event-inside-reply", &["ids/absent"], &["ids/absent"]),
    (
        "return-and-error",
        &["stream/replies", "stream/kinds"],
        &["stream/replies"],
    ),
    (
        "neither-return-nor-error:command=query-version",
        &["stream/replies", "stream/kinds"],
        &["stream/kinds"],
    ),
    ("not-an-object", &["ids/absent"], &["ids/absent"]),
    (
        "wrong-return-type:command=query-name",
        &["commands/returned"],
        &["commands/returned"],
    ),
    (
        "unterminated-reply",
        &["stream/line-ends", "stream/ascii"],
        &["stream/line-ends"],
    ),
    (
        "error-without-class",
        &["stream/errors"],
        &["stream/errors"],
    ),
    ("error-without-desc", &["stream/errors"], &["stream/errors"]),
    (
        "unknown-error-class",
        &[
            "envelope/unknown-command",
            "*-class",
            "*/class",
            "errors/arguments-class",
            "envelope/unknown-before-arguments",
        ],
        &[
            "negotiation/once-class",
            "envelope/class",
            "envelope/unknown-command-class",
            "envelope/unknown-before-arguments",
            "json/class",
            "errors/arguments-class",
        ],
    ),
    ("text-error", &["stream/errors"], &["stream/errors"]),
    (
        "unexpected-error:command=query-version",
        &["greeting/*"],
        &["greeting/query-version"],
    ),
    (
        "close-on-error",
        &["errors/no-effect", "ids/string"],
        &["errors/no-effect"],
    ),
    (
        "unknown-member-ignored",
        &["envelope/*-member", "envelope/*type", "envelope/array"],
        &["envelope/unknown-member", "envelope/downstream-member"],
    ),
    (
        "missing-command-ignored",
        &["envelope/missing-*"],
        &["envelope/missing-execute", "envelope/missing-execute-id"],
    ),
    (
        "arguments-type-ignored",
        &["envelope/arguments-type", "envelope/execute-type"],
        &["envelope/arguments-type"],
    ),
    (
        "unknown-command-accepted",
        &["envelope/*command*", "envelope/array"],
        &[
            "envelope/unknown-command",
            "envelope/unknown-command-class",
            "envelope/command-spelling",
            "envelope/odd-command",
        ],
    ),
    (
        "close-on-bad-json",
        &["json/missing-value"],
        &["json/missing-value"],
    ),
    (
        "silent-on-bad-json",
        &["json/missing-value"],
        &["json/missing-value"],
    ),
    (
        "short-lines",
        &["json/long", "json/long-string", "ids/long"],
        &["ids/long", "json/long-string"],
    ),
    (
        "shallow-nesting",
        &["json/deep", "ids/array"],
        &["json/deep"],
    ),
    (
        "one-request-per-read",
        &[
            "framing/*",
            "ids/repeated",
            "negotiation/pipelined",
            "pipelining/order",
        ],
        &[
            "negotiation/pipelined",
            "framing/joined",
            "framing/comma",
            "ids/repeated",
            "pipelining/order",
        ],
    ),
    (
        "whole-requests-only",
        &["framing/*"],
        &["framing/bytewise", "framing/split"],
    ),
    (
        "unknown-argument-accepted",
        &["commands/*argument"],
        &["commands/unknown-argument"],
    ),
    (
        "missing-argument-accepted",
        &["commands/*argument"],
        &["commands/missing-argument"],
    ),
    (
        "wrong-type-accepted",
        &["commands/wrong-*"],
        &["commands/wrong-type", "commands/wrong-element"],
    ),
    (
        "unknown-value-accepted",
        &["commands/wrong-*"],
        &["commands/wrong-type"],
    ),
    (
        "phantom-command",
        &["commands/known", "commands/others"],
        &["commands/known"],
    ),
    (
        "hidden-command",
        &["commands/known", "commands/others"],
        &["commands/others"],
    ),
    (
        "phantom-argument",
        &["commands/accepted", "commands/returned"],
        &["commands/accepted"],
    ),
    (
        "commands-disagree",
        &["introspection/*"],
        &["introspection/query-commands"],
    ),
    (
        "undeclared-event",
        &["events/in-schema", "ids/absent"],
        &["events/in-schema"],
    ),
    // Seen only where a command is slow, and no command must be.
    ("oob-in-turn", &["oob/*"], &[]),
    (
        "oob-for-all",
        &["oob/others", "oob/allowed"],
        &["oob/others"],
    ),
    (
        "oob-unnegotiated",
        &["envelope/no-oob", "oob/both"],
        &["envelope/no-oob"],
    ),
    (
        "oob-refused",
        &["negotiation/with-oob", "negotiation/id"],
        &["negotiation/with-oob"],
    ),
    (
        "event-without-timestamp",
        &["events/stop", "stream/events"],
        &["stream/events"],
    ),
    (
        "text-timestamp",
        &["events/stop", "stream/events"],
        &["stream/events"],
    ),
    // It fits the schema.
    ("empty-event-data", &["events/*", "stream/events"], &[]),
    (
        "repeated-event",
        &["events/stop", "events/cont"],
        &["events/stop", "events/cont"],
    ),
    (
        "event-after-reply",
        &["events/stop", "events/cont"],
        &["events/stop", "events/cont"],
    ),
    (
        "lost-event",
        &["events/*"],
        &[
            "events/stop",
            "events/cont",
            "events/reset",
            "events/powerdown",
            "events/shutdown",
        ],
    ),
];

#[test]
fn the_faults_of_a_mock_are_found() {
    let wrong = side_by_side(ROWS, |(fault, only, expected)| {
        let planted: Planted = fault.parse().expect(fault);
        let found = Peer::mock(Mock::with(planted)).hold(only, PATIENCE);
        let right = failed(&found) == *expected;
        (!right).then(|| format!("{fault}: {:?}\n{}", failed(&found), report::text(&found)))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Does something with every row, several at a time since most of it is
/// waiting; gives what was found wrong.
pub(crate) fn side_by_side<R: Sync>(
    rows: &[R],
    attempt: impl Fn(&R) -> Option<String> + Sync,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || -> Vec<String> {
        let take = || rows.get(next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(take).filter_map(&attempt).collect()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..6).map(|_| scope.spawn(work)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| worker.join().expect("no panic");
        workers.into_iter().flat_map(join).collect()
    })
}

#[test]
fn every_fault_of_a_mock_has_its_row() {
    for fault in Fault::ALL {
        let named = |(name, ..): &&Row| name.split(':').next() == Some(fault.name());
        assert!(ROWS.iter().any(|row| named(&row)), "{fault}");
    }
}
