//! Calls: many at once, dropped, late, refused.

use crate::server::{Server, short};
use serde_json::json;
use std::time::Duration;
use tinamou_client::qmp::{QueryStatus, StatusInfo};
use tinamou_client::{Builder, Client, Closed, Error, Stage};

#[tokio::test]
async fn a_command_returns_a_value_in_the_servers_order() {
    let (server, client) = Server::with_client().await;
    let greeting = client.greeting().expect("it greeted");
    assert_eq!(greeting.version.qemu.to_string(), "10.0.2");
    assert!(client.oob());
    tokio::spawn(server.answer_all(r#"{"b": 1, "a": [null, 1.5, "x"]}"#));
    let value = client.execute("query-x", json!({"k": 1})).await.unwrap();
    assert_eq!(value.to_string(), r#"{"b":1,"a":[null,1.5,"x"]}"#);
}

#[tokio::test]
async fn requests_look_so() {
    let (mut server, client) = Server::with_client().await;
    let requests = tokio::spawn(async move {
        let _ = tokio::join!(
            client.execute("a", ()),
            client.execute("b\"", json!({})),
            client.execute("c", json!({"k": [1]})),
            async { client.request("d", ()).oob(true).id("mine").await },
        );
    });
    let mut heard = Vec::new();
    for _ in 0..4 {
        heard.push(server.hear().await.to_string());
    }
    drop(server);
    requests.await.unwrap();
    assert_eq!(
        heard,
        [
            r#"{"execute":"a","id":"tinamou-2"}"#,
            r#"{"execute":"b\"","id":"tinamou-3"}"#,
            r#"{"execute":"c","arguments":{"k":[1]},"id":"tinamou-4"}"#,
            r#"{"exec-oob":"d","id":"mine"}"#,
        ]
    );
}

#[tokio::test]
async fn replies_find_their_calls_in_any_order() {
    let (mut server, client) = Server::with_client().await;
    let serve = async {
        let first = server.hear().await;
        let second = server.hear().await;
        server.answer(&second, "2").await;
        server.answer(&first, "1").await;
    };
    let (first, second, ()) =
        tokio::join!(client.execute("one", ()), client.execute("two", ()), serve);
    assert_eq!((first.unwrap(), second.unwrap()), (json!(1), json!(2)));
}

#[tokio::test]
async fn a_failure_says_all_there_is_to_say() {
    let (mut server, client) = Server::with_client().await;
    let serve = async {
        let id = server.hear().await["id"].clone();
        let error = r#"{"class": "DeviceNotFound", "desc": "Device 'x' not found"}"#;
        server
            .say(&format!(r#"{{"id": {id}, "error": {error}}}"#))
            .await;
    };
    let (outcome, ()) = tokio::join!(client.execute("device_del", json!({"id": "x"})), serve);
    let error = outcome.unwrap_err();
    assert_eq!(error.to_string(), "Device 'x' not found");
    assert_eq!(error.class(), Some("DeviceNotFound"));
    let Error::Command { command, id, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((&*command, &*id), ("device_del", "tinamou-2"));
}

#[tokio::test]
async fn a_late_reply_harms_nobody() {
    let (mut server, client) = Server::with(Client::builder().deadlines(short())).await;
    let error = client.execute("query-slow", ()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unresponsive {
                stage: Stage::Call,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "no answer within 100ms: waited for the reply to query-slow"
    );
    let serve = async {
        let late = server.hear().await;
        let request = server.hear().await;
        server.answer(&late, "1").await;
        server.answer(&request, "2").await;
    };
    let (value, ()) = tokio::join!(client.execute("query-quick", ()), serve);
    assert_eq!(value.unwrap(), json!(2));
    assert_eq!(client.strays(), 0);
}

#[tokio::test]
async fn a_dropped_future_harms_nobody() {
    let (mut server, client) = Server::with_client().await;
    for _ in 0..100 {
        let call = client.execute("query-x", ());
        tokio::time::timeout(Duration::ZERO, call)
            .await
            .unwrap_err();
    }
    let serve = async {
        loop {
            let request = server.hear().await;
            server.answer(&request, "7").await;
            if request["execute"] == "last" {
                return;
            }
        }
    };
    let (value, ()) = tokio::join!(client.execute("last", ()), serve);
    assert_eq!(value.unwrap(), json!(7));
}

/// With out-of-band on, eight requests are on their way at most; what waits
/// here and is dropped is never sent, and out-of-band goes past all of it.
#[tokio::test]
async fn requests_that_wait_can_be_taken_back() {
    let (mut server, client) = Server::with_client().await;
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.execute(&format!("x{n}"), ()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let urgent = {
        let client = client.clone();
        tokio::spawn(async move { client.request("urgent", ()).oob(true).await })
    };
    let mut heard = Vec::new();
    for _ in 0..9 {
        heard.push(server.hear().await);
    }
    assert_eq!(heard[7]["execute"], "x7");
    assert_eq!(heard[8]["exec-oob"], "urgent");
    for call in &calls[8..19] {
        call.abort();
    }
    tokio::task::yield_now().await;
    server.answer(&heard[0], "0").await;
    let next = server.hear().await;
    assert_eq!(next["execute"], "x19");
    server.answer(&heard[8], "8").await;
    assert_eq!(urgent.await.unwrap().unwrap(), json!(8));
}

#[tokio::test]
async fn those_who_wait_hear_of_the_end() {
    let (mut server, client) = Server::with_client().await;
    let serve = async {
        server.hear().await;
        drop(server);
    };
    let (outcome, ()) = tokio::join!(client.execute("query-x", ()), serve);
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "the server ended the connection while query-x was under way"
    );
    assert!(matches!(client.closed().await, Closed::Ended));
    let error = client.execute("query-y", ()).await.unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error:?}");
}

#[tokio::test]
async fn a_shutdown_is_no_error() {
    let (mut server, client) = Server::with_client().await;
    let mut events = client.events();
    let serve = async {
        let request = server.hear().await;
        server.answer(&request, "{}").await;
        server
            .say(r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": false, "reason": "host-qmp-quit"}}"#)
            .await;
        drop(server);
    };
    let (outcome, ()) = tokio::join!(client.execute("quit", ()), serve);
    outcome.unwrap();
    let closed = client.closed().await;
    assert!(closed.is_orderly());
    assert_eq!(
        closed.to_string(),
        "the machine was shut down (host-qmp-quit)"
    );
    assert_eq!(&*events.next().await.unwrap().name, "SHUTDOWN");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_at_once() {
    let (_server, client) = Server::with(Client::builder().oob(false)).await;
    let check = |error: Error, expected: &str| assert_eq!(error.to_string(), expected);
    check(
        client.execute("x", [1]).await.unwrap_err(),
        "arguments must be an object",
    );
    check(
        client.request("x", ()).oob(true).await.unwrap_err(),
        "out-of-band execution was not negotiated on this connection",
    );
    let fd = std::fs::File::open("/dev/null").unwrap();
    check(
        client
            .request("x", ())
            .fds(vec![fd.into()])
            .await
            .unwrap_err(),
        "descriptors can be passed over unix sockets only",
    );
}

#[tokio::test]
async fn the_last_handle_closes_the_connection() {
    let (mut server, client) = Server::with_client().await;
    let events = client.events();
    drop(client);
    tokio::task::yield_now().await;
    server.say(r#"{"event": "X"}"#).await;
    drop(events);
    assert!(server.hear().await.is_null());
}

#[tokio::test]
async fn strictness_is_for_those_who_ask() {
    let check = async |builder: Builder, strict: bool, expected: Option<&str>| {
        let (server, client) = Server::with(builder).await;
        let reply = r#"{"status": "running", "running": true, "new": 1}"#;
        tokio::spawn(server.answer_all(reply));
        let request = client.request("query-status", ());
        let request = if strict { request.strict() } else { request };
        let status = request.decode::<StatusInfo>().await;
        let error = status.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected);
        let called = client.call(QueryStatus).await;
        assert!(called.is_ok() || expected.is_some(), "{called:?}");
    };
    let refused = Some("query-status: new: unknown member");
    check(Client::builder(), false, None).await;
    check(Client::builder(), true, refused).await;
    check(Client::builder().strict(), false, refused).await;
}
