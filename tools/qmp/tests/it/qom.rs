//! `qmp qom`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::peers::{Peer, eventually, qmp, text, told};

const BALLOON: [&str; 2] = ["-device", "virtio-balloon-pci,id=b0"];

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
    for peer in Peer::both(&BALLOON) {
        let root = text(&peer.qmp(&["qom", "list"], &[]));
        assert!(root.contains("machine/  "), "{}: {root}", peer.name);
        assert!(root.contains("type  "), "{}: {root}", peer.name);
        let path = "/machine/peripheral";
        let devices = text(&peer.qmp(&["qom", "list"], &[path]));
        let balloon = "b0/   child<virtio-balloon-pci>\n";
        assert!(devices.contains(balloon), "{}: {devices}", peer.name);
        let listed = text(&peer.qmp(&["--json", "qom", "list"], &[path]));
        let listed: Value = serde_json::from_str(&listed).expect("it is one value");
        let balloon = json!({"name": "b0", "type": "child<virtio-balloon-pci>"});
        let listed = listed.as_array().expect("it is a list");
        assert!(listed.contains(&balloon), "{}: {listed:?}", peer.name);
        let error = "qmp: error: Device '/none' not found\n";
        check(&peer, "list", &["/none"], "", error, 1);
    }
}

#[test]
fn properties_are_read_and_written() {
    for peer in Peer::both(&BALLOON) {
        let path = "/machine/peripheral/b0";
        let (ty, name) = ("virtio-balloon-pci\n", "guest-stats-polling-interval");
        check(&peer, "get", &[&format!("{path}.type")], ty, "", 0);
        check(&peer, "get", &[path, "type"], ty, "", 0);
        let interval = format!("{path}.{name}");
        check(&peer, "set", &[&interval, "2K"], "", "", 0);
        check(&peer, "get", &[&interval], "2048\n", "", 0);
        check(&peer, "set", &[path, name, "0x10"], "", "", 0);
        check(&peer, "get", &[&interval, "--json"], "16\n", "", 0);
        check(&peer, "set", &[&interval, "0", "--json"], "{}\n", "", 0);
    }
}

#[test]
fn what_a_property_cannot_be_is_told() {
    for peer in Peer::both(&BALLOON) {
        let path = "/machine/peripheral/b0";
        let error = "qmp: error: Property 'virtio-balloon-pci.none' not found\n";
        check(&peer, "get", &[path, "none"], "", error, 1);
        let error = "qmp: error: Property 'virtio-balloon-pci.type' is not writable\n";
        check(&peer, "set", &[path, "type", "other"], "", error, 1);
        let error = "qmp: error: Invalid parameter type for 'guest-stats-polling-interval', \
                     expected: integer\n";
        let words = [path, "guest-stats-polling-interval", "often"];
        check(&peer, "set", &words, "", error, 1);
        let error = "qmp: error: '/machine' names no property: expected PATH.PROPERTY\n";
        check(&peer, "get", &["/machine"], "", error, 2);
    }
}

#[test]
fn a_tree_has_all_below_an_object() {
    for peer in Peer::both(&BALLOON) {
        let tree = text(&peer.qmp(&["qom", "tree"], &["/machine/peripheral"]));
        for line in [
            "/machine/peripheral\n  type: container (string)\n",
            "\n  /machine/peripheral/b0\n    type: virtio-balloon-pci (string)\n",
            "\n    guest-stats-polling-interval: 0 (int)\n",
        ] {
            assert!(tree.contains(line), "{}: {line}: {tree}", peer.name);
        }

        let lines = text(&peer.qmp(&["--json", "qom", "tree"], &[]));
        let objects: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect();
        assert_eq!(objects[0]["path"], "/", "{}", peer.name);
        let mut paths = objects.iter().map(|object| &object["path"]);
        let found = paths.any(|path| path == "/machine/peripheral/b0");
        assert!(found, "{}", peer.name);
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
    for peer in Peer::both(&BALLOON) {
        let at = directory.path().join(peer.name);
        let Some(mut mount) = Mount::new(&peer, &at) else {
            return;
        };
        let ty = mount
            .read("machine/peripheral/b0/type")
            .expect("it can be read");
        assert_eq!(ty, "virtio-balloon-pci\n", "{}", peer.name);
        let interval = "machine/peripheral/b0/guest-stats-polling-interval";
        mount.write(interval, "2K\n").expect("it can be written");
        assert_eq!(mount.read(interval).expect("it can be read"), "2048\n");
        let status = fs::metadata(at.join(interval)).expect("it is there");
        assert_eq!(status.len(), 5, "{}", peer.name);

        let failed = |result: io::Result<()>| result.err().map(|error| error.kind());
        let refused = failed(mount.write(interval, "often"));
        assert_eq!(refused, Some(io::ErrorKind::InvalidInput), "{}", peer.name);
        let refused = failed(mount.write("machine/peripheral/b0/type", "other"));
        assert_eq!(
            refused,
            Some(io::ErrorKind::PermissionDenied),
            "{}",
            peer.name
        );
        let missing = failed(mount.read("machine/peripheral/b1/type").map(drop));
        assert_eq!(missing, Some(io::ErrorKind::NotFound), "{}", peer.name);

        kill_process(Pid::from_child(&mount.process), Signal::INT).expect("it runs");
        assert_eq!(mount.end(), Some(0), "{}", peer.name);
    }
}

#[test]
fn the_file_system_goes_with_the_server() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for peer in Peer::both(&BALLOON) {
        let at = directory.path().join(peer.name);
        let Some(mut mount) = Mount::new(&peer, &at) else {
            return;
        };
        qmp(["run", &peer.second_address(), "quit"]);
        assert_eq!(mount.end(), Some(0), "{}", peer.name);
    }
}

#[test]
fn links_are_symbolic_links() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for peer in Peer::both(&[
        "-object",
        "rng-random,id=r0,filename=/dev/urandom",
        "-device",
        "virtio-rng-pci,rng=r0,id=d0",
    ]) {
        let at = directory.path().join(peer.name);
        let Some(mount) = Mount::new(&peer, &at) else {
            return;
        };
        let link = at.join("machine/peripheral/d0/rng");
        let target = fs::read_link(&link).expect("it is a link");
        assert_eq!(target, Path::new("../../../objects/r0"), "{}", peer.name);
        let followed = mount.read("machine/peripheral/d0/rng/type");
        assert_eq!(followed.expect("it leads there"), "rng-random\n");
    }
}

/// Neither a server that hangs nor one that dies leaves a mount behind, or a
/// process that waits for it.
#[test]
fn the_file_system_outlives_no_server() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for peer in Peer::both(&BALLOON) {
        let at = directory.path().join(peer.name);
        let Some(mut mount) = Mount::new(&peer, &at) else {
            return;
        };
        let file = at.join("machine/type");
        let open = fs::File::open(&file).expect("it is there");
        peer.signal(Signal::STOP);
        let waiting = thread::spawn(move || fs::read_to_string(file));
        peer.signal(Signal::KILL);
        let read = waiting.join().expect("it does not panic");
        assert!(read.is_err(), "{}: {read:?}", peer.name);
        drop(open);
        assert_eq!(mount.end(), Some(5), "{}", peer.name);
        let mut left = fs::read_dir(&at).expect("it is a directory as before");
        assert!(left.next().is_none(), "{}", peer.name);
    }
}
