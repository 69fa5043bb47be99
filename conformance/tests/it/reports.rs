//! Reports say the same in every form.

use std::time::Duration;

use tinamou_conformance::report;
use tinamou_mock::{Fault, Mock};

use crate::peer::Peer;

#[test]
fn every_form_tells_of_a_failure() {
    let peer = Peer::mock(Mock::with(Fault::UnknownMemberIgnored));
    let only = [
        "envelope/unknown-*",
        "json/zero-exponent",
        "negotiation/not-offered",
    ];
    let found = peer.hold(&only, Duration::from_secs(20));
    assert!(!found.is_conformant());

    let text = report::text(&found);
    for line in [
        "FAILED envelope/unknown-member\n",
        "  expected an error\n",
        "      -> {\"execute\": \"query-version\", \"no-such-member\": 1, \"id\": 1}\n",
        "envelope       3 passed, 1 failed\n",
        "skipped negotiation/not-offered: the server offers oob\n",
        "10.0.2 (qmp mock): 3 passed, 1 skipped, 1 known, 1 failed\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }

    let tap = report::tap(&found);
    let lines: Vec<&str> = tap.lines().filter(|line| !line.starts_with("  ")).collect();
    let expected = [
        "TAP version 14",
        "1..6",
        "ok 1 - negotiation/not-offered # SKIP the server offers oob",
        "not ok 2 - envelope/unknown-member",
        "ok 3 - envelope/unknown-command",
        "ok 4 - envelope/unknown-command-class",
        "ok 5 - envelope/unknown-before-arguments",
        "not ok 6 - json/zero-exponent # todo known: the reader takes no exponent behind a bare zero",
    ];
    assert_eq!(lines, expected);

    let junit = report::junit(&found);
    for line in [
        "<testsuite name=\"envelope\" tests=\"4\" failures=\"1\" skipped=\"0\">",
        "<failure message=\"A request with a member that the protocol does not know is refused.\">",
        "-&gt; {&quot;execute&quot;: &quot;query-version&quot;",
    ] {
        assert!(junit.contains(line), "{line}\n{junit}");
    }

    let json = report::json(&found);
    assert_eq!(json["conformant"], false);
    assert_eq!((&json["passed"], &json["failed"]), (&3.into(), &1.into()));
    assert_eq!(json["checks"][1]["id"], "envelope/unknown-member");
    assert_eq!(json["checks"][1]["verdict"], "failed");
    assert_eq!(
        json["checks"][1]["findings"][0]["what"],
        "expected an error"
    );
}
