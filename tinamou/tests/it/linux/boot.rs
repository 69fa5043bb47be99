//! Debian's own riscv64 Linux, unmodified, boots to a shell, works, and is
//! stopped, continued, reset and powered off with the right events. It does so
//! with every interrupt controller.

use serde_json::json;

use super::{Boot, Kernel, Program, artifacts, on_both};

on_both! { uses_what_takes_interrupts }

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

fn opensbi() -> String {
    let firmware = artifacts(Kernel::Debian).map(|path| path.join("fw_dynamic.bin"));
    format!("-bios {}", firmware.unwrap_or_default().display())
}

#[test]
fn boots_through_opensbi() {
    let Some(mut guest) = debian().with(&opensbi()).start() else {
        return;
    };
    guest.console.expect("OpenSBI");
    guest.prompt();
    guest.power_off();
}

fn uses_what_takes_interrupts(program: Program) {
    for (machine, bios, controller) in [
        ("virt", "", "SiFive PLIC"),
        ("virt,aclint=on", &*opensbi(), "SiFive PLIC"),
        ("virt,aia=aplic", "", "APLIC-DIRECT"),
        ("virt,aia=aplic-imsic", "", "APLIC-MSI"),
        ("virt,aia=aplic-imsic,aclint=on", &opensbi(), "APLIC-MSI"),
    ] {
        let boot = Boot::new(program, Kernel::Small).machine(machine);
        let Some(mut guest) = boot.with("-smp 2").with(bios).up() else {
            return;
        };
        let interrupts = guest.run("cat /proc/interrupts");
        let serial = interrupts.lines().find(|line| line.ends_with("ttyS0"));
        let serial = serial.unwrap_or_else(|| panic!("{machine}: {interrupts}"));
        assert!(serial.contains(controller), "{machine}: {serial}");
        guest.power_off();
    }
}
