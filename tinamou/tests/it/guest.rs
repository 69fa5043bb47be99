//! The built-in guest runs when no kernel is given, and its keys do what they say.

use crate::support::{Console, Vm, tinamou};
use serde_json::json;
use std::time::Duration;
use tinamou_client::recipes::{self, Ending, LastResort};
use tinamou_client::{Address, blocking};

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

#[test]
fn the_power_button_powers_off() {
    let (mut vm, mut console) = start(&["-machine", "power-button=on"]);
    let mut qmp = vm.qmp();
    qmp.execute("system_powerdown", json!({})).expect("a press");
    qmp.event("POWERDOWN");
    console.expect("The power button was pressed: power off\r\n");
    let cause = json!({"guest": true, "reason": "guest-shutdown"});
    assert_eq!(qmp.event("SHUTDOWN")["data"], cause);
    assert_eq!(vm.wait().code(), Some(0));
}

/// The client's recipe, with a guest that listens.
#[test]
fn powering_down_waits_for_the_guest() {
    let (vm, _console) = start(&["-machine", "power-button=on"]);
    let address = Address::Unix(vm.path("qmp.sock"));
    let client = blocking::Client::connect(&address).expect("the monitor answers");
    let minute = Duration::from_secs(60);
    let powerdown = recipes::powerdown(client.asynchronous(), minute, LastResort::Quit);
    let ending = client.wait(powerdown).expect("it ends");
    assert!(matches!(ending, Ending::Shutdown(shutdown) if shutdown.guest));
    assert!(client.closed().is_orderly());
}

/// A guest's reset or power-off under each action: the event, then the run
/// state that the machine stays in, or the end of the process.
#[test]
fn actions_decide_what_the_guests_end_is() {
    let shutdown = json!({"guest": true, "reason": "guest-shutdown"});
    let reset = json!({"guest": true, "reason": "guest-reset"});
    for (options, key, event, cause, state) in [
        ("-no-shutdown", "o", "SHUTDOWN", &shutdown, Some("shutdown")),
        (
            "-action shutdown=pause",
            "o",
            "SHUTDOWN",
            &shutdown,
            Some("shutdown"),
        ),
        (
            "-action shutdown=poweroff",
            "o",
            "SHUTDOWN",
            &shutdown,
            None,
        ),
        ("-no-reboot", "r", "SHUTDOWN", &reset, None),
        ("-action reboot=shutdown", "r", "SHUTDOWN", &reset, None),
        (
            "-action reboot=reset",
            "r",
            "RESET",
            &reset,
            Some("running"),
        ),
        (
            "-no-reboot -no-shutdown",
            "r",
            "SHUTDOWN",
            &reset,
            Some("shutdown"),
        ),
    ] {
        let (mut vm, mut console) = start(&options.split(' ').collect::<Vec<_>>());
        let mut qmp = vm.qmp();
        console.send(key);
        assert_eq!(&qmp.event(event)["data"], cause, "{options}");
        let Some(state) = state else {
            assert_eq!(vm.wait().code(), Some(0), "{options}");
            continue;
        };
        if state == "shutdown" {
            qmp.event("STOP");
        }
        let status = qmp.execute("query-status", json!({})).expect("a status");
        assert_eq!(status["status"], state, "{options}");
    }
}

/// The same, with the action set while the machine runs; what was shut down
/// must be reset before it goes on.
#[test]
fn actions_may_be_set_at_any_time() {
    let (vm, mut console) = start(&[]);
    let mut qmp = vm.qmp();
    let arguments = json!({"shutdown": "pause", "reboot": "shutdown"});
    qmp.execute("set-action", arguments).expect("an action");
    console.send("r");
    qmp.event("STOP");
    let refusal = qmp.execute("cont", json!({})).expect_err("a refusal");
    assert_eq!(refusal["desc"], "Resetting the Virtual Machine is required");
    qmp.execute("set-action", json!({"reboot": "reset"}))
        .expect("an action");
    qmp.execute("system_reset", json!({})).expect("a reset");
    qmp.execute("cont", json!({})).expect("a start");
    console.expect("o power off");
}
