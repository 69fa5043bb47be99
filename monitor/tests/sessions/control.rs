//! Conversations in control mode.

use crate::program::{
    Client, Empty, GREETING, Inbox, Machine, PortChange, Program, QMP, Stopped, short,
};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use tinamou_monitor::{Mode, Monitor};
use tinamou_qmp::json::Style;

/// The next lines, in short.
async fn shorts(client: &mut Client, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..count {
        lines.push(short(&client.line().await));
    }
    lines
}

/// Waits until the last client's session is gone.
async fn abandoned(monitor: &Monitor<Machine>) {
    while monitor.clients() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_session_greets_negotiates_and_answers() {
    let program = Program::start();
    let mut client = Client::connect(&program.server.monitor("m", QMP));
    assert_eq!(client.line().await, GREETING);
    for (request, reply) in [
        (
            r#"{"execute": "query-name"}"#,
            r#"{"error": {"class": "CommandNotFound", "desc": "Expecting capabilities negotiation with 'qmp_capabilities'"}}"#,
        ),
        (r#"{"execute": "qmp_capabilities"}"#, r#"{"return": {}}"#),
        (
            r#"{"execute": "query-name", "id": 1}"#,
            r#"{"return": {"name": "probe"}, "id": 1}"#,
        ),
        (
            r#"{"execute": "nosuch", "id": [2]}"#,
            r#"{"id": [2], "error": {"class": "CommandNotFound", "desc": "The command nosuch has not been found"}}"#,
        ),
        (
            r#"{"execute": "query-name", "arguments": {"x": 1}}"#,
            r#"{"error": {"class": "GenericError", "desc": "Parameter 'x' is unexpected"}}"#,
        ),
        (
            r#"{"execute": "note", "arguments": {"label": 1}}"#,
            r#"{"error": {"class": "GenericError", "desc": "Invalid parameter type for 'label', expected: string"}}"#,
        ),
        (
            r#"{"execute": "query-commands", "arguments": {"x": 1}}"#,
            r#"{"error": {"class": "GenericError", "desc": "Parameter 'x' is unexpected"}}"#,
        ),
        (
            r#"{"execute": "query-commands"}"#,
            r#"{"return": ["query-name", "query-yank", "large", "query-commands", "note", "fail", "getfd", "stop", "human-monitor-command", "slow"]}"#,
        ),
    ] {
        client.send(request).await;
        assert_eq!(client.line().await, reply, "{request}");
    }
}

#[tokio::test]
async fn pretty_output_is_broken_into_lines() {
    let program = Program::start();
    let mode = Mode::Control {
        style: Style::Pretty,
        oob: false,
    };
    let mut client = Client::connect(&program.server.monitor("m", mode));
    client.end().await;
    let greeting = client.rest().await;
    assert!(greeting.ends_with("        \"capabilities\": [\r\n        ]\r\n    }\r\n}\r\n"));

    let mut client = Client::connect(&program.server.monitor("m", mode));
    client.expect(&greeting).await;
    client
        .send(r#"{"execute": "qmp_capabilities"}{"execute": "query-commands"}"#)
        .await;
    client
        .expect("{\r\n    \"return\": {\r\n    }\r\n}\r\n")
        .await;
    client
        .expect("{\r\n    \"return\": [\r\n        \"query-name\",\r\n")
        .await;
    program.events.emit(&Stopped {});
    client.end().await;
    assert!(
        client
            .rest()
            .await
            .ends_with("\"event\": \"STOP\"\r\n}\r\n")
    );
}

#[tokio::test]
async fn an_event_of_a_command_precedes_its_reply() {
    let mut program = Program::start();
    let mut other = program.client("").await;
    let mut client = program.client("").await;
    client.execute("stop", 1).await;
    program.step().await;
    let event = client.line().await;
    assert_eq!(
        event,
        r#"{"timestamp": {"seconds": 1000, "microseconds": 0}, "event": "STOP"}"#
    );
    assert_eq!(client.line().await, r#"{"return": {}, "id": 1}"#);
    assert_eq!(other.line().await, event);
}

#[tokio::test]
async fn events_reach_negotiated_sessions_only() {
    let program = Program::start();
    let mut late = Client::connect(&program.server.monitor("m", QMP));
    let mut client = program.client("").await;
    program.events.emit(&Stopped {});
    assert_eq!(short(&client.line().await), "STOP");
    late.negotiate("").await;
    late.execute("query-name", 1).await;
    assert_eq!(shorts(&mut late, 1).await, ["id 1"]);
}

#[tokio::test]
async fn a_busy_main_loop_silences_nobody() {
    let mut program = Program::start();
    let mut client = program.client(r#""oob""#).await;
    client.execute("stop", 1).await;
    client
        .send(r#"{"exec-oob": "query-yank", "id": 2}{"exec-oob": "query-name", "id": 3}"#)
        .await;
    let refusal = "The command query-name does not support OOB";
    assert_eq!(shorts(&mut client, 2).await, ["id 2", refusal]);

    let mut second = program.client("").await;
    second.execute("query-name", 4).await;
    assert_eq!(shorts(&mut second, 1).await, ["id 4"]);

    program.step().await;
    assert_eq!(shorts(&mut client, 2).await, ["STOP", "id 1"]);
}

#[tokio::test]
async fn commands_of_a_session_run_in_order() {
    let mut program = Program::start();
    let mut client = program.client("").await;
    client
        .send(r#"{"execute": "note", "id": 1}{"execute": "query-name", "id": 2}{"execute": @}"#)
        .await;
    client.execute("fail", 3).await;
    program.steps(2).await;
    assert_eq!(
        shorts(&mut client, 5).await,
        [
            "id 1",
            "id 2",
            "JSON parse error, stray '@'",
            "JSON parse error, expecting value",
            "Device 'd' not found",
        ]
    );
}

#[tokio::test]
async fn sessions_are_served_round_robin() {
    let mut program = Program::start();
    let mut clients = [program.client("").await, program.client("").await];
    for (client, name) in clients.iter_mut().zip(["a", "b"]) {
        for _ in 0..3 {
            client.label("note", name).await;
        }
    }
    for _ in 0..3 {
        program.steps(2).await;
        for client in &mut clients {
            assert_eq!(shorts(client, 1).await, ["ok"]);
        }
    }
    assert_eq!(program.machine.log, ["a", "b", "a", "b", "a", "b"]);
}

#[tokio::test]
async fn a_deferred_command_holds_its_session_up_and_no_other() {
    let mut program = Program::start();
    let mut client = program.client("").await;
    let mut other = program.client("").await;
    client.label("slow", "a").await;
    client.execute("query-name", 2).await;
    program.step().await;
    other.execute("note", 3).await;
    program.step().await;
    assert_eq!(shorts(&mut other, 1).await, ["id 3"]);

    let responder = program.machine.waiting.pop_front().expect("a slow command");
    let thread = std::thread::spawn(|| responder.respond(Ok(Empty {})));
    assert_eq!(shorts(&mut client, 2).await, ["ok", "id 2"]);
    thread.join().expect("answering does not panic");
}

#[tokio::test]
async fn a_responder_that_is_dropped_answers_with_an_error() {
    let mut program = Program::start();
    let mut client = program.client("").await;
    client.execute("slow", 1).await;
    program.step().await;
    program.machine.waiting.clear();
    let error = "The command was abandoned without an answer";
    assert_eq!(shorts(&mut client, 1).await, [error]);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_commands_with_it() {
    let mut program = Program::start();
    let monitor = program.server.monitor("m", QMP);
    let mut client = Client::connect(&monitor);
    client.negotiate(r#""oob""#).await;
    client.label("slow", "running").await;
    client.label("note", "queued").await;
    program.step().await;
    drop(client);
    let mut next = Client::connect(&monitor);
    next.negotiate("").await;
    let responder = program.machine.waiting.pop_front().expect("a slow command");
    responder.respond(Ok(Empty {}));
    next.execute("query-name", 1).await;
    assert_eq!(shorts(&mut next, 1).await, ["id 1"]);
    assert_eq!(program.machine.log, ["running"]);
}

#[tokio::test]
async fn a_command_whose_client_left_before_its_turn_is_not_run() {
    let mut program = Program::start();
    let monitor = program.server.monitor("m", QMP);
    let mut client = Client::connect(&monitor);
    client.negotiate(r#""oob""#).await;
    client.label("note", "left").await;
    client.send(r#"{"exec-oob": "query-yank"}"#).await;
    assert_eq!(shorts(&mut client, 1).await, ["ok"]);
    drop(client);
    program.events.emit(&Stopped {});
    abandoned(&monitor).await;
    program.step().await;
    assert_eq!(program.machine.log, [""; 0]);
}

#[tokio::test]
async fn a_half_closed_client_gets_its_replies() {
    let mut program = Program::start();
    let mut client = program.client("").await;
    client.execute("note", 1).await;
    client.execute("query-name", 2).await;
    client.end().await;
    program.step().await;
    assert_eq!(shorts(&mut client, 2).await, ["id 1", "id 2"]);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_client_that_reads_late_gets_every_reply() {
    let program = Program::with_limit(100_000);
    let monitor = program.server.monitor("m", QMP);
    let mut client = Client::connect_with(&monitor, 1000, None);
    client.negotiate("").await;
    let (mut reader, mut writer) = (client, Vec::new());
    for _ in 0..50 {
        writer.extend_from_slice(br#"{"execute": "large"}"#);
    }
    // The requests fit, the replies are five times the limit.
    reader.send(&String::from_utf8_lossy(&writer)).await;
    for _ in 0..50 {
        assert_eq!(
            reader.line().await.len(),
            10_000 + r#"{"return": ""}"#.len()
        );
    }
    assert_eq!(program.server.overflows(), 0);
}

#[tokio::test]
async fn a_client_that_lets_events_pile_up_is_disconnected() {
    let program = Program::with_limit(10_000);
    let monitor = program.server.monitor("m", QMP);
    let mut deaf = Client::connect_with(&monitor, 500, None);
    deaf.negotiate("").await;
    let mut client = program.client("").await;
    for _ in 0..300 {
        program.events.emit(&Stopped {});
        assert_eq!(short(&client.line().await), "STOP");
    }
    abandoned(&monitor).await;
    assert_eq!(program.server.overflows(), 1);
    client.execute("query-name", 1).await;
    assert_eq!(shorts(&mut client, 1).await, ["id 1"]);
}

#[tokio::test]
async fn throttled_events_keep_their_stamp() {
    let program = Program::start();
    let mut client = program.client("").await;
    let emit = |id, open| program.events.emit(&PortChange { id, open });
    emit("p0", true);
    program.watch.advance(100);
    emit("p0", false);
    emit("p0", true);
    emit("p1", true);
    program.watch.advance(200);
    emit("p0", false);
    program.events.expire();
    assert_eq!(
        program.events.next_expiry(),
        Some(Duration::from_millis(700))
    );
    program.watch.advance(700);
    program.events.expire();
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.push(client.line().await);
    }
    let event = |seconds: &str, data: &str| {
        format!(
            r#"{{"timestamp": {{"seconds": 1000, "microseconds": {seconds}}}, "event": "VSERPORT_CHANGE", "data": {data}}}"#
        )
    };
    assert_eq!(
        lines,
        [
            event("0", r#"{"id": "p0", "open": true}"#),
            event("100000", r#"{"id": "p1", "open": true}"#),
            event("300000", r#"{"id": "p0", "open": false}"#),
        ]
    );
}

#[tokio::test]
async fn before_the_machine_only_some_commands_run() {
    let mut program = Program::start();
    program.server.set_preconfig(true);
    let mut client = program.client("").await;
    client.execute("note", 1).await;
    client.execute("query-yank", 2).await;
    let refusal = "The command 'note' is permitted only after machine initialization has completed";
    assert_eq!(shorts(&mut client, 2).await, [refusal, "id 2"]);
    program.server.set_preconfig(false);
    client.execute("note", 3).await;
    program.step().await;
    assert_eq!(shorts(&mut client, 1).await, ["id 3"]);
}

#[tokio::test]
async fn descriptors_go_to_the_commands_of_their_connection() {
    let mut program = Program::start();
    let monitor = program.server.monitor("m", QMP);
    let inbox = Arc::new(Inbox::default());
    let mut client = Client::connect_with(&monitor, 1000, Some(inbox.clone()));
    client.negotiate("").await;
    let file = File::open("/dev/null").expect("there is a null device");
    inbox.0.lock().expect("no panic").push_back(file.into());
    client.execute("getfd", 1).await;
    client.execute("getfd", 2).await;
    program.steps(2).await;
    let none = "No file descriptor supplied via SCM_RIGHTS";
    assert_eq!(shorts(&mut client, 2).await, ["id 1", none]);
    assert_eq!(program.machine.fds.len(), 1);
}

#[tokio::test]
async fn the_end_comes_after_the_last_output() {
    let mut program = Program::start();
    let mut client = program.client("").await;
    client.execute("stop", 1).await;
    client.execute("query-name", 2).await;
    program.step().await;
    program.server.stop_serving();
    program.server.shutdown(Duration::from_secs(10)).await;
    assert_eq!(shorts(&mut client, 2).await, ["STOP", "id 1"]);
    assert_eq!(client.rest().await, "");
}
