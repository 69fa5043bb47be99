//! What the board tells the outside: panics, watchdogs, the clock.

use serde_json::json;

use super::{Boot, Guest, Kernel, Program, on_both};

on_both! {
    a_panic_is_told_and_acted_upon
    each_pvpanic_event_has_its_own
    a_watchdog_acts_as_it_was_told
    a_kicked_watchdog_does_nothing
    the_clock_is_the_hosts
    files_for_the_guest_are_read_in_it
}

fn panicking(program: Program, more: &str) -> Option<Guest> {
    let mut guest = Boot::new(program, Kernel::Small)
        .with("-device pvpanic-pci")
        .with(more)
        .up()?;
    guest.type_line("t panic");
    Some(guest)
}

fn a_panic_is_told_and_acted_upon(program: Program) {
    let panicked = |guest: &mut Guest, action: &str| {
        assert_eq!(guest.event("GUEST_PANICKED"), json!({"action": action}));
    };
    let Some(mut guest) = panicking(program, "") else {
        return;
    };
    panicked(&mut guest, "poweroff");
    assert_eq!(
        guest.event("SHUTDOWN"),
        json!({"guest": true, "reason": "guest-panic"})
    );
    assert_eq!(guest.vm.wait().code(), Some(0));

    let mut guest = panicking(program, "-action panic=exit-failure").expect("as before");
    panicked(&mut guest, "poweroff");
    assert_eq!(guest.vm.wait().code(), Some(1));

    let mut guest = panicking(program, "-action panic=pause").expect("as before");
    panicked(&mut guest, "pause");
    guest.event("STOP");
    let status = guest.qmp("query-status", json!({}));
    assert_eq!(
        status,
        json!({"status": "guest-panicked", "running": false})
    );
}

fn each_pvpanic_event_has_its_own(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Debian)
        .with("-device pvpanic-pci -action panic=none")
        .up()
    else {
        return;
    };
    assert_eq!(guest.run("t pvpanic"), "events=0x7\n");
    guest.run("t pvpanic 1");
    assert_eq!(guest.event("GUEST_PANICKED"), json!({"action": "run"}));
    guest.run("t pvpanic 2");
    assert_eq!(guest.event("GUEST_CRASHLOADED"), json!({"action": "run"}));
    guest.type_line("t pvpanic 4");
    guest.event("GUEST_PVSHUTDOWN");
    assert_eq!(
        guest.event("SHUTDOWN"),
        json!({"guest": true, "reason": "guest-shutdown"})
    );
    assert_eq!(guest.vm.wait().code(), Some(0));
}

fn a_watchdog_acts_as_it_was_told(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Debian)
        .with("-device i6300esb")
        .up()
    else {
        return;
    };
    for action in [
        "none",
        "inject-nmi",
        "debug",
        "pause",
        "shutdown",
        "reset",
        "poweroff",
    ] {
        guest.qmp("watchdog-set-action", json!({"action": action}));
        guest.run("t watchdog start 1");
        assert_eq!(guest.event("WATCHDOG"), json!({"action": action}));
        match action {
            "pause" => {
                guest.event("STOP");
                let status = guest.qmp("query-status", json!({}));
                assert_eq!(status, json!({"status": "watchdog", "running": false}));
                guest.qmp("cont", json!({}));
                guest.run("t watchdog stop");
            }
            "shutdown" => {
                guest.event("POWERDOWN");
            }
            "reset" => {
                let reset = json!({"guest": true, "reason": "guest-reset"});
                assert_eq!(guest.event("RESET"), reset);
                guest.prompt();
            }
            "poweroff" => assert_eq!(guest.vm.wait().code(), Some(0)),
            _ => assert_eq!(guest.run("echo alive"), "alive\n"),
        }
    }
}

fn a_kicked_watchdog_does_nothing(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .with("-device i6300esb -action watchdog=pause")
        .up()
    else {
        return;
    };
    let driver = guest.run("cat /sys/class/watchdog/watchdog0/identity");
    assert_eq!(driver, "i6300ESB timer\n");
    // The program opens it, kicks it every second, and closes it in order.
    guest.run("watchdog -F -t 1 -T 3 /dev/watchdog0 & sleep 5; kill $!; wait");
    assert_eq!(guest.events(), []);
    guest.power_off();
}

fn the_clock_is_the_hosts(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small).up() else {
        return;
    };
    // QEMU counts from the whole second in which it started.
    let before = seconds_since_epoch() - 1;
    let clock = guest.run("cat /sys/class/rtc/rtc0/since_epoch");
    let clock: u64 = clock.trim().parse().expect("a number");
    assert!((before..=seconds_since_epoch()).contains(&clock), "{clock}");
    guest.power_off();
}

/// QEMU's clock does not tell.
#[test]
fn setting_the_clock_is_told() {
    let Some(mut guest) = Boot::new(Program::Tinamou, Kernel::Small).up() else {
        return;
    };
    let hours = 3600..=3602;
    guest.run("date -s @$(($(cat /sys/class/rtc/rtc0/since_epoch) + 3600)) && hwclock -wu");
    let told = guest.event("RTC_CHANGE");
    let offset = told["offset"].as_i64().expect("a number");
    assert!(hours.contains(&offset), "{told}");
    let path = told["qom-path"].as_str().expect("a path");
    let kind = guest.qmp("qom-get", json!({"path": path, "property": "type"}));
    assert_eq!(kind, "goldfish_rtc");
    guest.power_off();
}

fn files_for_the_guest_are_read_in_it(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .with("-fw_cfg opt/greeting,string=hello -fw_cfg opt/none,file=/dev/null")
        .up()
    else {
        return;
    };
    let files = "/sys/firmware/qemu_fw_cfg";
    assert_eq!(guest.run(&format!("cat {files}/rev")), "3\n");
    let greeting = format!("cat {files}/by_name/opt/greeting/raw");
    assert_eq!(guest.run(&greeting), "hello");
    let size = format!("cat {files}/by_name/opt/none/size");
    assert_eq!(guest.run(&size), "0\n");
    guest.power_off();
}

fn seconds_since_epoch() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}
