//! Servers that are as they should be.

use std::time::Duration;

use tinamou_conformance::{Verdict, report};
use tinamou_mock::Mock;

use crate::peer::Peer;

/// Nothing is found against a mock without faults, though everything is
/// demanded, and but for the list of what is known of QEMU's reader.
#[test]
fn a_mock_without_faults_passes() {
    let peer = Peer::mock(Mock::builder().build());
    let found = peer.hold(&[], Duration::from_secs(20));
    assert!(found.is_conformant(), "{}", report::text(&found));
    let known = found.results.iter();
    let known = known.filter(|run| matches!(run.verdict, Verdict::Known(_)));
    let known: Vec<_> = known.map(|run| run.check.id.as_str()).collect();
    assert_eq!(known, ["json/zero-exponent", "json/noncharacters"]);
}
