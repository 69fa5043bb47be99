//! Every fault of a server that a mock can have and a client can meet.

use std::time::Duration;
use tinamou_client::{Client, Deadlines, Result};
use tinamou_mock::{Mock, Planted};
use tokio::io::AsyncWriteExt;

/// Deadlines for what is to be late, or for what is to come whatever the load.
fn deadlines(late: bool) -> Deadlines {
    let time = match late {
        true => Duration::from_millis(100),
        false => Duration::from_secs(60),
    };
    Deadlines {
        connect: time,
        greeting: time,
        negotiation: time,
        call: time,
    }
}

/// A client and a mock with this fault.
async fn with_fault<T>(fault: &str, late: bool, talk: impl AsyncFnOnce(Result<Client>) -> T) -> T {
    let builder = Client::builder().deadlines(deadlines(late));
    let mock = Mock::with(fault.parse::<Planted>().expect(fault));
    let (here, there) = tokio::io::duplex(1 << 16);
    let serve = async {
        let _ = mock.serve(there).await;
        std::future::pending::<()>().await;
    };
    let talk = async {
        let builder = builder.longest_message(1 << 20);
        talk(builder.connect_over(here).await).await
    };
    tokio::select! {
        done = talk => done,
        () = serve => unreachable!("it is pending"),
    }
}

/// What a client gets that connects to a server with this fault.
async fn check_start(fault: &str, expected: &str) {
    let late = expected.contains("no answer");
    let shown = with_fault(fault, late, async |client| match client {
        Ok(client) => call(&client, late).await,
        Err(error) => error.to_string(),
    });
    assert_eq!(shown.await, expected, "{fault}");
}

/// What it gets from the one reply with this fault, and from the next call.
async fn check_reply(fault: &str, first: &str, second: &str) {
    let late = |expected: &str| expected.contains("no answer");
    let separator = if fault.contains(':') { ',' } else { ':' };
    let fault = format!("{fault}{separator}command=query-uuid,times=1");
    let shown = with_fault(&fault, false, async |client| {
        let client = client.expect("the fault comes later");
        [
            call(&client, late(first)).await,
            call(&client, late(second)).await,
        ]
    });
    assert_eq!(shown.await, [first, second], "{fault}");
}

