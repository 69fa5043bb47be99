//! How the process starts and ends: options, messages, signals, exit codes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{PATIENCE, QEMU, Vm, installed, run, skip, tinamou};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn connect(port: u16) -> BufReader<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    let stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "port {port}: {error}"),
        }
        std::thread::yield_now();
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    BufReader::new(stream)
}

fn line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    line
}

/// The start of the README's lines: the machine waits for its first client.
#[test]
fn short_form_server_waits_and_says_so() {
    let port = free_port();
    let mut machine = Command::new(tinamou())
        .args(["-M", "none", "-display", "none", "-qmp"])
        .arg(format!("tcp:localhost:{port},server"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the machine starts");
    let mut stderr = BufReader::new(machine.stderr.take().expect("stderr is piped"));
    let origin = format!("tinamou: -qmp tcp:localhost:{port},server");
    assert_eq!(
        line(&mut stderr),
        format!("{origin}: warning: short-form boolean option 'server' deprecated\n")
    );
    assert_eq!(line(&mut stderr), "Please use server=on instead\n");
    let waiting = line(&mut stderr);
    let start = format!("{origin}: info: QEMU waiting for connection on: disconnected:tcp:");
    assert!(waiting.starts_with(&start), "{waiting}");
    assert!(
        waiting.ends_with(&format!(":{port},server=on\n")),
        "{waiting}"
    );

    let mut qmp = connect(port);
    assert!(line(&mut qmp).starts_with("{\"QMP\": "));
    qmp.get_mut()
        .write_all(b"{'execute':'qmp_capabilities'}{'execute':'query-status'}{'execute':'quit'}")
        .expect("sent");
    assert_eq!(line(&mut qmp), "{\"return\": {}}\r\n");
    assert!(line(&mut qmp).contains("\"running\""));
    assert_eq!(machine.wait().expect("the end").code(), Some(0));
}

#[test]
fn chardev_and_mon_make_a_pretty_monitor() {
    let port = free_port();
    let socket = format!("socket,id=mon1,host=localhost,port={port},server=on,wait=off");
    let mon = "chardev=mon1,mode=control,pretty=on";
    let _vm = Vm::start(
        &tinamou(),
        &["-M", "none", "-chardev", &socket, "-mon", mon],
    );
    let mut qmp = connect(port);
    // The greeting is laid out over lines of four blanks a level.
    assert_eq!(line(&mut qmp), "{\r\n");
    assert_eq!(line(&mut qmp), "    \"QMP\": {\r\n");
    assert_eq!(line(&mut qmp), "        \"version\": {\r\n");
}

#[test]
fn stdio_carries_a_human_monitor() {
    let mut machine = Command::new(tinamou())
        .args([
            "-M",
            "none",
            "-display",
            "none",
            "-chardev",
            "stdio,id=mon0",
        ])
        .args(["-mon", "chardev=mon0,mode=readline"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the machine starts");
    let mut stdin = machine.stdin.take().expect("stdin is piped");
    stdin.write_all(b"info status\nquit\n").expect("typed");
    let output = machine.wait_with_output().expect("the end");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stdout.starts_with("QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) "),
        "{stdout}"
    );
    assert!(
        stdout.contains("\r\nVM status: running\r\n(qemu) "),
        "{stdout}"
    );
}

#[test]
fn works_under_qemus_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let link = dir.path().join(QEMU);
    symlink(tinamou(), &link).expect("a link");
    let (status, _, stderr) = run(&link, &["-bogus"]);
    assert_eq!(status.code(), Some(1));
    assert_eq!(stderr, "qemu-system-riscv64: -bogus: invalid option\n");
    let vm = Vm::start(&link, &["-M", "none"]);
    assert!(vm.connect().greeting["QMP"].is_object());
}

/// Command lines that neither program takes, and how both say so.
const REFUSED: &[&str] = &[
    "-bogus",
    "-M bogus",
    "-M",
    "-M virt,bogus=1",
    "-M virt -cpu bogus -display none",
    "-m 1x",
    "-smp 0",
    "-chardev bogus,id=x",
    "-chardev null",
    "-mon chardev=nosuch",
    "-qmp unix:/nonexistent/x,server=on,wait=off",
    "-bios /nonexistent -M virt -display none",
    "-accel bogus",
    "-accel kvm -M virt -display none",
    "-object bogus,id=x",
    "-action bogus=x",
    "-action reboot=bogus",
    "-uuid bogus",
    "-readconfig /nonexistent",
    "-name bogus=1",
    "-rtc base=bogus",
    "-device bogus -M virt -display none",
];

#[test]
fn refusals_are_worded_as_in_qemu() {
    if !installed(QEMU) {
        return skip("qemu-system-riscv64 is not installed");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let link = dir.path().join(QEMU);
    symlink(tinamou(), &link).expect("a link");
    for options in REFUSED {
        let options: Vec<&str> = options.split(' ').collect();
        let ours = run(&link, &options);
        let theirs = run(QEMU, &options);
        assert_eq!(ours, theirs, "{options:?}");
        assert_eq!(ours.0.code(), Some(1), "{options:?}");
    }
}

fn check_printed(options: &[&str], expected: &str) {
    let (status, stdout, stderr) = run(tinamou(), options);
    assert_eq!(
        (status.code(), stderr.as_str()),
        (Some(0), ""),
        "{options:?}"
    );
    assert!(stdout.contains(expected), "{options:?}: {stdout}");
}

#[test]
fn help_is_printed_and_nothing_else_is_done() {
    check_printed(&["-version"], "QEMU emulator version 10.0.2");
    check_printed(&["-help"], "-qmp ");
    check_printed(&["-M", "help"], "Supported machines are:\n");
    check_printed(&["-M", "help"], "\nvirt ");
    check_printed(&["-cpu", "help"], "  rv64\n");
    check_printed(&["-chardev", "help"], "  ringbuf\n");
    check_printed(&["-accel", "help"], "tcg\n");
    check_printed(&["-d", "help"], "Log items (comma separated):\n");
    check_printed(&["-object", "help"], "  memory-backend-ram\n");
    check_printed(&["-device", "help"], "");
}

#[test]
fn signals_end_the_machine_in_order() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        // `-no-shutdown` is for guests and commands, not for signals.
        let mut vm = Vm::start(&tinamou(), &["-M", "none", "-no-shutdown"]);
        let mut qmp = vm.qmp();
        let pid = Pid::from_raw(vm.pid() as i32).expect("a process");
        kill_process(pid, signal).expect("a signal");
        let event = qmp.event("SHUTDOWN");
        assert_eq!(
            event["data"],
            json!({"guest": false, "reason": "host-signal"})
        );
        assert_eq!(qmp.read(), None);
        assert_eq!(vm.wait().code(), Some(0));
        let said = format!("tinamou: terminating on signal {}\n", signal.as_raw());
        assert_eq!(vm.stderr(), said);
    }
}

/// The events a reset makes, and whether the machine goes on.
fn check_reset(program: &Path, options: &[&str], event: Option<&str>, goes_on: bool) {
    let mut arguments = vec!["-M", "virt", "-m", "64", "-S", "-nodefaults"];
    arguments.extend(options);
    let mut vm = Vm::start(program, &arguments);
    let mut qmp = vm.qmp();
    qmp.send(b"{'execute':'system_reset'}");
    let mut seen = Vec::new();
    while let Some(message) = qmp.read() {
        if message.get("return").is_some() && goes_on {
            break;
        }
        if let Some(Value::String(name)) = message.get("event") {
            seen.push(name.clone());
        }
    }
    assert_eq!(seen.first().map(String::as_str), event, "{options:?}");
    if goes_on {
        qmp.execute("query-status", json!({})).expect("a status");
        qmp.execute("quit", json!({})).expect("quit");
    }
    assert_eq!(vm.wait().code(), Some(0), "{options:?}");
}

#[test]
fn actions_decide_what_a_reset_does() {
    let mut programs = vec![tinamou()];
    if installed(QEMU) {
        programs.push(QEMU.into());
    }
    for program in programs {
        check_reset(&program, &[], Some("RESET"), true);
        check_reset(&program, &["-no-shutdown"], Some("RESET"), true);
        check_reset(&program, &["-no-reboot"], Some("SHUTDOWN"), false);
        check_reset(
            &program,
            &["-action", "reboot=shutdown"],
            Some("SHUTDOWN"),
            false,
        );
    }
}

#[test]
fn device_tree_is_dumped_and_no_machine_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("board.dtb");
    let option = format!("virt,dumpdtb={}", file.display());
    let (status, _, stderr) = run(tinamou(), &["-M", &option, "-display", "none"]);
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    let tree = fs::read(file).expect("the file");
    assert_eq!(tree[..4], [0xd0, 0x0d, 0xfe, 0xed]);
    let (status, _, stderr) = run(tinamou(), &["-M", "none,dumpdtb=x", "-display", "none"]);
    assert_eq!(status.code(), Some(1));
    assert!(
        stderr.contains("This machine doesn't have an FDT"),
        "{stderr}"
    );
}

