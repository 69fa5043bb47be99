//! Replays the fuzz target over its corpus, and over random guests.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../../../fuzz/targets/pci_config.rs"]
mod pci_config;

#[test]
fn the_corpus_is_harmless() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/pci_config");
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        pci_config::run(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 10, "the corpus has gone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_guest_breaks_anything(input in proptest::collection::vec(any::<u8>(), 0..4096)) {
        pci_config::run(&input);
    }
}
