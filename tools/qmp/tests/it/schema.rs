//! `qmp schema`.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::peers::{Peer, qmp, text, told};

#[test]
fn a_server_is_shown_with_names_and_documentation() {
    for peer in Peer::both(&[]) {
        let output = peer.qmp(&["schema", "show"], &["query-status"]);
        let shown = text(&output);
        assert!(shown.starts_with("command query-status\n"), "{shown}");
        assert!(shown.contains("\nreturns StatusInfo\n"), "{shown}");
        let output = peer.qmp(&["schema", "show"], &["RunState", "--json"]);
        let shown: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        assert_eq!(shown["kind"], "enum");
        assert!(
            shown["values"]
                .as_array()
                .is_some_and(|values| values.len() > 10)
        );
    }
}

#[test]
fn what_is_not_there_is_told() {
    let output = qmp(["schema", "show", "builtin:agent", "guest-pong"]);
    assert_eq!(told(&output), "qmp: error: there is no 'guest-pong'\n");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn schemas_are_compared() {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("old"), "{ 'command': 'a', 'data': { '*b': 'int' } }\n").expect("it is written");
    fs::write(path("new"), "{ 'command': 'a', 'data': { 'b': 'int' } }\n").expect("it is written");
    let output = qmp(["schema", "diff", &path("old"), &path("new")]);
    let told = "breaks commands  a.b: is required now\n\
                1 differences: 1 break commands, 0 break reading\n";
    assert_eq!(text(&output), told);
    assert_eq!(output.status.code(), Some(7));
    let output = qmp(["schema", "diff", &path("new"), &path("old")]);
    assert_eq!(output.status.code(), Some(0));
    for peer in Peer::both(&[]) {
        let address = peer.second_address();
        let output = peer.qmp(&["schema", "diff"], &[&address]);
        assert_eq!(
            text(&output),
            "0 differences: 0 break commands, 0 break reading\n"
        );
    }
}

#[test]
fn scripts_are_checked() {
    const SCRIPT: &str = "\
# a script
query-status
device_del id=nic0
device_add driver=virtio-net-pci id=nic0 whatever=1
{\"execute\": \"device_del\", \"arguments\": {}}

nosuch
qom-get path=/machine more=1
";
    const EXPECTED: &str = "\
SCRIPT:5: Parameter 'id' is missing
SCRIPT:7: The command nosuch has not been found
SCRIPT:8: Parameter 'property' is missing
6 commands, 3 faults
";
    let directory = TempDir::new().expect("a temporary directory can be made");
    let script = directory.path().join("script").display().to_string();
    fs::write(&script, SCRIPT).expect("it is written");
    let expected = EXPECTED.replace("SCRIPT", &script);
    let output = qmp(["schema", "check", "builtin:qmp", &script]);
    assert_eq!(text(&output), expected);
    assert_eq!(output.status.code(), Some(7));
    if let Some(peer) = Peer::qemu(&[]) {
        let output = peer.qmp(&["schema", "check"], &[&script]);
        assert_eq!(text(&output), expected);
    }
}

#[test]
fn references_and_crates_are_made() {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let output = qmp(["schema", "docs", "builtin:agent", "-o", &path("docs")]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let index = fs::read_to_string(path("docs/index.md")).expect("there is an index");
    assert!(index.contains("guest-ping"), "{index}");
    let output = qmp(["schema", "rust", "builtin:agent", &path("agent")]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let manifest = fs::read_to_string(path("agent/Cargo.toml")).expect("there is a manifest");
    assert!(
        manifest.starts_with("[package]\nname = \"agent\"\n"),
        "{manifest}"
    );
    let types = fs::read_to_string(path("agent/src/interface.rs")).expect("there are types");
    assert!(types.contains("pub struct GuestPing;"));
}
