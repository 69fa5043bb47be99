//! Debian's own riscv64 Linux, unmodified, boots to a shell, works, and is
//! stopped, continued, reset and powered off with the right events.

use serde_json::json;

use super::{Boot, Kernel, Program, artifacts};

fn debian() -> Boot {
    Boot::new(Program::Tinamou, Kernel::Debian)
}

#[test]
fn boots_works_resets_and_powers_off() {
    let Some(mut guest) = debian().up() else {
        return;
    };
    let (output, status) = guest.try_run("uname -m; seq 1 3; false");
    assert_eq!(
        (output.as_str(), status.as_str()),
        ("riscv64\n1\n2\n3\n", "1")
    );

    guest.qmp("stop", json!({}));
    guest.event("STOP");
    guest.type_line("echo still here");
    guest.qmp("cont", json!({}));
    guest.event("RESUME");
    guest.console.expect("still here");

    guest.qmp("system_reset", json!({}));
    assert_eq!(
        guest.event("RESET"),
        json!({"guest": false, "reason": "host-qmp-system-reset"})
    );
    guest.prompt();

    guest.type_line("t reboot");
    assert_eq!(
        guest.event("RESET"),
        json!({"guest": true, "reason": "guest-reset"})
    );
    guest.prompt();
    guest.power_off();
}

#[test]
fn boots_on_four_harts() {
    let Some(mut guest) = debian().with("-smp 4").up() else {
        return;
    };
    assert_eq!(guest.run("nproc"), "4\n");
    guest.power_off();
}

#[test]
fn boots_through_opensbi() {
    let firmware = artifacts(Kernel::Debian).map(|path| path.join("fw_dynamic.bin"));
    let bios = format!("-bios {}", firmware.unwrap_or_default().display());
    let Some(mut guest) = debian().with(&bios).start() else {
        return;
    };
    guest.console.expect("OpenSBI");
    guest.prompt();
    guest.power_off();
}
