//! The way to command mode, as far as it takes several connections.

use serde_json::json;

use super::Row;
use crate::bench::{Bench, State};
use crate::check::{Outcome, Trouble, ensure};

pub(super) const CHECKS: &[Row] = &[
    Row(
        "negotiation/each-connection",
        "QMP: Capabilities Negotiation",
        "Every connection negotiates anew, whatever another one did before.",
        each_connection,
    ),
    Row(
        "negotiation/not-offered",
        "QMP: Compatibility Considerations",
        "oob cannot be enabled where it was not offered.",
        not_offered,
    ),
];

fn each_connection(bench: &mut Bench) -> Outcome {
    let probe = bench.probe()?;
    drop(bench.wire(State::Negotiated)?);
    let mut wire = bench.greeted()?;
    let reply = wire.call(&json!({"execute": probe, "id": 1}));
    bench.note(&wire);
    ensure(reply?["error"]["class"] == "CommandNotFound", || {
        "the second connection is in command mode at once".to_owned()
    })?;
    Ok(String::new())
}

fn not_offered(bench: &mut Bench) -> Outcome {
    let mut wire = bench.greeted()?;
    if bench.offers("oob") {
        return Err(Trouble::skipped("the server offers oob"));
    }
    let request = json!({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}});
    let reply = wire.call(&request);
    bench.note(&wire);
    ensure(reply?.get("error").is_some(), || {
        "a capability that was not offered is enabled".to_owned()
    })?;
    Ok(String::new())
}
