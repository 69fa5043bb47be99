//! Replays the fuzz target of virtqueues over its corpus, and over random inputs.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../../../fuzz/targets/virtqueue.rs"]
pub mod virtqueue;

#[test]
fn the_corpus_is_harmless() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/virtqueue");
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        virtqueue::run(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 10, "the corpus has gone");
}

/// Operations that more often than not make sense.
fn operation() -> impl Strategy<Value = [u8; 8]> {
    let index = prop_oneof![Just(0u8), Just(1), Just(7), Just(8), any::<u8>()];
    let code =
        prop_oneof![4 => Just(0u8), 2 => Just(3), 2 => Just(4), 3 => Just(6), 1 => any::<u8>()];
    (
        code,
        index.clone(),
        any::<u8>(),
        any::<u8>(),
        index,
        any::<[u8; 3]>(),
    )
        .prop_map(|(code, a, b, c, d, [e, f, g])| [code, a, b % 2, c, d, e, f, g])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_driver_does_harm(control in any::<u8>(), operations in prop::collection::vec(operation(), 0..40)) {
        let mut input = vec![control];
        input.extend(operations.concat());
        virtqueue::run(&input);
    }
}
