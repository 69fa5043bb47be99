//! The JSON reader: cuts make no difference, and what it takes can be written
//! and read again.

use tinamou_qmp::json::{Reader, Style, parse, to_vec};
use tinamou_qmp::{Error, Value};

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let whole = read(&[input]);
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(shown(&read(&bytes)), shown(&whole));
    for value in whole.into_iter().flatten() {
        for style in [Style::Compact, Style::Pretty] {
            let text = to_vec(&value, style).expect("a value has a JSON text");
            let again = parse(&text).expect("what is written can be read");
            // A double with a whole value reads back as an integer.
            let settled = to_vec(&again, style).expect("a value has a JSON text");
            assert_eq!(parse(&settled), Ok(again));
        }
    }
}

fn read(parts: &[&[u8]]) -> Vec<Result<Value, Error>> {
    let mut reader = Reader::new();
    let mut messages = Vec::new();
    for part in parts {
        reader.push(part);
        messages.extend(std::iter::from_fn(|| reader.read()));
    }
    messages.extend(std::iter::from_fn(|| reader.finish()));
    messages
}

/// Comparable also where a double is not a number equal to itself.
fn shown(messages: &[Result<Value, Error>]) -> String {
    format!("{messages:?}")
}
