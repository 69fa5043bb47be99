//! The tables in `tests/rows`: what QEMU 10.0.2 answers to which input.
//!
//! A row is one line of input and the lines of its replies, each after `=> `.
//! In both, `⏎` is a newline, `<41>` a byte and `<41*9>` nine of them. An
//! infinite double is written `1e999`, where QEMU writes the bare word `inf`;
//! members of an object given as `id` stand in the order they were sent, where
//! QEMU sorts them by hash.

use crate::server::{Mode, converse};

pub(crate) struct Row {
    pub(crate) mode: Mode,
    pub(crate) label: String,
    pub(crate) input: Vec<u8>,
    pub(crate) replies: Vec<String>,
}

const FILES: [&str; 6] = [
    include_str!("../rows/negotiation.txt"),
    include_str!("../rows/envelope.txt"),
    include_str!("../rows/ids.txt"),
    include_str!("../rows/json.txt"),
    include_str!("../rows/framing.txt"),
    include_str!("../rows/oob.txt"),
];

pub(crate) fn rows() -> Vec<Row> {
    FILES.iter().flat_map(|file| parse(file)).collect()
}

fn parse(file: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut mode = Mode::Fresh;
    for line in file.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("# mode: ") {
            mode = Mode::named(name);
        } else if let Some(reply) = line.strip_prefix("=> ") {
            let reply = String::from_utf8(expand(reply)).expect("replies are ASCII");
            rows.last_mut()
                .expect("a reply follows its input")
                .replies
                .push(reply);
        } else {
            rows.push(Row {
                mode,
                label: line.to_owned(),
                input: expand(line),
                replies: Vec::new(),
            });
        }
    }
    rows
}

fn expand(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        if let Some((bytes, length)) = bytes(rest) {
            out.extend(bytes);
            rest = &rest[length..];
            continue;
        }
        match character {
            '⏎' => out.push(b'\n'),
            _ => out.extend(character.to_string().bytes()),
        }
        rest = &rest[character.len_utf8()..];
    }
    out
}

/// The bytes that `<41>` or `<41*9>` at the start of `text` means.
fn bytes(text: &str) -> Option<(Vec<u8>, usize)> {
    let (inner, _) = text.strip_prefix('<')?.split_once('>')?;
    let (byte, count) = inner.split_once('*').unwrap_or((inner, "1"));
    let byte = u8::from_str_radix(byte, 16)
        .ok()
        .filter(|_| byte.len() == 2)?;
    Some((vec![byte; count.parse().ok()?], inner.len() + 2))
}

#[test]
fn sessions_answer_as_recorded() {
    let rows = rows();
    assert!(rows.len() > 400, "only {} rows", rows.len());
    let mut wrong = 0;
    for row in rows {
        let replies = converse(row.mode, [row.input.as_slice()]);
        if replies != row.replies {
            wrong += 1;
            eprintln!(
                "{}\n  expected {:#?}\n  got {replies:#?}",
                row.label, row.replies
            );
        }
    }
    assert_eq!(wrong, 0);
}