#[test]
fn pidfile_is_there_while_the_machine_is() {
    let mut vm = Vm::start(&tinamou(), &["-M", "none", "-pidfile", "pid"]);
    let mut qmp = vm.qmp();
    let pid = fs::read_to_string(vm.path("pid")).expect("the file");
    assert_eq!(pid, format!("{}\n", vm.pid()));
    qmp.execute("quit", json!({})).expect("quit");
    assert_eq!(vm.wait().code(), Some(0));
    assert!(!vm.path("pid").exists());
}

#[test]
fn telnet_is_negotiated_and_carries_a_monitor() {
    let port = free_port();
    let telnet = format!("telnet:localhost:{port},server=on,wait=off");
    let _vm = Vm::start(&tinamou(), &["-M", "none", "-monitor", &telnet]);
    let mut stream = connect(port);
    let mut start = Vec::new();
    while !start.ends_with(b"(qemu) ") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("more");
        start.push(byte[0]);
    }
    // IAC WILL ECHO comes first.
    assert_eq!(start[..3], [255, 251, 1]);
    stream
        .get_mut()
        .write_all(b"info name\r\0\n")
        .expect("typed");
    assert!(!line(&mut stream).is_empty());
}

#[test]
fn no_client_sees_the_machine_before_its_start() {
    for _ in 0..5 {
        let vm = Vm::start(&tinamou(), &["-M", "none"]);
        let mut qmp = vm.qmp();
        let status = qmp.execute("query-status", json!({})).expect("a status");
        assert_eq!(status["status"], "running");
    }
}
