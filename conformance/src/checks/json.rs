//! The reader's edges that are too large to be written down.

use serde_json::{Value, json};

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Outcome, ensure};
use crate::script::FLUSH;
use crate::wire::WireError;

pub(super) const CHECKS: &[Row] = &[
    Row(
        "json/deep",
        "practice",
        "A value of 100 levels comes back, 1000 are read, and 50000 levels do not bring the server down.",
        deep,
    ),
    Row(
        "json/long",
        "practice",
        "An array of 10000 elements is read.",
        long,
    ),
    Row(
        "json/huge-number",
        "QMP: Compatibility Considerations",
        "A number beyond every double is echoed or refused, but never as something that is no JSON.",
        huge_number,
    ),
];

fn deep(bench: &mut Bench) -> Outcome {
    let probe = bench.probe()?;
    let mut wire = bench.wire(State::Negotiated)?;
    let wrap = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        let arguments = format!("{{\"no-such-argument\": {open}{close}}}");
        format!("{{\"execute\": \"{probe}\", \"arguments\": {arguments}, \"id\": 1}}\n")
    };
    let id = (1..100).fold(json!([]), |inner, _| json!([inner]));
    let reply = wire.call(&json!({"execute": probe, "id": id}));
    bench.note(&wire);
    let reply = reply?;
    let back = reply.get("return").is_some() && reply["id"] == id;
    ensure(back, || "100 levels do not come back".to_owned())?;
    wire.send(wrap(1000).as_bytes())?;
    let reply = wire.reply();
    bench.note(&wire);
    ensure(reply?.get("id") == Some(&json!(1)), || {
        "1000 levels are not read".to_owned()
    })?;
    wire.send(wrap(50_000).as_bytes())?;
    wire.send(FLUSH)?;
    let outcome = bench.sync_after_errors(&mut wire, State::Negotiated);
    bench.note(&wire);
    let errors = outcome?;
    ensure(errors > 0, || "50000 levels pass in silence".to_owned())?;
    Ok(String::new())
}

fn long(bench: &mut Bench) -> Outcome {
    let probe = bench.probe()?;
    let mut wire = bench.wire(State::Negotiated)?;
    let id: Vec<u32> = (0..10_000).collect();
    let reply = wire.call(&json!({"execute": probe, "id": id}));
    bench.note(&wire);
    ensure(reply?.get("id") == Some(&json!(id)), || {
        "the array does not come back".to_owned()
    })?;
    bench.keep(wire);
    Ok(String::new())
}

fn huge_number(bench: &mut Bench) -> Outcome {
    let probe = bench.probe()?;
    for number in ["1e400", "-1e400"] {
        let mut wire = bench.wire(State::Negotiated)?;
        wire.send(format!("{{\"execute\": \"{probe}\", \"id\": {number}}}\n").as_bytes())?;
        let reply = wire.reply();
        bench.note(&wire);
        match reply {
            // Our own reader knows no infinity; what it refuses for being out
            // of range is JSON all the same.
            Err(WireError::Garbage { why, .. }) if why.contains("out of range") => {}
            Err(error) => return Err(error.into()),
            Ok(reply) => ensure(fits(&reply), || format!("{number} is not answered"))?,
        }
    }
    Ok(String::new())
}

fn fits(reply: &Value) -> bool {
    reply.get("error").is_some() || reply.get("return").is_some()
}
