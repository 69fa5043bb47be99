//! `qmp run`, `events`, `wait`, `status`.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::peers::{Peer, eventually, qmp, text, told};

/// One run of `qmp run ADDR WORDS`: what it prints, what it tells, its code.
fn check(peer: &Peer, words: &[&str], expected: &str, error: &str, code: i32) {
    let output = peer.qmp(&["run"], words);
    let place = format!("{}: {words:?}", peer.name);
    assert_eq!(text(&output), expected, "{place}");
    assert_eq!(told(&output), error, "{place}");
    assert_eq!(output.status.code(), Some(code), "{place}");
}

#[test]
fn a_command_prints_what_it_returned() {
    for peer in Peer::both(&[]) {
        let words = ["qom-list-types", "implements=rng-builtin"];
        let types =
            "[\n  {\n    \"name\": \"rng-builtin\",\n    \"parent\": \"rng-backend\"\n  }\n]\n";
        check(&peer, &words, types, "", 0);
        let words = ["human-monitor-command", "command-line=info name"];
        check(&peer, &words, "peer\n", "", 0);
        let words = ["object-add", "qom-type=rng-builtin", "id=r0"];
        check(&peer, &words, "", "", 0);
        let words = ["qom-get", "path=/objects/r0", "property=type"];
        check(&peer, &words, "rng-builtin\n", "", 0);
        let words = ["object-del", "{'id': 'r0'}"];
        check(&peer, &words, "", "", 0);
    }
}

#[test]
fn failures_have_their_exit_codes() {
    for peer in Peer::both(&[]) {
        let error = "qmp: error: The command nonsense has not been found\n";
        check(&peer, &["nonsense"], "", error, 1);
        let error = "qmp: error: Parameter 'bogus' is unexpected\n";
        check(&peer, &["query-status", "bogus=1"], "", error, 1);
        let error = "qmp: error: 'val=big': expected a whole number, such as 5, 0x10 or 512M\n";
        check(&peer, &["memsave", "val=big"], "", error, 2);
    }
    let nowhere = qmp(["run", "/nonexistent/qmp.sock", "query-status"]);
    assert_eq!(nowhere.status.code(), Some(3));
    assert_eq!(qmp(["run", "tcp:nowhere"]).status.code(), Some(2));
}

#[test]
fn a_server_that_never_greets_is_given_up() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("mute.sock");
    let _mute = std::os::unix::net::UnixListener::bind(&path).expect("the path is free");
    let path = path.display().to_string();
    let output = qmp(["--timeout", "0.2", "run", &path, "query-status"]);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(
        told(&output),
        "qmp: error: no answer within 200ms: waited for the greeting\n\
         qmp: QEMU serves one client per socket: another may be connected\n"
    );
}

#[test]
fn until_waits_for_what_a_command_leads_to() {
    for peer in Peer::both(&[]) {
        let output = peer.qmp(&["--json", "run"], &["cont", "--until", "RESUME"]);
        let printed = text(&output);
        let lines: Vec<Value> = printed
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect();
        assert_eq!(lines[0], json!({}), "{}", peer.name);
        assert_eq!(lines[1]["event"], "RESUME", "{}", peer.name);
        assert_eq!(output.status.code(), Some(0), "{}", peer.name);
    }
}

#[test]
fn what_a_command_began_is_followed() {
    let disk = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    disk.as_file().set_len(8 << 20).expect("there is room");
    let source = format!(
        "driver=file,node-name=source,filename={}",
        disk.path().display()
    );
    let null = "driver=null-co,node-name=target,size=8388608";
    let Some(peer) = Peer::qemu(&["-blockdev", &source, "-blockdev", null]) else {
        return;
    };
    let backup = "blockdev-backup job-id=copy device=source target=target sync=full --follow";
    let words: Vec<&str> = backup.split(' ').collect();
    check(&peer, &words, "", "", 0);
    let words = ["migrate", "uri=unix:/nonexistent/sock", "--follow"];
    let output = peer.qmp(&["run"], &words);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(
        told(&output).contains("/nonexistent/sock"),
        "{}",
        told(&output)
    );
    let error = "qmp: error: query-name begins nothing that could be followed\n";
    check(
        &peer,
        &["query-name", "--follow"],
        "{\n  \"name\": \"peer\"\n}\n",
        error,
        2,
    );
}

#[test]
fn waiting_ends_when_the_machine_does() {
    for peer in Peer::both(&[]) {
        let words = ["quit", "--until", "DEVICE_DELETED,device=none"];
        let output = peer.qmp(&["run"], &words);
        let error = "qmp: error: the machine was shut down (host-qmp-quit) before DEVICE_DELETED,device=none\n";
        assert_eq!(told(&output), error, "{}", peer.name);
        assert_eq!(output.status.code(), Some(6), "{}", peer.name);
    }
}

#[test]
fn events_are_printed_as_they_come() {
    for peer in Peer::both(&[]) {
        let second = peer.second_address();
        let mut watching = Command::new(env!("CARGO_BIN_EXE_qmp"))
            .args(["--json", "events", &peer.address()])
            .args(["--filter", "S*", "--until", "STOP"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("qmp was built");
        eventually(|| {
            qmp(["run", &second, "cont"]);
            qmp(["run", &second, "stop"]);
            watching.try_wait().expect("it is a child").is_some()
        });
        let output = watching.wait_with_output().expect("it has ended");
        let event: Value = serde_json::from_slice(&output.stdout).expect("one event was printed");
        assert_eq!(event["event"], "STOP", "{}", peer.name);
        assert_eq!(output.status.code(), Some(0), "{}", peer.name);
    }
}

#[test]
fn waiting_has_an_end() {
    for peer in Peer::both(&[]) {
        let output = qmp(["--timeout", "5", "wait", &peer.address(), "NEVER"]);
        assert_eq!(
            told(&output),
            "qmp: error: no NEVER within 5s\n",
            "{}",
            peer.name
        );
        assert_eq!(output.status.code(), Some(4), "{}", peer.name);
    }
}

#[test]
fn status_tells_of_many_machines() {
    for peer in Peer::both(&[]) {
        let (first, second) = (peer.address(), peer.second_address());
        let output = qmp(["--json", "status", &first, "/nonexistent", &second]);
        let lines = text(&output);
        let rows: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect();
        for (row, address) in [(&rows[0], &first), (&rows[2], &second)] {
            let expected = json!({
                "address": address, "status": "prelaunch", "name": "peer",
                "version": row["version"], "cpus": 1, "memory": 128 << 20,
            });
            assert_eq!(*row, expected, "{}", peer.name);
        }
        let error = "cannot connect to /nonexistent: No such file or directory (os error 2)";
        assert_eq!(rows[1], json!({"address": "/nonexistent", "error": error}));
        assert_eq!(output.status.code(), Some(3), "{}", peer.name);
    }
}

#[test]
fn the_manual_has_a_page_for_every_subcommand() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().display().to_string();
    assert_eq!(qmp(["man", &path]).status.code(), Some(0));
    let page = std::fs::read_to_string(directory.path().join("qmp-run.1"));
    assert!(page.expect("it was written").contains("out of band"));
    let script = text(&qmp(["completions", "bash"]));
    assert!(script.contains("--until"));
}
