//! The first story: memory that the guest gives back, and gets back.

use serde_json::json;

use super::{Boot, Guest, Kernel, Program, on_both};

on_both! {
    inflating_frees_memory_of_the_host
    the_last_value_is_never_lost
    statistics_come_at_the_asked_interval
    free_pages_are_reported_by_themselves
    deflate_on_oom_saves_the_guest
}

const MIB: u64 = 1 << 20;
const PATH: &str = "/machine/peripheral/balloon0";

fn boot(program: Program, kernel: Kernel, more: &str) -> Option<Guest> {
    Boot::new(program, kernel)
        .with("-m 512")
        .with(&format!("-device virtio-balloon-pci,id=balloon0{more}"))
        .up()
}

/// Sets the target and reads events until the guest has reached it.
fn balloon(guest: &mut Guest, target: u64) {
    guest.qmp("balloon", json!({"value": target}));
    while guest.event("BALLOON_CHANGE")["actual"] != target {}
    let actual = guest.qmp("query-balloon", json!({}));
    assert_eq!(actual, json!({"actual": target}));
}

fn inflating_frees_memory_of_the_host(program: Program) {
    let Some(mut guest) = boot(program, Kernel::Debian, "") else {
        return;
    };
    let actual = guest.qmp("query-balloon", json!({}));
    assert_eq!(actual, json!({"actual": 512 * MIB}));
    let error = guest.refused("balloon", json!({"value": 0}));
    assert_eq!(error["desc"], "Parameter 'value' expects a size");

    guest.run("t touch 350");
    let used = guest.resident();
    balloon(&mut guest, 192 * MIB);
    let inflated = guest.resident();
    assert!(used - inflated > 250 * MIB, "{used} to {inflated}");

    balloon(&mut guest, 512 * MIB);
    guest.run("t touch 350");
    let deflated = guest.resident();
    assert!(deflated - inflated > 250 * MIB, "{inflated} to {deflated}");
    guest.power_off();
}

/// QEMU's rate: at most one event a second, and one more for what was held back.
fn the_last_value_is_never_lost(program: Program) {
    let Some(mut guest) = boot(program, Kernel::Small, "") else {
        return;
    };
    let mut seconds = Vec::new();
    for target in [480, 460, 440, 420, 400, 256] {
        guest.qmp("balloon", json!({"value": target * MIB}));
    }
    loop {
        let event = guest.qmp.event("BALLOON_CHANGE");
        let at = &event["timestamp"];
        let number = |member: &str| at[member].as_u64().expect("a number");
        seconds.push(number("seconds") * 1_000_000 + number("microseconds"));
        if event["data"]["actual"] == 256 * MIB {
            break;
        }
    }
    let apart = seconds.windows(2).map(|pair| pair[1] - pair[0]);
    // An event's time is when it happened, which may be some time before it was sent.
    assert!(
        seconds.len() <= 2 || apart.clone().sum::<u64>() >= (seconds.len() as u64 - 2) * 1_000_000
    );
    guest.power_off();
}

fn statistics_come_at_the_asked_interval(program: Program) {
    let Some(mut guest) = boot(program, Kernel::Small, "") else {
        return;
    };
    let property = |name: &str| json!({"path": PATH, "property": name});
    // The driver reports once when it starts.
    let first = guest.qmp("qom-get", property("guest-stats"));
    let mut interval = property("guest-stats-polling-interval");
    interval["value"] = json!(1);
    guest.qmp("qom-set", interval);
    let mut stats = first.clone();
    guest.until("newer statistics", |guest| {
        stats = guest.qmp("qom-get", property("guest-stats"));
        stats["last-update"] != first["last-update"]
    });
    let total = guest.run("awk '/MemTotal/ { print $2 * 1024 }' /proc/meminfo");
    let stat = |name: &str| stats["stats"][name].as_u64().expect("a number");
    assert_eq!(stat("stat-total-memory").to_string(), total.trim());
    assert!(stat("stat-free-memory") < stat("stat-total-memory"));
    // The guest has no swap; what it does not report is all ones.
    assert_eq!(stats["stats"]["stat-swap-in"], 0);
    guest.power_off();
}

fn free_pages_are_reported_by_themselves(program: Program) {
    let Some(mut guest) = boot(program, Kernel::Small, ",free-page-reporting=on") else {
        return;
    };
    let before = guest.peak_resident();
    guest.run("t touch 350");
    // The kernel reports some seconds after pages were freed, which may be now.
    let used = guest.peak_resident();
    assert!(used - before > 250 * MIB, "{before} to {used}");
    guest.until("pages reported", |guest| {
        used.saturating_sub(guest.resident()) > 250 * MIB
    });
    let actual = guest.qmp("query-balloon", json!({}));
    assert_eq!(actual, json!({"actual": 512 * MIB}));
    guest.power_off();
}

fn deflate_on_oom_saves_the_guest(program: Program) {
    let Some(mut guest) = boot(program, Kernel::Small, ",deflate-on-oom=on") else {
        return;
    };
    balloon(&mut guest, 128 * MIB);
    assert_eq!(guest.run("t touch 300"), format!("touched={}\n", 300 * MIB));
    let actual = guest.qmp("query-balloon", json!({}))["actual"].as_u64();
    assert!(actual > Some(300 * MIB), "{actual:?}");
    guest.power_off();
}
