//! Servers that lie. No hang beyond the deadline, no panic, no memory without
//! bound, and an error that a person understands.

use crate::server::{GREETING, Server, short};
use serde_json::json;
use tinamou_client::{Client, Error, Result};

/// What a client says of a server that begins with these bytes.
async fn check(bytes: &[u8], expected: &str) {
    let (mut server, there) = Server::silent();
    let serve = async {
        server.send(bytes).await;
        server.hear().await;
        server
    };
    let builder = Client::builder().deadlines(short()).longest_message(1000);
    let connect = builder.connect_over(there);
    let (outcome, _server) = tokio::join!(connect, serve);
    let shown = outcome.map_or_else(|error| error.to_string(), |_| "connected".to_owned());
    assert_eq!(shown, expected, "{}", bytes.escape_ascii());
}

#[tokio::test]
async fn servers_that_do_not_greet() {
    check(b"", "no answer within 100ms: waited for the greeting").await;
    check(
        b"   \r\n\r\n ",
        "no answer within 100ms: waited for the greeting",
    )
    .await;
    check(
        b"{\"QMP\":",
        "no answer within 100ms: waited for the greeting",
    )
    .await;
    check(
        b"SSH-2.0-OpenSSH_9.2\r\n",
        "the peer sent what is no QMP message: SSH-2.0-OpenSSH_9.2\\r",
    )
    .await;
    check(
        b"\xff\xfb\x01\xff\xfb\x03",
        "the peer sent what is no QMP message: \\xff\\xfb\\x01\\xff\\xfb\\x03",
    )
    .await;
    check(b"[]\n", "the peer sent what is no QMP message: []").await;
    check(b"{}\n", "the peer sent what is no QMP message: {}").await;
    check(
        b"{\"QMP\": 7}\n",
        "the peer sent what is no QMP message: {\"QMP\": 7}",
    )
    .await;
    check(
        b"{\"QMP\": \"\xff\"}\n",
        "the peer sent what is no QMP message: {\"QMP\": \"\\xff\"}",
    )
    .await;
    check(
        "x".repeat(100_000).as_bytes(),
        &format!("the peer sent what is no QMP message: {}…", "x".repeat(60)),
    )
    .await;
    check(
        format!("{{\"QMP\": \"{}", "x".repeat(100_000)).as_bytes(),
        "the peer sent a message of more than 1000 bytes",
    )
    .await;
    check(
        "{\"QMP\":".repeat(100_000).as_bytes(),
        "the peer sent a message of more than 1000 bytes",
    )
    .await;
}

#[tokio::test]
async fn servers_that_greet_and_then_lie() {
    let greeted = |more: &str| format!("{GREETING}\r\n{more}").into_bytes();
    let late = "no answer within 100ms: waited for the negotiation";
    check(&greeted(""), late).await;
    check(&greeted(r#"{"event": "X"}"#), late).await;
    check(&greeted(GREETING), late).await;
    check(&greeted(r#"{"return": {}, "id": "not-mine"}"#), late).await;
    check(&greeted(r#"{"return": {}, "id": "tinamou-99"}"#), late).await;
    check(&greeted(r#"{"return": {}, "id": 1}"#), late).await;
    check(
        &greeted("hello"),
        "the peer sent what is no QMP message: hello",
    )
    .await;
    check(
        &greeted(r#"{"error": {"class": "GenericError", "desc": "go away"}, "id": "tinamou-1"}"#),
        "negotiation failed: go away",
    )
    .await;
    check(
        &greeted(r#"{"error": 5, "id": "tinamou-1"}"#),
        "negotiation failed: 5",
    )
    .await;
    // Replies that can only be meant, and events before their time.
    check(
        &greeted(r#"{"return": {}, "id": "tinamou-1"}"#),
        "connected",
    )
    .await;
    check(&greeted(r#"{"return": {}}"#), "connected").await;
    let mut early = br#"{"event": "EARLY"} "#.to_vec();
    early.extend(greeted(
        "{\r\n    \"return\": {\r\n    },\"id\":\"tinamou-1\"}",
    ));
    check(&early, "connected").await;
}

#[tokio::test]
async fn early_events_are_kept() {
    let (mut server, there) = Server::silent();
    let serve = async {
        server.say(r#"{"event": "EARLY"}"#).await;
        server.say(GREETING).await;
        let request = server.hear().await;
        server.say(r#"{"event": "BETWEEN"}"#).await;
        server.answer(&request, "{}").await;
    };
    let (client, ()) = tokio::join!(Client::builder().connect_over(there), serve);
    let mut events = client.unwrap().events_after(0);
    assert_eq!(&*events.next().await.unwrap().name, "EARLY");
    assert_eq!(&*events.next().await.unwrap().name, "BETWEEN");
}

/// What becomes of a call that is answered with these bytes.
async fn answered_with(bytes: &[u8]) -> (Result<serde_json::Value>, Client) {
    let builder = Client::builder()
        .deadlines(short())
        .longest_message(100_000);
    let (mut server, client) = Server::with(builder).await;
    let serve = async {
        server.hear().await;
        server.send(bytes).await;
        server
    };
    let (outcome, _server) = tokio::join!(client.execute("query-x", ()), serve);
    (outcome, client)
}

#[tokio::test]
async fn replies_without_questions_are_dropped() {
    let strays = br#"{"return": 1, "id": "x"}{"return": 2, "id": 5}
        {"error": {"desc": "?"}, "id": null}{"return": 3, "id": "tinamou-1"}
        {"return": 4, "id": "tinamou-2"}{"return": 5, "id": "tinamou-2"}"#;
    let (outcome, client) = answered_with(strays).await;
    assert_eq!(outcome.unwrap(), json!(4));
    // The fifth comes with the fourth, and is counted before anyone can ask.
    assert_eq!(client.strays(), 5);
}

#[tokio::test]
async fn an_error_without_id_answers_the_only_call() {
    let error = br#"{"error": {"class": "GenericError", "desc": "JSON token limit exceeded"}}"#;
    let (outcome, _) = answered_with(error).await;
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "JSON token limit exceeded"
    );
}

#[tokio::test]
async fn a_reply_that_is_too_long_ends_the_connection() {
    let mut long = b"{\"return\": \"".to_vec();
    long.resize(200_000, b'x');
    let (outcome, client) = answered_with(&long).await;
    let text = "the peer sent a message of more than 100000 bytes";
    assert!(outcome.unwrap_err().to_string().starts_with(text));
    assert_eq!(client.closed().await.to_string(), text);
}

#[tokio::test]
async fn a_reply_of_another_form_says_where() {
    let (outcome, _) = answered_with(br#"{"return": {"a": inf}, "id": "tinamou-2"}"#).await;
    assert!(matches!(outcome, Err(Error::Disconnected { .. })));
}
