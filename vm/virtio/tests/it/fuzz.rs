//! Replays the fuzz targets of virtqueues and of the graphics card over their corpora, and over
//! random inputs.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../../../fuzz/targets/gpu.rs"]
mod gpu;
#[path = "../../../../fuzz/targets/virtqueue.rs"]
pub mod virtqueue;

#[test]
fn the_corpora_are_harmless() {
    replay("virtqueue", virtqueue::run);
    replay("gpu", gpu::run);
}

fn replay(target: &str, run: fn(&[u8])) {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut inputs = 0;
    for entry in fs::read_dir(corpora.join(target)).unwrap() {
        run(&fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 10, "the corpus of {target} has gone");
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

/// Commands whose fields are small numbers more often than not.
fn drawing() -> impl Strategy<Value = [u8; 40]> {
    let small = prop_oneof![Just(0u32), Just(1), Just(2), Just(16), Just(64)];
    let field = prop_oneof![6 => small, 2 => 0x8000_0000..0x8010_0000u32, 1 => any::<u32>()];
    let flags = prop_oneof![6 => Just(0u8), 1 => any::<u8>()];
    let fields = prop::array::uniform9(field);
    (0u8..13, flags, any::<[u8; 2]>(), fields).prop_map(|(code, flags, [cut, room], fields)| {
        let mut command = [0; 40];
        command[..4].copy_from_slice(&[code, flags, cut, room]);
        for (field, value) in command[4..].chunks_exact_mut(4).zip(fields) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        command
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_driver_does_harm(control in any::<u8>(), operations in prop::collection::vec(operation(), 0..40)) {
        let mut input = vec![control];
        input.extend(operations.concat());
        virtqueue::run(&input);
    }

    #[test]
    fn no_drawing_does_harm(commands in prop::collection::vec(drawing(), 0..40)) {
        gpu::run(&commands.concat());
    }
}
