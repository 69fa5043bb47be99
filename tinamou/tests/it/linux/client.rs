//! The client library and guests: an agent behind a virtio-serial port, and
//! devices that the guest must let go of.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tinamou_client::{Address, blocking::Client, recipes};

use super::{Boot, Kernel, Program, on_both};

on_both! {
    the_agent_is_synchronised_with
    unplugging_waits_for_the_guest
}

const LONG: Duration = Duration::from_secs(120);

fn the_agent_is_synchronised_with(program: Program) {
    let Some(guest) = Boot::new(program, Kernel::Small)
        .with_agent()
        .with("-device virtio-serial-device")
        .with("-chardev socket,id=c,path=agent.sock,server=on,wait=off")
        .with("-device virtserialport,chardev=c,name=org.qemu.guest_agent.0")
        .up()
    else {
        return;
    };
    let address = Address::Unix(guest.vm.path("agent.sock"));
    for _ in 0..2 {
        let builder = tinamou_client::Client::builder().agent();
        let agent = Client::build(builder, &address).expect("the agent answers");
        let info = agent.execute("guest-get-osinfo", ()).expect("it knows");
        assert_eq!(info["machine"], "riscv64");
        let open = agent.execute("guest-file-open", json!({"path": "/no/such"}));
        assert!(open.is_err(), "{open:?}");
    }
    if let Some(qmp) = toolbox() {
        programs_and_files(&qmp, &guest.vm.path("agent.sock"));
    }
    guest.power_off();
}

/// The binary `qmp`; `None`, said aloud, where it has not been built.
fn toolbox() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_BIN_EXE_tinamou")).with_file_name("qmp");
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{path:?} is missing");
    eprintln!("SKIPPED: qmp has not been built");
    None
}

/// `qmp ga` runs programs in the guest, and copies files there and back.
fn programs_and_files(qmp: &Path, agent: &Path) {
    let ga = |words: &[&str]| {
        let output = Command::new(qmp).arg("ga").arg(agent).args(words).output();
        let output = output.expect("qmp can be run");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (printed, told, output.status.code())
    };
    let outcome = |printed: &str, told: &str, code| (printed.to_owned(), told.to_owned(), code);
    assert_eq!(
        ga(&["exec", "--", "sh", "-c", "uname -m; echo no >&2; exit 3"]),
        outcome("riscv64\n", "no\n", Some(3))
    );
    let here = tempfile::NamedTempFile::new().expect("a file can be made");
    let data = "from the host\n".repeat(10_000);
    std::fs::write(&here, &data).expect("it can be written");
    let here = here.path().to_string_lossy();
    assert_eq!(
        ga(&["copy", &here, "guest:/there"]),
        outcome("", "", Some(0))
    );
    assert_eq!(ga(&["cat", "/there"]), outcome(&data, "", Some(0)));
}

fn unplugging_waits_for_the_guest(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .with("-qmp unix:client.sock,server=on,wait=off")
        .with("-device pcie-root-port,id=rp1,chassis=1,slot=1")
        .words("pciehp.pciehp_poll_mode=1 pciehp.pciehp_poll_time=1")
        .up()
    else {
        return;
    };
    let address = Address::Unix(guest.vm.path("client.sock"));
    let client = Client::connect(&address).expect("the monitor answers");
    let device = json!({"driver": "virtio-rng-pci", "id": "hot", "bus": "rp1"});
    client.execute("device_add", device).expect("it is plugged");
    guest.run("t until t bound virtio_rng");
    let unplug = recipes::unplug(client.asynchronous(), "hot", LONG);
    client.wait(unplug).expect("the guest lets go");
    guest.power_off();
}
