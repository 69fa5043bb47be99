//! Requests sent without waiting for replies.

use serde_json::{Value, json};

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Outcome, Trouble, ensure};
use crate::wire::Wire;

pub(super) const CHECKS: &[Row] = &[
    Row(
        "pipelining/order",
        "QMP: Out-of-band execution",
        "Requests sent together are answered in the order they were sent.",
        order,
    ),
    Row(
        "pipelining/errors-in-order",
        "QMP: Out-of-band execution",
        "Errors of every kind keep their place among the replies.",
        errors_in_order,
    ),
    Row(
        "pipelining/slow-first",
        "QMP: Out-of-band execution",
        "A short command does not overtake a long one.",
        slow_first,
    ),
    Row(
        "pipelining/late-reader",
        "practice",
        "A client that sends much before it reads loses no reply.",
        late_reader,
    ),
    Row(
        "pipelining/order-with-oob",
        "QMP: Out-of-band execution",
        "With oob enabled, requests in band are answered in order too, eight and more in flight.",
        order_with_oob,
    ),
    Row(
        "pipelining/errors-with-oob",
        "QMP: Out-of-band execution",
        "With oob enabled, errors of requests in band keep their place too.",
        errors_with_oob,
    ),
];

fn order(bench: &mut Bench) -> Outcome {
    in_order(bench, State::Negotiated, 64)
}

fn order_with_oob(bench: &mut Bench) -> Outcome {
    for requests in [7, 8, 9, 64] {
        in_order(bench, State::Oob, requests)?;
    }
    Ok(String::new())
}

fn in_order(bench: &mut Bench, state: State, requests: usize) -> Outcome {
    let probe = bench.probe()?;
    let requests = (0..requests).map(|id| json!({"execute": probe, "id": id}));
    let mut wire = bench.wire(state)?;
    let outcome = answered_in_order(&mut wire, &requests.collect::<Vec<_>>());
    finish(bench, wire, state, outcome)
}

fn errors_in_order(bench: &mut Bench) -> Outcome {
    mixed_order(bench, State::Negotiated)
}

fn errors_with_oob(bench: &mut Bench) -> Outcome {
    mixed_order(bench, State::Oob)
}

fn mixed_order(bench: &mut Bench, state: State) -> Outcome {
    let probe = bench.probe()?;
    let kinds = [
        json!({"execute": probe}),
        json!({"execute": "no-such-command"}),
        json!({"execute": probe, "arguments": {"no-such-argument": 1}}),
        json!({"execute": probe, "no-such-member": 1}),
        json!({"execute": 1}),
        json!({"arguments": {}}),
    ];
    let numbered = kinds.iter().cycle().take(24).enumerate();
    let requests = numbered.map(|(id, request)| {
        let mut request = request.clone();
        request["id"] = json!(id);
        request
    });
    let mut wire = bench.wire(state)?;
    let outcome = answered_in_order(&mut wire, &requests.collect::<Vec<_>>());
    finish(bench, wire, state, outcome)
}

fn slow_first(bench: &mut Bench) -> Outcome {
    let probe = bench.probe()?;
    bench.schema()?;
    let requests: Vec<Value> = (0..8)
        .map(|id| match id % 2 {
            0 => json!({"execute": "query-qmp-schema", "id": id}),
            _ => json!({"execute": probe, "id": id}),
        })
        .collect();
    let mut wire = bench.wire(State::Negotiated)?;
    let outcome = answered_in_order(&mut wire, &requests);
    finish(bench, wire, State::Negotiated, outcome)
}

fn late_reader(bench: &mut Bench) -> Outcome {
    let probe = bench.probe()?;
    let requests = (0..1000).map(|id| json!({"execute": probe, "id": id}));
    let mut wire = bench.wire(State::Negotiated)?;
    let outcome = answered_in_order(&mut wire, &requests.collect::<Vec<_>>());
    finish(bench, wire, State::Negotiated, outcome)
}

/// Sends all requests at once; their replies must come in order.
fn answered_in_order(wire: &mut Wire, requests: &[Value]) -> Result<(), Trouble> {
    let lines: String = requests.iter().map(|line| format!("{line}\n")).collect();
    wire.send(lines.as_bytes())?;
    for request in requests {
        let reply = wire.reply()?;
        ensure(reply.get("id") == request.get("id"), || {
            let got = reply.get("id").cloned().unwrap_or_default();
            format!(
                "the reply to {} was due, but that to {got} came",
                request["id"]
            )
        })?;
    }
    Ok(())
}

fn finish(
    bench: &mut Bench,
    mut wire: Wire,
    state: State,
    outcome: Result<(), Trouble>,
) -> Outcome {
    bench.note(&wire);
    outcome?;
    bench.sync(&mut wire, state)?;
    if state == State::Negotiated {
        bench.keep(wire);
    }
    Ok(String::new())
}
