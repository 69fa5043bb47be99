//! `qmp qom`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::peers::{Peer, eventually, qmp, text, told};

const GROUP: [&str; 2] = ["-object", "throttle-group,id=t0"];

/// One run of `qmp qom VERB ADDR WORDS`: what it prints, what it tells, its
/// code.
fn check(peer: &Peer, verb: &str, words: &[&str], expected: &str, error: &str, code: i32) {
    let output = peer.qmp(&["qom", verb], words);
    let place = format!("{}: {verb} {words:?}", peer.name);
    assert_eq!(text(&output), expected, "{place}");
    assert_eq!(told(&output), error, "{place}");
    assert_eq!(output.status.code(), Some(code), "{place}");
}

#[test]
fn objects_are_listed() {
    for peer in Peer::both(&GROUP) {
        let root = text(&peer.qmp(&["qom", "list"], &[]));
        assert!(root.contains("machine/  "), "{}: {root}", peer.name);
        assert!(root.contains("type  "), "{}: {root}", peer.name);
        let group = text(&peer.qmp(&["qom", "list"], &["/objects"]));
        assert!(group.contains("t0/   child<throttle-group>\n"), "{group}");
        let listed = text(&peer.qmp(&["--json", "qom", "list"], &["/objects"]));
        let listed: Value = serde_json::from_str(&listed).expect("it is one value");
        let group = json!({"name": "t0", "type": "child<throttle-group>"});
        let listed = listed.as_array().expect("it is a list");
        assert!(listed.contains(&group), "{}: {listed:?}", peer.name);
        let error = "qmp: error: Device '/none' not found\n";
        check(&peer, "list", &["/none"], "", error, 1);
    }
}

#[test]
fn properties_are_read_and_written() {
    for peer in Peer::both(&GROUP) {
        check(
            &peer,
            "get",
            &["/objects/t0.type"],
            "throttle-group\n",
            "",
            0,
        );
        check(
            &peer,
            "get",
            &["/objects/t0", "type"],
            "throttle-group\n",
            "",
            0,
        );
        let limit = "/objects/t0.x-iops-total";
        check(&peer, "set", &[limit, "2K"], "", "", 0);
        check(&peer, "get", &[limit], "2048\n", "", 0);
        check(
            &peer,
            "set",
            &["/objects/t0", "x-iops-total", "0x10"],
            "",
            "",
            0,
        );
        check(&peer, "get", &[limit, "--json"], "16\n", "", 0);
        check(&peer, "set", &[limit, "7", "--json"], "{}\n", "", 0);
        let limits = ["/objects/t0", "limits", "{'iops-total': 5}"];
        check(&peer, "set", &limits, "", "", 0);
        check(&peer, "get", &[limit], "5\n", "", 0);
    }
}

#[test]
fn what_a_property_cannot_be_is_told() {
    for peer in Peer::both(&GROUP) {
        let error = "qmp: error: Property 'throttle-group.none' not found\n";
        check(&peer, "get", &["/objects/t0.none"], "", error, 1);
        let error = "qmp: error: Invalid parameter type for 'x-iops-total', expected: integer\n";
        check(
            &peer,
            "set",
            &["/objects/t0.x-iops-total", "many"],
            "",
            error,
            1,
        );
        let error = "qmp: error: '/objects/t0' names no property: expected PATH.PROPERTY\n";
        check(&peer, "get", &["/objects/t0"], "", error, 2);
    }
}

#[test]
fn a_tree_has_all_below_an_object() {
    for peer in Peer::both(&GROUP) {
        let tree = text(&peer.qmp(&["qom", "tree"], &["/objects"]));
        let start = "/objects\n  type: container (string)\n";
        assert!(tree.starts_with(start), "{}: {tree}", peer.name);
        let group = "\n  /objects/t0\n    type: throttle-group (string)\n";
        assert!(tree.contains(group), "{}: {tree}", peer.name);
        assert!(
            tree.contains("\n    x-iops-total: 0 (int)\n"),
            "{}: {tree}",
            peer.name
        );

        let lines = text(&peer.qmp(&["--json", "qom", "tree"], &[]));
        let objects: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect();
        assert_eq!(objects[0]["path"], "/", "{}", peer.name);
        let mut paths = objects.iter().map(|object| &object["path"]);
        assert!(paths.any(|path| path == "/objects/t0"), "{}", peer.name);
    }
}

/// A mounted tree; it is unmounted when this is dropped.
struct Mount {
    process: Child,
    at: PathBuf,
}

impl Mount {
    /// `None`, said aloud, where file systems cannot be mounted.
    fn new(peer: &Peer, at: &Path) -> Option<Self> {
        fs::create_dir(at).expect("it is free");
        let mut process = Command::new(env!("CARGO_BIN_EXE_qmp"))
            .args(["qom", "fuse", &peer.address()])
            .arg(at)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("qmp was built");
        let mut ended = None;
        eventually(|| {
            ended = process.try_wait().expect("it is a child");
            ended.is_some() || at.join("machine").exists()
        });
        let Some(status) = ended else {
            let at = at.to_owned();
            return Some(Self { process, at });
        };
        let output = process.wait_with_output().expect("it has ended");
        eprintln!("skipped: {}: {}", peer.name, told(&output));
        assert_eq!(status.code(), Some(8), "{}", told(&output));
        None
    }

    fn read(&self, path: &str) -> io::Result<String> {
        fs::read_to_string(self.at.join(path))
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        fs::write(self.at.join(path), text)
    }

    /// The exit code, once it is unmounted.
    fn end(&mut self) -> Option<i32> {
        let ended = self.process.wait().expect("it is a child");
        assert!(!self.at.join("machine").exists());
        ended.code()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
            let _ = self.process.wait();
        }
    }
}

#[test]
fn the_tree_is_a_file_system() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for peer in Peer::both(&GROUP) {
        let at = directory.path().join(peer.name);
        let Some(mut mount) = Mount::new(&peer, &at) else {
            return;
        };
        let group = mount.read("objects/t0/type").expect("it can be read");
        assert_eq!(group, "throttle-group\n", "{}", peer.name);
        let limit = "objects/t0/x-iops-total";
        mount.write(limit, "2K\n").expect("it can be written");
        assert_eq!(mount.read(limit).expect("it can be read"), "2048\n");
        let status = fs::metadata(at.join(limit)).expect("it is there");
        assert_eq!(status.len(), 5, "{}", peer.name);

        let failed = |result: io::Result<()>| result.err().map(|error| error.kind());
        let refused = failed(mount.write(limit, "many"));
        assert_eq!(refused, Some(io::ErrorKind::InvalidInput), "{}", peer.name);
        let refused = failed(mount.write("objects/t0/type", "other"));
        assert_eq!(
            refused,
            Some(io::ErrorKind::PermissionDenied),
            "{}",
            peer.name
        );
        let missing = failed(mount.read("objects/t1/type").map(drop));
        assert_eq!(missing, Some(io::ErrorKind::NotFound), "{}", peer.name);

        kill_process(Pid::from_child(&mount.process), Signal::INT).expect("it runs");
        assert_eq!(mount.end(), Some(0), "{}", peer.name);
    }
}

#[test]
fn the_file_system_goes_with_the_server() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for peer in Peer::both(&GROUP) {
        let at = directory.path().join(peer.name);
        let Some(mut mount) = Mount::new(&peer, &at) else {
            return;
        };
        qmp(["run", &peer.second_address(), "quit"]);
        assert_eq!(mount.end(), Some(0), "{}", peer.name);
    }
}
