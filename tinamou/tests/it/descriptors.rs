//! File descriptors that clients pass with `SCM_RIGHTS`, and the character
//! devices made of them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{QEMU, Qmp, Vm, installed, skip, tinamou};

fn start() -> (Vm, Qmp) {
    let vm = Vm::start(&tinamou(), &["-M", "virt", "-m", "64", "-S", "-nodefaults"]);
    let qmp = vm.qmp();
    (vm, qmp)
}

fn pass(qmp: &mut Qmp, command: &str, arguments: Value, fds: &[BorrowedFd<'_>]) -> Value {
    let request = json!({"execute": command, "arguments": arguments});
    qmp.send_with(request.to_string().as_bytes(), fds);
    qmp.reply()
}

fn error(reply: Result<Value, Value>) -> String {
    let error = reply.expect_err("an error");
    error["desc"].as_str().expect("text").to_owned()
}

#[test]
fn memory_is_saved_to_a_passed_descriptor() {
    let (vm, mut qmp) = start();
    let path = vm.path("saved");
    let writer = File::create(&path).expect("a file");
    let reader = File::open(&path).expect("the file");
    let added = pass(
        &mut qmp,
        "add-fd",
        json!({"opaque": "r"}),
        &[reader.as_fd()],
    );
    assert_eq!(added["return"]["fdset-id"], 0);

    let save = json!({"val": 0x1000, "size": 8, "filename": "/dev/fdset/0"});
    let refused = error(qmp.execute("pmemsave", save.clone()));
    assert_eq!(refused, "Could not open '/dev/fdset/0': Permission denied");
    pass(
        &mut qmp,
        "add-fd",
        json!({"fdset-id": 0}),
        &[writer.as_fd()],
    );
    qmp.execute("pmemsave", save).expect("saved");
    // The first instructions of the board's reset code.
    let saved = fs::read(path).expect("the file");
    assert_eq!(saved, [0x97, 0x02, 0, 0, 0x13, 0x86, 0x82, 0x02]);

    let sets = qmp.execute("query-fdsets", json!({})).expect("sets");
    assert_eq!(sets[0]["fds"][0]["opaque"], "r");
    assert_eq!(sets[0]["fds"].as_array().map(Vec::len), Some(2));
    qmp.execute("remove-fd", json!({"fdset-id": 0}))
        .expect("removed");
    let sets = qmp.execute("query-fdsets", json!({})).expect("sets");
    assert_eq!(sets, json!([]));
    let save = json!({"val": 0x1000, "size": 8, "filename": "/dev/fdset/0"});
    let refused = error(qmp.execute("pmemsave", save));
    assert_eq!(
        refused,
        "Could not open '/dev/fdset/0': No such file or directory"
    );
}

#[test]
fn descriptors_of_one_message_serve_its_commands_in_order() {
    let (vm, mut qmp) = start();
    let file = |name| File::create(vm.path(name)).expect("a file");
    let (a, b) = (file("a"), file("b"));
    let request = br#"{"execute":"getfd","arguments":{"fdname":"a"}}
                      {"execute":"getfd","arguments":{"fdname":"b"}}"#;
    qmp.send_with(request, &[a.as_fd(), b.as_fd()]);
    assert_eq!(qmp.reply(), json!({"return": {}}));
    assert_eq!(qmp.reply(), json!({"return": {}}));
    qmp.execute("closefd", json!({"fdname": "b"}))
        .expect("b is there");
}

#[test]
fn a_descriptor_nobody_took_is_not_given_to_the_next() {
    let (vm, mut qmp) = start();
    let (wrong, right) = (vm.path("wrong"), vm.path("right"));
    let stale = File::create(&wrong).expect("a file");
    let fresh = File::create(&right).expect("a file");
    // A command that fails before it takes the descriptor.
    pass(&mut qmp, "add-fd", json!({"bogus": 1}), &[stale.as_fd()]);
    pass(&mut qmp, "add-fd", json!({}), &[fresh.as_fd()]);
    let save = json!({"val": 0x1000, "size": 8, "filename": "/dev/fdset/0"});
    qmp.execute("pmemsave", save).expect("saved");
    assert_eq!(fs::metadata(right).expect("the file").len(), 8);
    assert_eq!(fs::metadata(wrong).expect("the file").len(), 0);
    let none = error(qmp.execute("getfd", json!({"fdname": "x"})));
    assert_eq!(none, "No file descriptor supplied via SCM_RIGHTS");
}

#[test]
fn a_passed_socket_becomes_a_device_and_yank_cuts_it() {
    let (_vm, mut qmp) = start();
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let taken = pass(&mut qmp, "getfd", json!({"fdname": "s"}), &[theirs.as_fd()]);
    assert_eq!(taken, json!({"return": {}}));
    drop(theirs);
    let backend = json!({"type": "socket", "data": {
        "addr": {"type": "fd", "data": {"str": "s"}}, "server": false}});
    qmp.execute("chardev-add", json!({"id": "s", "backend": backend}))
        .expect("added");
    // The device owns the descriptor now.
    let gone = error(qmp.execute("closefd", json!({"fdname": "s"})));
    assert_eq!(gone, "File descriptor named 's' not found");

    let instance = json!({"type": "chardev", "id": "s"});
    let listed = qmp.execute("query-yank", json!({})).expect("instances");
    assert!(listed.as_array().expect("a list").contains(&instance));
    qmp.execute("yank", json!({"instances": [instance]}))
        .expect("yanked");
    let mut rest = Vec::new();
    (&ours).read_to_end(&mut rest).expect("the end");
    assert!(rest.is_empty());
    qmp.execute("chardev-remove", json!({"id": "s"}))
        .expect("removed");
}

#[test]
fn yank_cuts_a_monitor_in_use() {
    let (vm, mut qmp) = start();
    let mut second = vm.qmp();
    let instance = json!({"type": "chardev", "id": "compat_monitor0"});
    qmp.send(
        json!({"execute": "yank", "arguments": {"instances": [instance]}})
            .to_string()
            .as_bytes(),
    );
    while second.read().is_some() {}
    // The socket still listens.
    assert!(vm.connect().greeting["QMP"].is_object());
}

fn backends(vm: &Vm) -> Vec<(Value, Option<&'static str>)> {
    let path = |name| vm.path(name).display().to_string();
    vec![
        (json!({"type": "null", "data": {}}), Some("null")),
        (
            json!({"type": "ringbuf", "data": {"size": 16}}),
            Some("ringbuf"),
        ),
        (json!({"type": "memory", "data": {}}), Some("ringbuf")),
        (json!({"type": "ringbuf", "data": {"size": 3}}), None),
        (
            json!({"type": "ringbuf", "data": {"size": 1_u64 << 62}}),
            None,
        ),
        (json!({"type": "ringbuf", "data": {"size": -1}}), None),
        (
            json!({"type": "file", "data": {"out": path("out")}}),
            Some("file"),
        ),
        (
            json!({"type": "file", "data": {"out": path("no/out")}}),
            None,
        ),
        (
            json!({"type": "pipe", "data": {"device": path("nopipe")}}),
            None,
        ),
        (json!({"type": "pty", "data": {}}), Some("pty:/dev/pts/")),
        (
            json!({"type": "mux", "data": {"chardev": "b0"}}),
            Some("mux"),
        ),
        (json!({"type": "mux", "data": {"chardev": "nosuch"}}), None),
        (
            json!({"type": "socket", "data": {"addr":
                {"type": "unix", "data": {"path": path("s")}}, "server": true}}),
            Some("disconnected:unix:"),
        ),
        (
            json!({"type": "socket", "data": {"addr":
                {"type": "unix", "data": {"path": path("s")}}, "server": false}}),
            Some("unix:"),
        ),
        (
            json!({"type": "socket", "data": {"addr":
                {"type": "unix", "data": {"path": path("nobody")}}, "server": false}}),
            None,
        ),
        (
            json!({"type": "socket", "data": {"addr": {"type": "inet",
                "data": {"host": "localhost", "port": "0"}}, "server": true, "telnet": true}}),
            Some("disconnected:telnet:"),
        ),
        (
            json!({"type": "socket", "data": {"addr":
                {"type": "fd", "data": {"str": "nosuch"}}, "server": false}}),
            None,
        ),
        (json!({"type": "vc", "data": {}}), None),
    ]
}

#[test]
fn backends_are_added_sent_a_break_and_removed() {
    let (vm, mut qmp) = start();
    for (number, (backend, filename)) in backends(&vm).into_iter().enumerate() {
        let id = format!("b{number}");
        let reply = qmp.execute("chardev-add", json!({"id": id, "backend": backend}));
        let Some(filename) = filename else {
            let prefix = format!("Failed to add chardev '{id}': ");
            let desc = error(reply);
            assert!(desc.starts_with(&prefix), "{backend}: {desc}");
            continue;
        };
        reply.unwrap_or_else(|error| panic!("{backend}: {error}"));
        let devices = qmp.execute("query-chardev", json!({})).expect("devices");
        let mut devices = devices.as_array().expect("a list").iter();
        let device = devices.find(|device| device["label"] == *id).expect(&id);
        let shown = device["filename"].as_str().expect("text");
        assert!(shown.starts_with(filename), "{backend}: {shown}");
        qmp.execute("chardev-send-break", json!({"id": id}))
            .unwrap_or_else(|error| panic!("{backend}: {error}"));
        // The null device stays for the multiplexer.
        if number > 0 {
            let keep = backend["data"]["path"] == "s" || filename == "disconnected:unix:";
            if !keep {
                qmp.execute("chardev-remove", json!({"id": id}))
                    .unwrap_or_else(|error| panic!("{backend}: {error}"));
            }
        }
    }
    let ring = json!({"type": "ringbuf", "data": {}});
    qmp.execute("chardev-add", json!({"id": "c", "backend": ring}))
        .expect("added");
    let nothing = json!({"type": "null", "data": {}});
    qmp.execute("chardev-change", json!({"id": "c", "backend": nothing}))
        .expect("changed");
    let refused = error(qmp.execute("ringbuf-read", json!({"device": "c", "size": 1})));
    assert_eq!(refused, "c is not a ringbuf device");
}

#[test]
fn a_pty_nobody_uses_can_be_written_to_and_removed() {
    let (_vm, mut qmp) = start();
    let pty = json!({"type": "pty", "data": {}});
    let reply = qmp.execute("chardev-add", json!({"id": "p", "backend": pty}));
    let path = reply.expect("added")["pty"]
        .as_str()
        .expect("a path")
        .to_owned();
    let mut terminal = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .expect("the terminal opens");
    // Nobody reads it, and nobody minds.
    terminal.write_all(b"hello").expect("written");
    drop(terminal);
    qmp.execute("chardev-remove", json!({"id": "p"}))
        .expect("removed");
}

#[test]
fn images_come_from_sets_of_tinamou() {
    images_come_from_sets(&tinamou());
}

#[test]
fn images_come_from_sets_of_qemu() {
    if !installed(QEMU) {
        return skip("qemu-system-riscv64 is not installed");
    }
    images_come_from_sets(Path::new(QEMU));
}

fn images_come_from_sets(program: &Path) {
    let vm = Vm::start(program, &["-M", "virt", "-m", "64", "-S", "-nodefaults"]);
    let mut qmp = vm.qmp();
    let path = vm.path("image");
    fs::write(&path, [7; 4096]).expect("an image");
    let read = File::open(&path).expect("the image");
    let both = File::options().read(true).write(true).open(&path);
    let both = both.expect("the image");
    let add = |qmp: &mut Qmp, set: i64, file: &File| {
        let added = pass(qmp, "add-fd", json!({"fdset-id": set}), &[file.as_fd()]);
        assert_eq!(added["return"]["fdset-id"], set);
    };
    let open = |qmp: &mut Qmp, name: &str, rest: Value| {
        let mut node = json!({"driver": "file", "node-name": name});
        for (key, value) in rest.as_object().expect("members") {
            node[key] = value.clone();
        }
        match qmp.execute("blockdev-add", node) {
            Ok(_) => "added".to_owned(),
            refused => error(refused),
        }
    };
    let sets = |qmp: &mut Qmp| {
        let sets = qmp.execute("query-fdsets", json!({})).expect("sets");
        let sets = sets.as_array().expect("a list").iter();
        let count = |set: &Value| set["fds"].as_array().map_or(0, Vec::len);
        sets.map(|set| (set["fdset-id"].as_i64(), count(set)))
            .collect::<Vec<_>>()
    };
    let first = "/dev/fdset/1";
    let missing = "Failed to find fdset /dev/fdset/1";
    let misfit =
        |flags: &str| format!("Failed to find file descriptor with matching flags={flags}");
    for (file, said) in [
        (first, missing),
        ("/dev/fdset/x", "Could not parse fdset /dev/fdset/x"),
        ("/dev/fdset/-1", "Could not parse fdset /dev/fdset/-1"),
    ] {
        assert_eq!(open(&mut qmp, "n", json!({"filename": file})), said);
    }

    add(&mut qmp, 1, &read);
    let file = json!({"filename": first});
    let read_only = json!({"filename": first, "read-only": true});
    let automatic = json!({"filename": first, "auto-read-only": true});
    assert_eq!(open(&mut qmp, "n", file.clone()), misfit("0x2"));
    assert_eq!(open(&mut qmp, "r", read_only.clone()), "added");
    assert_eq!(open(&mut qmp, "a", automatic), "added");
    let nodes = qmp.execute("query-named-block-nodes", json!({"flat": true}));
    assert_eq!(nodes.expect("nodes")[0]["file"], first);

    // What is in use goes on, and its set with it; nobody else gets in.
    qmp.execute("remove-fd", json!({"fdset-id": 1}))
        .expect("removed");
    assert_eq!(sets(&mut qmp), [(Some(1), 0)]);
    assert_eq!(open(&mut qmp, "n", read_only.clone()), misfit("0x0"));
    qmp.execute("blockdev-del", json!({"node-name": "r"}))
        .expect("deleted");
    assert_eq!(sets(&mut qmp), [(Some(1), 0)]);
    qmp.execute("blockdev-del", json!({"node-name": "a"}))
        .expect("deleted");
    assert_eq!(sets(&mut qmp), []);
    assert_eq!(open(&mut qmp, "n", read_only), missing);

    // To be opened in another way, a node takes another descriptor of the set.
    add(&mut qmp, 1, &read);
    let options = |read_only: bool| {
        json!({"options": [
            {"driver": "file", "node-name": "n", "filename": first, "read-only": read_only},
        ]})
    };
    assert_eq!(
        open(&mut qmp, "n", json!({"filename": first, "read-only": true})),
        "added"
    );
    let refused = error(qmp.execute("blockdev-reopen", options(false)));
    assert_eq!(refused, misfit("0x2"));
    add(&mut qmp, 1, &both);
    qmp.execute("blockdev-reopen", options(false))
        .expect("reopened");
    assert_eq!(sets(&mut qmp), [(Some(1), 2)]);
}