async fn call(client: &Client, late: bool) -> String {
    let request = client.request("query-uuid", ());
    match request.deadline(deadlines(late).call).await {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

const REPLY: &str = r#"{"UUID":"made-up"}"#;

#[tokio::test]
async fn greetings_and_negotiations() {
    let no_greeting = "no answer within 100ms: waited for the greeting";
    let no_negotiation = "no answer within 100ms: waited for the negotiation";
    let refused = "negotiation failed: Capability oob not available";
    for (fault, expected) in [
        ("no-greeting", no_greeting),
        ("late-greeting:ms=600000", no_greeting),
        ("late-greeting:ms=1", REPLY),
        ("hang-up", "the server ended the connection"),
        (
            "garbled-greeting",
            r"the peer sent what is no QMP message: hello, this is a server\r",
        ),
        ("repeated-greeting", REPLY),
        ("event-before-greeting", REPLY),
        ("event-before-negotiation", REPLY),
        ("greeting-without-version", REPLY),
        ("greeting-without-capabilities", REPLY),
        ("negotiation-refused", refused),
        ("oob-refused", refused),
        ("stall:command=qmp_capabilities", no_negotiation),
        ("wrong-id:command=qmp_capabilities", no_negotiation),
        (
            "close:command=qmp_capabilities",
            "the server ended the connection",
        ),
    ] {
        check_start(fault, expected).await;
    }
}

/// Faults that hit one reply.
#[tokio::test]
async fn replies() {
    let late = "no answer within 100ms: waited for the reply to query-uuid";
    for fault in ["wrong-id", "no-reply"] {
        check_reply(fault, late, REPLY).await;
    }
    for fault in [
        "missing-id",
        "repeated-reply",
        "unasked-reply",
        "split-reply",
        "unterminated-reply",
        "event-without-timestamp",
    ] {
        check_reply(fault, REPLY, REPLY).await;
    }
    let made_up = "made up by a fault";
    for fault in ["unexpected-error", "return-and-error"] {
        check_reply(fault, made_up, REPLY).await;
    }
    check_reply("wrong-return-type", r#""a string""#, REPLY).await;
}

/// Faults after which there is no telling where the next reply begins.
#[tokio::test]
async fn replies_that_end_the_connection() {
    let ended = "the server ended the connection";
    let garbage = |text: &str| format!("the peer sent what is no QMP message: {text}");
    let long = "the peer sent a message of more than 1048576 bytes";
    for (fault, expected) in [
        ("cut", ended.to_owned()),
        ("half-close", ended.to_owned()),
        ("close", ended.to_owned()),
        ("garbage-line", garbage(r"this is no JSON\r")),
        (
            "neither-return-nor-error",
            garbage(r#"{"id": "tinamou-2"}"#),
        ),
        (
            "not-an-object",
            garbage(r#"[{"UUID": "made-up"}, "tinamou-2"]\r"#),
        ),
        (
            "invalid-utf8",
            garbage(r#"{"\xff\xfereturn": {"UUID": "made-up"}, "id": "tinamou-2"}"#),
        ),
        ("endless-line", long.to_owned()),
        ("huge-reply", long.to_owned()),
    ] {
        let expected = format!("{expected} while query-uuid was under way");
        check_reply(fault, &expected, &expected).await;
    }
}

/// A stalled server says nothing to the next call either.
#[tokio::test]
async fn a_server_that_stalls() {
    let late = "no answer within 100ms: waited for the reply to query-uuid";
    check_reply("stall", late, late).await;
    check_reply("delay:ms=600000", late, late).await;
}

#[tokio::test]
async fn replies_in_another_order() {
    let both = with_fault(
        "reorder:times=1,command=query-uuid",
        false,
        async |client| {
            let client = client.expect("the fault comes later");
            tokio::join!(call(&client, false), client.execute("query-name", ()))
        },
    );
    let (uuid, name) = both.await;
    assert_eq!(uuid, REPLY);
    assert!(name.expect("it answers").is_object());
}

/// A message of the default limit: memory is bounded by it and no more is
/// read.
#[tokio::test]
async fn a_hundred_megabytes() {
    let (here, mut there) = tokio::io::duplex(1 << 20);
    let flood = async {
        there.write_all(b"{\"QMP\": \"").await?;
        let piece = vec![b'x'; 1 << 20];
        let mut sent = 0;
        while sent < 100 {
            there.write_all(&piece).await?;
            sent += 1;
        }
        Ok::<_, std::io::Error>(())
    };
    let builder = Client::builder().deadlines(deadlines(false));
    let (client, flooded) = tokio::join!(builder.connect_over(here), flood);
    let error = client.map(drop).expect_err("it is too long").to_string();
    assert_eq!(error, "the peer sent a message of more than 67108864 bytes");
    assert!(flooded.is_err(), "the rest was not read");
}

/// Servers that never pause: the deadline passes all the same.
#[tokio::test]
async fn floods_end_with_the_deadline() {
    for flood in [
        &b" \r\n\t"[..],
        b"{\"event\": \"X\"}\n",
        b"{\"return\": {}}",
    ] {
        let (here, mut there) = tokio::io::duplex(1 << 16);
        let piece = flood.repeat(1000);
        let serve = async { while there.write_all(&piece).await.is_ok() {} };
        let builder = Client::builder().deadlines(deadlines(true));
        let (client, ()) = tokio::join!(builder.connect_over(here), serve);
        let error = client.map(drop).expect_err("it is no server").to_string();
        let expected = "no answer within 100ms: waited for the greeting";
        assert_eq!(error, expected, "{}", flood.escape_ascii());
    }
}
