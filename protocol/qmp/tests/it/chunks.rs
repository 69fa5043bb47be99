//! Input may be cut anywhere, and be anything.

use crate::rows::rows;
use crate::server::{Mode, converse};
use proptest::prelude::*;

#[test]
fn rows_byte_by_byte() {
    // Out of band, what overtakes what depends on when it arrives.
    for row in rows().iter().filter(|row| row.mode != Mode::Oob) {
        assert_eq!(
            converse(row.mode, row.input.chunks(1)),
            row.replies,
            "{}",
            row.label
        );
    }
}

/// Input made of pieces that a grammar might stumble over.
fn inputs() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"{"[..],
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"'",
        b"\\",
        b"\\u",
        b"d83d",
        b"\\ude00",
        b"\xC3",
        b"\xA9",
        b"\xF0\x9F\x98\x80",
        b"\xFF",
        b"\0",
        b"\n",
        b"\t",
        b" ",
        b"0",
        b"12",
        b"-",
        b".",
        b"e",
        b"+",
        b"E9",
        b"null",
        b"true",
        b"\"execute\"",
        b"\"exec-oob\"",
        b"\"arguments\"",
        b"\"id\"",
        b"\"query-name\"",
        b"@",
        b"A",
        b"{\"execute\": \"query-name\", \"id\": 1}",
        b"{\"execute\": \"qmp_capabilities\"}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn cuts_make_no_difference(input in inputs(), cuts in prop::collection::vec(0_usize..200, 0..8)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|ends| &input[ends[0]..ends[1]]);
        for mode in [Mode::Fresh, Mode::Plain] {
            prop_assert_eq!(converse(mode, chunks.clone()), converse(mode, [input.as_slice()]));
        }
    }

    #[test]
    fn any_bytes(input: Vec<u8>) {
        for mode in [Mode::Fresh, Mode::Plain, Mode::Oob] {
            converse(mode, [input.as_slice()]);
        }
    }
}
