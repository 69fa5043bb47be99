//! The built-in guest runs when no kernel is given, and its keys do what they say.

use crate::support::{Console, Vm, tinamou};
use serde_json::json;

fn start(more: &[&str]) -> (Vm, Console) {
    let mut arguments = vec![
        "-M",
        "virt",
        "-nodefaults",
        "-serial",
        "unix:console.sock,server=on,wait=on",
    ];
    arguments.extend(more);
    let vm = Vm::launch(&tinamou(), &arguments, "console.sock");
    let mut console = Console::connect(&vm.path("console.sock"));
    console.expect("built-in guest");
    console.expect("o power off");
    (vm, console)
}

#[test]
fn keys_ask_reset_and_power_off() {
    let (mut vm, mut console) = start(&["-m", "100"]);
    let mut qmp = vm.qmp();
    console.send("m");
    console.expect("memory: 100 MiB\r\n");
    console.send("t");
    console.expect("s since the start\r\n");

    console.send("r");
    assert_eq!(
        qmp.event("RESET")["data"],
        json!({"guest": true, "reason": "guest-reset"})
    );
    console.expect("o power off");

    console.send("o");
    assert_eq!(
        qmp.event("SHUTDOWN")["data"],
        json!({"guest": true, "reason": "guest-shutdown"})
    );
    assert_eq!(vm.wait().code(), Some(0));
}

#[test]
fn after_a_panic_only_the_outside_helps() {
    let (vm, mut console) = start(&["-smp", "2"]);
    let mut qmp = vm.qmp();
    console.send("p");
    console.expect("interrupts off");
    let status = qmp.execute("query-status", json!({})).expect("a status");
    assert_eq!(status["status"], "running");
    qmp.execute("system_reset", json!({})).expect("a reset");
    qmp.event("RESET");
    console.expect("o power off");
}

#[test]
fn the_uptime_appears_by_itself_and_leaves_for_keys() {
    let (_vm, mut console) = start(&[]);
    console.expect("\rup ");
    console.expect(" s ");
    console.send("t");
    console.expect("\r\ntime: ");
}
