//! The same lines for `qmp shell` and for QEMU's own `qmp-shell`: the same
//! messages must reach the server.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::peers::Peer;
use crate::served::Served;

/// What counts is what is sent, not whether it can be carried out. Of dotted
/// keys there is one at most, the last: `qmp-shell` puts whatever follows one
/// below it (`a.b=1 c=2` becomes `{'a': {'b': 1, 'c': 2}}`).
const LINES: [&str; 28] = [
    "query-name",
    "  query-name  ",
    "qom-list path=/machine",
    "qom-get path=/machine property=type",
    "device_del id=nothing",
    "nonsense a=1 b=-2 c=+3 d=007 e=1_000",
    "nonsense a=true b=False c=TRUE d=fAlSe",
    "nonsense a= b=word c=1.2.3 d=0x10 e=/a/b=c",
    "nonsense a=1 b.c.d=x",
    "nonsense a={'b':1} a.c=2",
    "nonsense a={} b=[]",
    "nonsense a={\"b\":[1,2,{\"c\":null}]}",
    "nonsense a={'b':True,'c':None,'d':[False,'x']}",
    "nonsense a={'b':true,'c':null,} b=['x',]",
    r#"nonsense a=['with\ta\ttab','and\'a\"quote']"#,
    "nonsense a=[1,-2,3.5] b={'c':{'d':'e'}}",
    "blockdev-add driver=null-co node-name=n0 read-only=true size=1024",
    "blockdev-add driver=file filename=/nonexistent node-name=x cache.direct=true",
    "netdev_add type=user id=n0 hostfwd=[{'str':'tcp::0-:22'}]",
    "object-add qom-type=secret id=s0 data=abc",
    "nonsense word",
    "nonsense a=1 a=2",
    "nonsense a=1 a.b=2",
    "transaction( abort )",
    "transaction( blockdev-snapshot-sync device=d snapshot-file=f abort=1 )",
    "transaction(",
    "block-dirty-bitmap-add node=n name=b granularity=65536",
    ")",
];

#[test]
fn the_same_lines_become_the_same_messages() {
    compare(&[], &LINES);
}

#[test]
fn so_do_those_for_the_human_monitor() {
    let lines = [
        "info version",
        "help info",
        "cpu 0",
        "info cpus",
        "nonsense",
    ];
    compare(&["-H"], &lines);
}

fn compare(options: &[&str], lines: &[&str]) {
    let Some(python) = std::env::var_os("TINAMOU_PYTHON") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "TINAMOU_PYTHON is not set"
        );
        return eprintln!("skipped: TINAMOU_PYTHON is not set");
    };
    let mut theirs = Command::new(python);
    theirs.args(["-c", "from qemu.qmp.qmp_shell import main; main()"]);
    let mut ours = Command::new(env!("CARGO_BIN_EXE_qmp"));
    ours.arg("shell");
    let Some(theirs) = messages(theirs, options, lines) else {
        return;
    };
    let ours = messages(ours, options, lines).expect("there is a server");
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len(), "{ours:#?}");
    assert!(theirs.len() > lines.len() / 2, "{theirs:#?}");
}

/// What reaches a server when a shell is given lines.
fn messages(mut shell: Command, options: &[&str], lines: &[&str]) -> Option<Vec<Value>> {
    let peer = Peer::qemu(&[])?;
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |name: &str| place.path().join(name).display().to_string();
    let (file, socket) = (path("session"), path("recorded.sock"));
    let recorder = Served::start(&["record", &peer.address(), "--once", "-o", &file, &socket]);
    let mut shell = shell
        .args(options)
        .arg(&recorder.address)
        .env("HOME", place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the shell starts");
    let mut stdin = shell.stdin.take().expect("it is piped");
    let text = lines.join("\n") + "\n";
    stdin.write_all(text.as_bytes()).expect("the shell reads");
    drop(stdin);
    shell.wait().expect("it ends");
    assert!(recorder.end().0.success());
    let recorded = std::fs::read_to_string(&file).expect("it was written");
    let recorded = recorded.lines().filter_map(|line| {
        let mut entry: Value = serde_json::from_str(line).expect("JSON");
        (entry["from"] == "client").then(|| entry["message"].take())
    });
    Some(recorded.filter_map(plain).collect())
}

/// A message without what the shells may do as they like: ids, an empty
/// object in the place of no arguments, and what they ask for themselves.
fn plain(mut message: Value) -> Option<Value> {
    let members = message.as_object_mut()?;
    members.remove("id");
    let arguments = members.entry("arguments").or_insert_with(|| json!({}));
    if arguments["cpu-index"] == 0 {
        let arguments = arguments.as_object_mut()?;
        arguments.remove("cpu-index");
    }
    let own = ["qmp_capabilities", "query-commands", "query-qmp-schema"];
    let line = &message["arguments"]["command-line"];
    let asked = ["help", "info", "cpu 0", "info version"];
    let is_own = own.iter().any(|name| message["execute"] == *name);
    (!is_own && !asked.iter().any(|asked| line == asked)).then_some(message)
}
