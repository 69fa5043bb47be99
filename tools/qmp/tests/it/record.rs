//! `qmp record` and `qmp replay`.

use serde_json::{Value, json};

use crate::peers::{Peer, eventually};
use crate::served::{Served, Wire};

/// What a client asks of a server, and what it is answered.
fn session(client: &mut Wire) -> Vec<Value> {
    let secret = json!({"qom-type": "secret", "id": "s0", "data": "hidden"});
    let mut answers = vec![
        json!(client.execute("query-name", json!({}))),
        json!(client.execute("object-add", secret)),
        json!(client.execute("cont", json!({}))),
        json!(client.execute("stop", json!({}))),
        json!(client.execute("query-status", json!({}))),
        json!(client.execute("device_del", json!({"id": "nothing"}))),
    ];
    // An event goes ahead of its command's reply.
    client.send(r#"{"execute": "cont", "id": 1}{"execute": "stop", "id": 2}"#);
    for _ in 0..4 {
        let mut message = client.read().expect("a message");
        message
            .as_object_mut()
            .expect("an object")
            .remove("timestamp");
        answers.push(message);
    }
    answers
}

#[test]
fn a_recording_plays_like_the_server() {
    for peer in Peer::both(&[]) {
        let place = tempfile::tempdir().expect("a temporary directory can be made");
        let path = |name: &str| place.path().join(name).display().to_string();
        let (file, socket) = (path("session.jsonl"), path("recorded.sock"));
        let recorder = Served::start(&[
            "record",
            &peer.address(),
            "--once",
            "-o",
            &file,
            "--",
            &socket,
        ]);
        let mut client = recorder.client();
        let answers = session(&mut client);
        drop(client);
        assert!(recorder.end().0.success());

        let text = std::fs::read_to_string(&file).expect("it was written");
        assert!(
            !text.contains("hidden") && text.contains("[redacted]"),
            "{text}"
        );
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines[0]["recording"], 1);
        assert_eq!(
            lines.last().map(|line| line["closed"].clone()),
            Some(json!("server")),
            "{text}"
        );

        for timing in [&[][..], &["--timing"]] {
            let arguments: Vec<&str> = ["replay", &file, &socket, "--once"]
                .into_iter()
                .chain(timing.iter().copied())
                .collect();
            let replay = Served::start(&arguments);
            let mut client = replay.client();
            assert_eq!(session(&mut client), answers, "{}", peer.name);
            drop(client);
            replay.told("qmp: 8 matched, 0 repeated, 0 not in the recording");
            assert_eq!(replay.end().0.code(), Some(0));
        }

        let replay = Served::start(&["replay", &file, &socket, "--once"]);
        let mut client = replay.client();
        let wrong = client.execute("device_del", json!({"id": "other"}));
        assert_eq!(
            wrong,
            Err("The recording does not answer 'device_del' here".to_owned())
        );
        assert_eq!(
            client.execute("query-name", json!({})),
            Ok(json!({"name": "peer"}))
        );
        assert_eq!(
            client.execute("query-name", json!({})),
            Ok(json!({"name": "peer"}))
        );
        drop(client);
        replay.told("qmp: no answer to device_del {\"id\":\"other\"}; the recording goes on with query-name");
        replay.told("qmp: 1 matched, 1 repeated, 1 not in the recording");
        assert_eq!(replay.end().0.code(), Some(7));
    }
}

#[test]
fn a_recording_is_a_schema() {
    let Some(peer) = Peer::qemu(&[]) else { return };
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |name: &str| place.path().join(name).display().to_string();
    let (file, socket) = (path("session.jsonl"), path("recorded.sock"));
    let recorder = Served::start(&[
        "record",
        &peer.address(),
        "--once",
        "-o",
        &file,
        "--redact",
        "query-name.name",
        &socket,
    ]);
    let mut client = recorder.client();
    let schema = client.execute("query-qmp-schema", json!({}));
    client
        .execute("query-name", json!({}))
        .expect("it has a name");
    drop(client);
    assert!(recorder.end().0.success());
    let mock = Served::start(&["mock", &socket, "--schema", &file]);
    assert_eq!(mock.client().execute("query-qmp-schema", json!({})), schema);
    drop(mock);
    let replay = Served::start(&["replay", &file, &socket]);
    let name = replay.client().execute("query-name", json!({}));
    assert_eq!(name, Ok(json!({"name": "[redacted]"})));
}

#[test]
fn what_is_no_message_is_written_down_as_such() {
    let Some(peer) = Peer::qemu(&[]) else { return };
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |name: &str| place.path().join(name).display().to_string();
    let (file, socket) = (path("session.jsonl"), path("recorded.sock"));
    let recorder = Served::start(&["record", &peer.address(), "-o", &file, &socket]);
    let mut client = recorder.client();
    client.send("{]\n");
    let reply = client.reply();
    assert_eq!(reply["error"]["class"], "GenericError");
    eventually(|| {
        std::fs::read_to_string(&file)
            .is_ok_and(|text| text.contains("\"from\":\"client\",\"text\":\"JSON parse error"))
    });
}
