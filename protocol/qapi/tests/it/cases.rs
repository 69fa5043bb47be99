//! Schemas that are accepted, and schemas that are refused with a message.

use std::io;
use std::path::Path;

use tinamou_qapi::{Result, Schema, compile_with};

/// Compiles `text`, which may include the files below.
pub(crate) fn compile(text: &str) -> Result<Schema> {
    compile_with(
        Path::new("main.json"),
        &|path| match path.to_str().unwrap() {
            "main.json" => Ok(text.to_owned()),
            "included.json" | "./included.json" => {
                Ok("{ 'struct': 'Included', 'data': {} }".to_owned())
            }
            "looping.json" => Ok("{ 'include': './looping.json' }".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
    )
}

/// Schemas without a fault, each with what it is about.
pub(crate) fn accepted() -> impl Iterator<Item = (&'static str, &'static str)> {
    cases(include_str!("../cases/accept.txt"))
}

/// The cases of a file: what it is about, and the schema.
fn cases(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let cases = text.split("\n==== ").skip(1);
    cases.map(|case| case.split_once('\n').unwrap_or((case, "")))
}

#[test]
fn accepts() {
    let mut count = 0;
    for (about, schema) in accepted() {
        if let Err(error) = compile(schema) {
            panic!("{about}:\n{error}");
        }
        count += 1;
    }
    assert!(count > 10, "{count} cases only");
}

#[test]
fn refuses() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (expected, schema) in cases(include_str!("../cases/refuse.txt")) {
        count += 1;
        match compile(schema) {
            Ok(_) => wrong.push(format!("{expected}: accepted")),
            Err(error) => {
                let shown = error.to_string();
                let first = shown.lines().next().unwrap();
                if !first.ends_with(expected) && !first.contains(&format!("{expected},")) {
                    wrong.push(format!("expected {expected}\n     got {first}"));
                }
            }
        }
    }
    assert!(count > 60, "{count} cases only");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn shows_the_line() {
    let error = compile("{ 'enum': 'Foo',\n\t'data': true }").unwrap_err();
    let shown = error.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[1..], ["2 | \t'data': true }", "  | \t        ^"]);
}
