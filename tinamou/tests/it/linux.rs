//! Debian's own riscv64 Linux, unmodified, boots to a shell, works, and is
//! stopped, continued, reset and powered off with the right events.

use std::path::PathBuf;

use crate::support::{Console, Vm, skip, tinamou};
use serde_json::json;

/// The guest that `guest/linux/make.sh` made, if the test setup ran it.
fn guest() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("TINAMOU_GUEST")?);
    path.join("MANIFEST").exists().then_some(path)
}

fn boot(guest: &std::path::Path, more: &[&str]) -> (Vm, Console) {
    let image = guest.join("Image");
    let initrd = guest.join("initrd.cpio");
    let mut arguments = vec![
        "-M",
        "virt",
        "-m",
        "256",
        "-nodefaults",
        "-kernel",
        image.to_str().expect("UTF-8"),
        "-initrd",
        initrd.to_str().expect("UTF-8"),
        "-append",
        "console=ttyS0 quiet",
        "-chardev",
        "socket,id=console,path=console.sock,server=on,wait=on",
        "-serial",
        "chardev:console",
    ];
    arguments.extend(more);
    // wait=on: no byte of the boot is lost, but the monitor starts only after
    // somebody has connected, so the console comes first.
    let vm = Vm::launch(&tinamou(), &arguments, "console.sock");
    let console = Console::connect(&vm.path("console.sock"));
    (vm, console)
}

#[test]
fn boots_works_resets_and_powers_off() {
    let Some(guest) = guest() else {
        return skip("there is no Linux guest");
    };
    let (mut vm, mut console) = boot(&guest, &[]);
    console.expect("@READY");
    let mut qmp = vm.qmp();

    console.send("uname -m; seq 1 3; false\n");
    let output = console.expect("@RC=1");
    assert!(output.contains("riscv64"), "{output}");
    assert!(output.contains("1\r\n2\r\n3"), "{output}");

    qmp.execute("stop", json!({})).expect("stop");
    qmp.event("STOP");
    console.send("echo still here\n");
    qmp.execute("cont", json!({})).expect("cont");
    qmp.event("RESUME");
    console.expect("still here");

    qmp.execute("system_reset", json!({}))
        .expect("system_reset");
    assert_eq!(
        qmp.event("RESET")["data"],
        json!({"guest": false, "reason": "host-qmp-system-reset"})
    );
    console.expect("@READY");

    console.send("reboot -f\n");
    assert_eq!(
        qmp.event("RESET")["data"],
        json!({"guest": true, "reason": "guest-reset"})
    );
    console.expect("@READY");

    console.send("poweroff -f\n");
    assert_eq!(
        qmp.event("SHUTDOWN")["data"],
        json!({"guest": true, "reason": "guest-shutdown"})
    );
    assert_eq!(vm.wait().code(), Some(0));
}

#[test]
fn boots_on_four_harts() {
    let Some(guest) = guest() else {
        return skip("there is no Linux guest");
    };
    let (mut vm, mut console) = boot(&guest, &["-smp", "4"]);
    console.expect("@READY");
    console.send("nproc\n");
    let output = console.expect("@RC=0");
    assert!(output.contains('4'), "{output}");
    console.send("poweroff -f\n");
    assert_eq!(vm.wait().code(), Some(0));
}

#[test]
fn boots_through_opensbi() {
    let Some(guest) = guest() else {
        return skip("there is no Linux guest");
    };
    let firmware = guest.join("fw_dynamic.bin");
    let (mut vm, mut console) = boot(&guest, &["-bios", firmware.to_str().expect("UTF-8")]);
    console.expect("OpenSBI");
    console.expect("@READY");
    console.send("poweroff -f\n");
    assert_eq!(vm.wait().code(), Some(0));
}
