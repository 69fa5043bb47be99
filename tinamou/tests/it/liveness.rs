//! The monitor answers whatever the main loop and other clients are doing.

use std::fs::File;
use std::io::Read;
use std::net::Shutdown;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Qmp, Vm, tinamou};

/// What a blocked main loop writes to a pipe before it goes on.
const BLOCKING: u64 = 1 << 20;

fn start(options: &[&str]) -> Vm {
    let mut arguments = vec!["-M", "virt", "-m", "64", "-S", "-nodefaults"];
    arguments.extend(options);
    Vm::start(&tinamou(), &arguments)
}

/// Blocks the main loop in a write to a pipe that nobody reads yet.
fn block_main_loop(vm: &Vm, qmp: &mut Qmp) -> PathBuf {
    let pipe = vm.path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("a pipe");
    let arguments = json!({"val": 0x8000_0000_u64, "size": BLOCKING, "filename": pipe});
    let request = json!({"execute": "pmemsave", "arguments": arguments, "id": "blocked"});
    qmp.send(request.to_string().as_bytes());
    pipe
}

fn unblock(pipe: PathBuf) {
    let mut bytes = Vec::new();
    let mut reader = File::open(pipe).expect("the pipe opens");
    reader.read_to_end(&mut bytes).expect("the pipe is read");
    assert_eq!(bytes.len() as u64, BLOCKING);
}

#[test]
fn busy_main_loop_leaves_the_monitor_alive() {
    let vm = start(&[]);
    let mut blocked = vm.qmp();
    let mut oob = vm.connect();
    oob.execute("qmp_capabilities", json!({"enable": ["oob"]}))
        .expect("negotiation");
    let pipe = block_main_loop(&vm, &mut blocked);

    let mut late = vm.qmp();
    let status = late.execute("query-status", json!({})).expect("a status");
    assert_eq!(status["status"], "prelaunch");
    oob.send(br#"{"execute":"query-cpus-fast","id":"waits"}{"exec-oob":"query-yank","id":"now"}"#);
    assert_eq!(oob.reply()["id"], "now");

    unblock(pipe);
    assert_eq!(blocked.reply(), json!({"return": {}, "id": "blocked"}));
    assert_eq!(oob.reply()["id"], "waits");
}

#[test]
fn every_client_of_a_socket_is_served() {
    let vm = start(&[]);
    let mut clients: Vec<Qmp> = (0..20).map(|_| vm.qmp()).collect();
    clients[0].execute("cont", json!({})).expect("cont");
    for client in &mut clients {
        client.event("RESUME");
    }
}

#[test]
fn max_clients_bounds_the_clients() {
    let vm = Vm::launch(
        &tinamou(),
        &[
            "-M",
            "none",
            "-chardev",
            "socket,id=c,path=two.sock,server=on,wait=off,max-clients=2",
            "-mon",
            "chardev=c,mode=control",
        ],
        "two.sock",
    );
    let path = vm.path("two.sock");
    let first = Qmp::connect(&path);
    let _second = Qmp::connect(&path);
    // The third is served as soon as there is room, and not before: its
    // greeting can only come after the first has left.
    let third = std::thread::spawn(move || Qmp::connect(&path));
    let mut other = vm.qmp();
    other.execute("query-status", json!({})).expect("a status");
    assert!(!third.is_finished());
    drop(first);
    let third = third.join().expect("the third client is served");
    assert!(third.greeting["QMP"].is_object());
}

#[test]
fn silent_and_slow_clients_hold_nobody_up() {
    let vm = start(&[]);
    let _silent = vm.connect();
    let mut slow = vm.qmp();
    for _ in 0..50 {
        slow.send(br#"{"execute":"query-qmp-schema"}"#);
    }
    let mut other = vm.qmp();
    for _ in 0..50 {
        other.execute("query-cpus-fast", json!({})).expect("CPUs");
    }
    for _ in 0..50 {
        assert!(slow.reply()["return"].is_array());
    }
}

#[test]
fn a_client_that_stops_sending_still_gets_its_reply() {
    let vm = start(&[]);
    let mut qmp = vm.qmp();
    qmp.send(br#"{"execute":"query-cpus-fast","id":1}"#);
    qmp.close(Shutdown::Write);
    assert_eq!(qmp.reply()["id"], 1);
    assert_eq!(qmp.read(), None);
}

fn check_lives_on(garbage: &[u8]) {
    let vm = start(&[]);
    let mut qmp = vm.qmp();
    qmp.send(garbage);
    qmp.send(b"\n\xff{\"execute\":\"query-name\",\"id\":\"alive\"}\n");
    let mut errors = 0;
    loop {
        let reply = qmp.reply();
        if reply["id"] == "alive" {
            break;
        }
        assert_eq!(reply["error"]["class"], "GenericError", "{reply}");
        errors += 1;
    }
    assert!(errors > 0, "nothing was wrong with the garbage");
}

#[test]
fn a_connection_survives_garbage() {
    check_lives_on(b"garbage");
    check_lives_on(b"\xf0\x28\x8c\x28");
    check_lives_on(b"{\"execute\":\"query-name\",\"id\":\"\xf0\x28\"}");
    check_lives_on(b"}}]]");
    check_lives_on(b"\x00\x01\x02");
    check_lives_on(&b"[".repeat(2000));
    check_lives_on(&b"[{\"a\":".repeat(2000));
    check_lives_on(b"{'execute': 'query-name', 'id': '\\ud800'}");
}

#[test]
fn a_request_that_never_ends_is_refused() {
    let vm = start(&[]);
    let mut qmp = vm.qmp();
    qmp.send(b"\"");
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..65 {
        qmp.send(&piece);
    }
    let reply: Value = qmp.reply();
    assert_eq!(reply["error"]["class"], "GenericError", "{reply}");
    qmp.send(b"\"\xff{\"execute\":\"query-name\",\"id\":\"alive\"}");
    while qmp.reply()["id"] != "alive" {}
}
