//! Replays the fuzz target of the user network over its corpus, and over inputs like it.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../../../fuzz/targets/usernet_packets.rs"]
pub mod usernet_packets;

fn corpus() -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/usernet_packets");
    let entries = fs::read_dir(corpus).expect("the corpus");
    entries
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("an input"))
        .collect()
}

#[test]
fn the_corpus_is_harmless() {
    let inputs = corpus();
    inputs.iter().for_each(|input| usernet_packets::run(input));
    assert!(inputs.len() > 10, "the corpus has gone");
}

/// Two inputs one after the other, with some bytes changed and the checksums left out.
fn twisted() -> impl Strategy<Value = Vec<u8>> {
    let input = prop::sample::select(corpus());
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20);
    (input.clone(), input, changes, any::<bool>()).prop_map(|(a, b, changes, unchecked)| {
        let mut input = [a, b].concat();
        for (place, byte) in changes {
            let place = place.index(input.len().max(1));
            if let Some(place) = input.get_mut(place) {
                *place = byte;
            }
        }
        if unchecked {
            leave_checksums_out(&mut input);
        }
        input
    })
}

fn leave_checksums_out(input: &mut [u8]) {
    let mut at = 0;
    while let Some([flags, low, high]) = input.get_mut(at..).and_then(|rest| rest.first_chunk_mut())
    {
        *flags = 1;
        at += 3 + usize::from(u16::from_le_bytes([*low, *high]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_guest_does_harm(input in twisted()) {
        usernet_packets::run(&input);
    }
}
