//! Events: none lost, none raced, some counted.

use crate::server::Server;
use serde_json::json;
use std::time::Duration;
use tinamou_client::{Client, Error, Stage};

const SOON: Duration = Duration::from_secs(20);

fn event(name: &str, data: &str) -> String {
    format!(
        r#"{{"timestamp": {{"seconds": 5, "microseconds": 6}}, "event": "{name}", "data": {data}}}"#
    )
}

#[tokio::test]
async fn readers_see_what_they_asked_for() {
    let (mut server, client) = Server::with_client().await;
    let mut all = client.events();
    let mut named = client.events().only(["B", "C"]);
    let mut filtered = client.events().filter(|event| event.sequence % 2 == 0);
    for name in ["A", "B", "C", "D"] {
        server.say(&event(name, r#"{"n": 1}"#)).await;
    }
    drop(server);
    client.closed().await;
    let mut names = [const { String::new() }; 3];
    for (names, events) in names.iter_mut().zip([&mut all, &mut named, &mut filtered]) {
        while let Some(event) = events.next().await {
            assert_eq!(event.timestamp.microseconds, 6);
            assert_eq!(event.member("n"), Some(json!(1)));
            names.push_str(&event.name);
        }
        assert_eq!(events.dropped(), 0);
    }
    assert_eq!(names, ["ABCD", "BC", "BD"]);
    let mut replayed = client.events_after(2);
    assert_eq!(replayed.next().await.unwrap().sequence, 3);
}

#[tokio::test]
async fn a_slow_reader_counts_what_it_missed() {
    let (mut server, client) = Server::with(Client::builder().history(10, 1 << 20)).await;
    let mut events = client.events();
    for _ in 0..25 {
        server.say(&event("A", "{}")).await;
    }
    drop(server);
    client.closed().await;
    assert_eq!(events.next().await.unwrap().sequence, 16);
    assert_eq!(events.dropped(), 15);
}

#[tokio::test]
async fn the_history_is_bounded_in_bytes_too() {
    let (mut server, client) = Server::with(Client::builder().history(1000, 10_000)).await;
    let long = format!("\"{}\"", "x".repeat(4000));
    for _ in 0..5 {
        server.say(&event("A", &long)).await;
    }
    drop(server);
    client.closed().await;
    let mut events = client.events_after(0);
    assert_eq!(events.next().await.unwrap().sequence, 4);
}

#[tokio::test]
async fn an_event_ahead_of_its_reply_is_not_missed() {
    let (mut server, client) = Server::with_client().await;
    let serve = async {
        server.say(&event("DONE", r#"{"id": "old"}"#)).await;
        let request = server.hear().await;
        server.say(&event("DONE", r#"{"id": "other"}"#)).await;
        server.say(&event("DONE", r#"{"id": "x"}"#)).await;
        server.answer(&request, "{}").await;
        server.hear().await
    };
    let wait = async {
        let done = client.execute_and_wait(
            "start",
            json!({"id": "x"}),
            |event| &*event.name == "DONE" && event.member("id") == Some(json!("x")),
            SOON,
        );
        let (value, event) = done.await.unwrap();
        drop(client);
        (value, event.sequence)
    };
    let (_, outcome) = tokio::join!(serve, wait);
    assert_eq!(outcome, (json!({}), 3));
}

#[tokio::test]
async fn an_event_that_never_comes_is_waited_for_only_so_long() {
    let (server, client) = Server::with_client().await;
    tokio::spawn(server.answer_all("{}"));
    let deadline = Duration::from_millis(50);
    let wait = client.execute_and_wait("start", (), |_| true, deadline);
    let error = wait.await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unresponsive {
                stage: Stage::Event,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "no answer within 50ms: waited for the event to start"
    );
}

#[tokio::test]
async fn an_event_that_cannot_come_is_not_waited_for() {
    let (mut server, client) = Server::with_client().await;
    let serve = async {
        let request = server.hear().await;
        server.answer(&request, "{}").await;
        drop(server);
    };
    let wait = client.execute_and_wait("start", (), |_| true, SOON);
    let (outcome, ()) = tokio::join!(wait, serve);
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Disconnected { .. }), "{error:?}");
}
