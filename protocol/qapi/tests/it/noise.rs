//! No input makes the compiler panic, hang or recurse without bound.

use std::collections::HashSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::cases::{self, compile};

#[path = "../../../../fuzz/targets/qapi.rs"]
mod qapi;

/// Pieces that schemas are made of.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "true",
    "false",
    "'",
    "\\",
    "#",
    "##\n",
    "# ",
    "\n",
    " ",
    "é",
    "# @Foo:\n",
    "# @a: text\n",
    "#   deeper\n",
    "# Features:\n",
    "# Since: 1\n",
    "# = Heading\n",
    "'struct'",
    "'Foo'",
    "'data'",
    "'a'",
    "'*a'",
    "'int'",
    "'if'",
    "'A'",
    "'base'",
    "'union'",
    "'discriminator'",
    "'enum'",
    "'command'",
    "'foo'",
    "'event'",
    "'FOO'",
    "'alternate'",
    "'features'",
    "'boxed'",
    "'returns'",
    "'include'",
    "'main.json'",
    "'pragma'",
    "{ 'struct': 'Foo', 'data': { 'a': 'Foo' } }",
    "{ 'enum': 'Bar', 'data': [ 'a' ] }",
    "{ 'union': 'Baz', 'base': { 'b': 'Bar' }, 'discriminator': 'b', 'data': { 'a': 'Foo' } }",
    "{ 'alternate': 'Alt', 'data': { 'a': 'Baz', 'b': 'Alt' } }",
    "{ 'command': 'foo', 'boxed': true, 'data': 'Baz', 'returns': ['Alt'] }",
];

/// Compiles, and where that succeeds runs every back end.
fn try_all(text: &str) {
    let Ok(schema) = compile(text) else { return };
    tinamou_qapi::rust(&schema, &HashSet::new());
    tinamou_qapi::docs(&schema, &HashSet::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn of_pieces(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        try_all(&pieces.concat());
    }

    #[test]
    fn of_characters(text in ".{0,80}") {
        try_all(&text);
    }

    #[test]
    fn of_schemas_changed_in_one_place(
        case in any::<Index>(),
        from in any::<Index>(),
        length in 0..30_usize,
        piece in prop::sample::select(PIECES),
    ) {
        let cases: Vec<_> = cases::accepted().collect();
        let (_, schema) = case.get(&cases);
        let mut characters: Vec<char> = schema.chars().collect();
        let from = from.index(characters.len() + 1);
        let to = characters.len().min(from + length);
        characters.splice(from..to, piece.chars());
        try_all(&characters.into_iter().collect::<String>());
    }
}

#[test]
fn of_depth() {
    for open in ["{'a':", "["] {
        let deep = format!("{{'a':{}", open.repeat(100_000));
        let message = compile(&deep).unwrap_err().message().to_owned();
        assert_eq!(message, "expression is nested too deeply");
    }
}

#[test]
fn of_length() {
    let mut text = String::from("{ 'struct': 'Link0', 'data': { 'a': 'int' } }");
    for link in 1..3000 {
        let base = link - 1;
        text += &format!("{{ 'struct': 'Link{link}', 'base': 'Link{base}', 'data': {{}} }}");
    }
    try_all(&text);
    assert!(compile(&text).is_ok());
}

/// What the fuzz target found stays found.
#[test]
fn of_the_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/qapi");
    let mut count = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        qapi::run(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 50, "{count} files only");
}
