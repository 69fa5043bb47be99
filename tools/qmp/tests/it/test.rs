//! `qmp test`.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::peers::{qmp, text, told};
use crate::served::Served;

/// Options that make a machine of any kind listen where the suite says, and
/// tell when it is ready: QEMU must not be connected to while it starts.
const MACHINE: &str =
    "-M none -nodefaults -display none -qmp unix:{socket},server=on,wait=off -qmp unix:{ready}";

/// The directory of the binaries.
fn beside(program: &str) -> String {
    let path = Path::new(env!("CARGO_BIN_EXE_qmp")).with_file_name(program);
    path.display().to_string()
}

/// Whether a program is there; in CI it must be.
fn there(program: &str, version: &str) -> bool {
    let version = std::process::Command::new(program).arg(version).output();
    let there = version.is_ok_and(|output| output.status.success());
    assert!(
        there || std::env::var_os("CI").is_none(),
        "{program} is missing, and CI must not skip tests"
    );
    if !there {
        eprintln!("skipped: there is no {program}");
    }
    there
}

/// Holds a server to everything; gives the ids of the checks that are known.
fn known(program: &str, options: &str) -> Option<Vec<String>> {
    if !there(program, "--version") {
        return None;
    }
    let command = format!("{program} {options}");
    let output = qmp([
        "test",
        "--spawn",
        &command,
        "--strict",
        "--json",
        "--timeout",
        "60",
    ]);
    let report: Value = serde_json::from_str(&text(&output)).expect("JSON");
    let of = |verdict: &str| -> Vec<String> {
        let checks = report["checks"].as_array().into_iter().flatten();
        let wanted = checks.filter(|check| check["verdict"] == verdict);
        wanted.map(|check| check["id"].to_string()).collect()
    };
    assert_eq!(of("failed"), [""; 0], "{program}: {report:#}");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(of("passed").len() > 120, "{program}: {report:#}");
    Some(of("known"))
}

#[test]
fn qemu_passes_but_for_what_is_known() {
    let Some(mut known) = known("qemu-system-riscv64", MACHINE) else {
        return;
    };
    // These depend on who is faster.
    let races = [
        "connections/gone-unread",
        "events/not-before-negotiation",
        "stream/quiet",
        "stream/service",
    ];
    known.retain(|id| !races.contains(&id.trim_matches('"')));
    let expected = [
        "\"json/huge-number\"",
        "\"json/zero-exponent\"",
        "\"json/noncharacters\"",
        "\"introspection/reached\"",
    ];
    assert_eq!(known, expected);
}

#[test]
fn the_storage_daemon_passes_but_for_what_is_known() {
    let options = "--chardev socket,id=c,path={socket},server=on,wait=off --monitor chardev=c \
                   --chardev socket,id=r,path={ready} --monitor chardev=r";
    let Some(known) = known("qemu-storage-daemon", options) else {
        return;
    };
    assert!(
        known.contains(&"\"json/huge-number\"".to_owned()),
        "{known:?}"
    );
}

#[test]
fn tinamou_passes() {
    let Some(known) = known(&beside("tinamou"), MACHINE) else {
        return;
    };
    assert_eq!(known, ["\"json/zero-exponent\"", "\"json/noncharacters\""]);
}

/// Tests a mock with a fault.
fn faulty(fault: &str, arguments: &[&str]) -> Output {
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let path = place.path().join("mock.sock").display().to_string();
    let _mock = Served::start(&["mock", &path, "--fault", fault]);
    qmp(["test", &path].into_iter().chain(arguments.iter().copied()))
}

#[test]
fn faults_are_told_and_end_with_7() {
    let output = faulty("unknown-member-ignored", &["--only", "envelope/*"]);
    assert_eq!(output.status.code(), Some(7), "{}", told(&output));
    let told = text(&output);
    assert!(
        told.starts_with("FAILED envelope/unknown-member\n"),
        "{told}"
    );
    assert!(told.contains("  expected an error\n"), "{told}");
    // What only practice demands is no failure unless it is asked for.
    assert!(
        told.contains("DIFFERS envelope/downstream-member\n"),
        "{told}"
    );
    let output = faulty("unknown-error-class", &["--only", "*-class"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let output = faulty("unknown-error-class", &["--only", "*-class", "--strict"]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output));
}

#[test]
fn a_server_that_does_not_quit_is_found() {
    // Whoever listens for it stays when the server behind has ended.
    if !there("socat", "-V") {
        return;
    }
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let path = place.path().join("mock.sock").display().to_string();
    let _mock = Served::start(&["mock", &path]);
    let command = format!("socat UNIX-LISTEN:{{socket}},fork UNIX-CONNECT:{path}");
    let arguments = ["--only", "events/quit-ends", "--strict", "--timeout", "1"];
    let output = qmp(["test", "--spawn", &command].into_iter().chain(arguments));
    assert_eq!(output.status.code(), Some(7), "{}", text(&output));
    assert!(text(&output).contains("the server is still there"));
}

#[test]
fn reports_have_their_forms() {
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let junit = place.path().join("junit.xml");
    let junit_path = junit.display().to_string();
    let output = faulty(
        "missing-id",
        &["--only", "ids/string", "--tap", "--junit", &junit_path],
    );
    let tap = text(&output);
    assert!(
        tap.starts_with("TAP version 14\n1..1\nnot ok 1 - ids/string\n"),
        "{tap}"
    );
    let junit = std::fs::read_to_string(junit).expect("the file was written");
    assert!(
        junit.contains("<testcase classname=\"ids\" name=\"string\""),
        "{junit}"
    );
}

#[test]
fn the_list_needs_no_server() {
    let output = qmp(["test", "--list"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).contains("\nids/absent: A request without an id"));
    assert!(text(&output).contains("\nnever memsave: writes files of the host\n"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let check = |arguments: &[&str], code, words: &str| {
        let arguments = ["test"].into_iter().chain(arguments.iter().copied());
        let output = qmp(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        assert!(told(&output).contains(words), "{}", told(&output));
    };
    check(&[], 2, "ADDR");
    check(&["--spawn", "true"], 2, "has no {socket}");
    check(&["fd:3"], 2, "only unix sockets and TCP ports");
    check(
        &["/nowhere", "--only", "nothing/*"],
        2,
        "no check fits nothing/*",
    );
    check(&["/nowhere"], 3, "No such file");
    check(
        &["--spawn", "false {socket}"],
        3,
        "the server ended with exit status: 1",
    );
    let idle = "sleep 60; : {socket} {ready}";
    check(
        &["--spawn", idle, "--timeout", "0.1"],
        3,
        "does not connect to {ready}",
    );
}
