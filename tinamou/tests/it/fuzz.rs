//! Replays the fuzz target of the command line over its corpus.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/targets/options.rs"]
mod options;

#[test]
fn the_corpus_of_command_lines_is_harmless() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/options");
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).expect("the corpus") {
        options::run(&fs::read(entry.expect("an entry").path()).expect("an input"));
        inputs += 1;
    }
    assert!(inputs > 10, "the corpus has gone");
}
