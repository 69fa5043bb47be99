//! `qmp mock`.

use serde_json::{Value, json};

use crate::peers::{Peer, qmp, text, told};
use crate::served::Served;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory can be made"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the directory is writable");
        path
    }
}

#[test]
fn it_answers_and_tells_what_came() {
    let place = Place::new();
    let rules = place.file(
        "rules.jsonl",
        "# one rule\n{\"command\": \"query-name\", \"return\": {\"name\": \"ruled\"}}\n",
    );
    let mock = Served::start(&["mock", &place.path("mock.sock"), "--rules", &rules]);
    let mut client = mock.client();
    assert_eq!(
        client.execute("query-name", json!({})),
        Ok(json!({"name": "ruled"}))
    );
    assert_eq!(
        client.execute("query-uuid", json!({})),
        Ok(json!({"UUID": "made-up"}))
    );
    assert_eq!(
        client.execute("device_del", json!({})),
        Err("Parameter 'id' is missing".to_owned())
    );
    assert_eq!(client.execute("quit", json!({})), Ok(json!({})));
    assert_eq!(client.line(), None);
    let (status, printed) = mock.end();
    assert!(status.success());
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let line = |command: &str, answer: &str| json!({"connection": 0, "command": command, "arguments": {}, "answer": answer});
    let expected = [
        line("query-name", "rule"),
        line("query-uuid", "made up"),
        line("quit", "base"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn it_checks_against_any_servers_schema() {
    for peer in Peer::both(&[]) {
        let place = Place::new();
        let mock = Served::start(&[
            "mock",
            &place.path("mock.sock"),
            "--schema",
            &peer.address(),
        ]);
        let mut client = mock.client();
        let mut real = crate::served::Wire::connect(std::path::Path::new(&peer.address()));
        real.negotiate();
        let schema = client.execute("query-qmp-schema", json!({}));
        assert_eq!(
            schema,
            real.execute("query-qmp-schema", json!({})),
            "{}",
            peer.name
        );
        for (command, arguments) in [
            ("device_del", json!({"id": 1})),
            ("set-action", json!({"reboot": "never"})),
            ("query-status", json!({"x": 1})),
            ("nonsense", json!({})),
            (
                "chardev-add",
                json!({"id": "x", "backend": {"type": "null"}}),
            ),
            (
                "chardev-add",
                json!({"id": "x", "backend": {"type": "none", "data": {}}}),
            ),
            ("object-add", json!({"id": "x"})),
            ("balloon", json!({"value": "much"})),
        ] {
            let real = real.execute(command, arguments.clone());
            let mocked = client.execute(command, arguments.clone());
            assert_eq!(mocked, real, "{}: {command} {arguments}", peer.name);
        }
    }
}

#[test]
fn faults_are_planted() {
    let place = Place::new();
    let socket = place.path("mock.sock");
    let mock = Served::start(&["mock", &socket, "--fault", "cut:command=query-name"]);
    let output = qmp(["run", &socket, "query-name"]);
    assert_eq!(output.status.code(), Some(5), "{}", told(&output));
    drop(mock);
    let mock = Served::start(&["mock", &socket, "--fault", "no-greeting"]);
    let output = qmp(["--timeout", "0.2", "run", &socket, "query-name"]);
    assert_eq!(output.status.code(), Some(4), "{}", told(&output));
    drop(mock);
    let listed = text(&qmp(["mock", "--list-faults"]));
    assert!(
        listed.lines().any(|line| line.starts_with("garble ")),
        "{listed}"
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = Place::new();
    let socket = place.path("mock.sock");
    let wrong = place.file("wrong.jsonl", r#"{"command": "query-name", "return": []}"#);
    let output = qmp(["mock", &socket, "--rules", &wrong]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("rule 1: "), "{}", told(&output));
    for arguments in [&["--fault", "nonsense"][..], &["--schema", &wrong]] {
        let output = qmp(["mock", socket.as_str()]
            .into_iter()
            .chain(arguments.iter().copied()));
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            told(&output)
        );
    }
}
