//! What the wire costs: `cargo bench -p tinamou-qmp`.

use std::hint::black_box;
use std::time::Instant;
use tinamou_qmp::json::{Reader, Style, append, parse};
use tinamou_qmp::session::{Catalog, Greeting, Session, Version};
use tinamou_qmp::{CommandSpec, Value};

const REQUEST: &[u8] = b"{\"execute\": \"query-status\", \"id\": 12345}\r\n";

fn main() {
    let entity = r#"{"name": "42", "members": [{"name": "driver", "type": "str"}, {"name": "count", "default": null, "type": "int"}], "meta-type": "object", "value": -17}"#;
    let schema = format!("[{}]", vec![entity; 100].join(", "));
    let text = format!("\"{}\"", "Zm9vYmFy".repeat(200_000));
    let accents = format!("\"{}\"", "näïve café \\n".repeat(100_000));

    rate("read schema", schema.len(), || {
        drop(black_box(parse(schema.as_bytes())))
    });
    rate("read plain string", text.len(), || {
        drop(black_box(parse(text.as_bytes())))
    });
    rate("read other string", accents.len(), || {
        drop(black_box(parse(accents.as_bytes())))
    });
    for (name, text) in [
        ("write schema", &schema),
        ("write plain string", &text),
        ("write other string", &accents),
    ] {
        let value = parse(text.as_bytes()).expect("the text is JSON");
        let mut out = Vec::new();
        rate(name, text.len(), || {
            out.clear();
            append(&mut out, &value, Style::Compact, 0).expect("a value has a JSON text");
        });
    }
    requests();
}

/// Runs `work` for about half a second, and prints the rate of bytes.
fn rate(name: &str, bytes: usize, mut work: impl FnMut()) {
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed().as_millis() < 500 {
        work();
        rounds += 1;
    }
    let megabytes = (bytes * rounds) as f64 / 1e6 / start.elapsed().as_secs_f64();
    println!("{name:<20} {megabytes:8.0} MB/s");
}

/// Requests in bursts, read, answered and forgotten.
fn requests() {
    const BURST: usize = 64;
    let burst = REQUEST.repeat(BURST);
    let mut reader = Reader::new();
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed().as_millis() < 500 {
        reader.push(&burst);
        while let Some(message) = reader.read() {
            count += 1;
            drop(black_box(message));
        }
    }
    println!(
        "{:<20} {:8.0} ns",
        "read request",
        start.elapsed().as_nanos() as f64 / f64::from(count)
    );

    let version = Version {
        micro: 0,
        minor: 0,
        major: 10,
    };
    let mut session = Session::new(
        &Greeting {
            version,
            package: String::new(),
            oob: true,
        },
        Style::Compact,
    );
    session.feed(br#"{"execute": "qmp_capabilities"}"#);
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed().as_millis() < 500 {
        session.feed(&burst);
        while let Some(request) = session.next(&OneCommand) {
            session.reply(request.ticket, &Value::Bool(true));
            count += 1;
        }
        session.sent(black_box(session.output().len()));
    }
    println!(
        "{:<20} {:8.0} ns",
        "answer request",
        start.elapsed().as_nanos() as f64 / f64::from(count)
    );
}

struct OneCommand;

static QUERY_STATUS: CommandSpec = CommandSpec {
    name: "query-status",
    allow_oob: false,
    allow_preconfig: true,
    success_response: true,
    deprecated: false,
    unstable: false,
};

impl Catalog for OneCommand {
    fn command(&self, name: &str) -> Option<&CommandSpec> {
        (name == QUERY_STATUS.name).then_some(&QUERY_STATUS)
    }
}
