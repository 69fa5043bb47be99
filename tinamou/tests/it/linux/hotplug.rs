//! The third story: devices that come and go while the guest runs.
//!
//! Debian's kernel is built without a driver of PCI Express slots, so there a
//! program in the guest drives them, on INTx. The small kernel has pciehp. It
//! cannot unplug on this board without MSI: its interrupt thread waits for
//! the very line that it shares with the device, on QEMU just the same, so it
//! is told to poll.

use serde_json::{Value, json};

use super::{Boot, Guest, Kernel, Program, on_both};

on_both! {
    devices_come_and_go
    pciehp_polls
    pciehp_by_msi
    the_guest_decides_when
    an_idle_slot_needs_no_guest
    what_has_no_driver_comes_and_goes
    a_reset_guest_finds_its_devices_again
}

const PORTS: &str = "-device pcie-root-port,id=rp1,chassis=1,slot=1 \
                     -device pcie-root-port,id=rp2,chassis=2,slot=2";

/// Each kind of device, the driver that binds to it, and what it needs behind it.
const KINDS: [(&str, &str); 5] = [
    ("virtio-rng-pci", "virtio_rng"),
    ("virtio-balloon-pci", "virtio_balloon"),
    ("virtio-blk-pci", "virtio_blk"),
    ("virtio-net-pci", "virtio_net"),
    ("virtio-serial-pci", "virtio_console"),
];

/// Plugs a device with what it needs and waits for the guest's driver.
fn plug(guest: &mut Guest, kind: &str, driver: &str) {
    let mut arguments = json!({"driver": kind, "id": "hot", "bus": "rp1"});
    match kind {
        "virtio-net-pci" => {
            guest.qmp(
                "netdev_add",
                json!({"type": "hubport", "id": "n0", "hubid": 0}),
            );
            arguments["netdev"] = json!("n0");
        }
        "virtio-blk-pci" => {
            let node = json!({"driver": "null-co", "node-name": "b0", "size": 1 << 20});
            guest.qmp("blockdev-add", node);
            arguments["drive"] = json!("b0");
        }
        _ => {}
    }
    guest.qmp("device_add", arguments);
    guest.run(&format!("t until t bound {driver}"));
}

/// What DEVICE_DELETED says for a virtio device on PCI: its inner half first.
fn deleted(guest: &mut Guest) {
    let path = "/machine/peripheral/hot";
    let backend = format!("{path}/virtio-backend");
    assert_eq!(guest.event("DEVICE_DELETED"), json!({"path": backend}));
    assert_eq!(
        guest.event("DEVICE_DELETED"),
        json!({"device": "hot", "path": path})
    );
}

/// Asks the guest to let go of the device. It may be seen, even have its
/// driver, before the guest is done with the slot.
fn ask_back(guest: &mut Guest) {
    let busy = "Hot-unplug failed: guest is busy (power indicator blinking)";
    guest.until("ready", |guest| {
        let asked = guest.qmp.execute("device_del", json!({"id": "hot"}));
        asked
            .map_err(|error| assert_eq!(error["desc"], busy))
            .is_ok()
    });
}

/// Takes the device away again, then what was behind it.
fn unplug(guest: &mut Guest, kind: &str, driver: &str) {
    ask_back(guest);
    deleted(guest);
    let (output, status) = guest.try_run(&format!("t bound {driver}"));
    assert_eq!(status, "1", "{driver} is still bound: {output}");
    match kind {
        "virtio-net-pci" => guest.qmp("netdev_del", json!({"id": "n0"})),
        "virtio-blk-pci" => guest.qmp("blockdev-del", json!({"node-name": "b0"})),
        _ => Value::Null,
    };
}

fn come_and_go(mut guest: Guest) {
    for (kind, driver) in KINDS {
        plug(&mut guest, kind, driver);
        unplug(&mut guest, kind, driver);
    }
    guest.power_off();
}

fn devices_come_and_go(program: Program) {
    if let Some(guest) = Boot::new(program, Kernel::Debian).with(PORTS).up() {
        come_and_go(guest);
    }
}

fn pciehp_polls(program: Program) {
    let polling = "pciehp.pciehp_poll_mode=1 pciehp.pciehp_poll_time=1";
    let boot = Boot::new(program, Kernel::Small).words(polling).with(PORTS);
    let Some(mut guest) = boot.up() else {
        return;
    };
    let (kind, driver) = KINDS[0];
    plug(&mut guest, kind, driver);
    unplug(&mut guest, kind, driver);
    guest.power_off();
}

fn pciehp_by_msi(program: Program) {
    let boot = Boot::new(program, Kernel::Small)
        .machine("virt,aia=aplic-imsic")
        .with(PORTS);
    let Some(mut guest) = boot.up() else {
        return;
    };
    for (kind, driver) in &KINDS[..3] {
        plug(&mut guest, kind, driver);
        unplug(&mut guest, kind, driver);
    }
    guest.power_off();
}

/// A guest that leaves its slots alone until it is told otherwise.
fn idle(program: Program) -> Option<Guest> {
    let mut guest = Boot::new(program, Kernel::Debian)
        .words("t.idle")
        .with(PORTS)
        .with("-blockdev null-co,node-name=b0,size=1048576")
        .with("-device virtio-blk-pci,id=hot,bus=rp1,drive=b0")
        .up()?;
    guest.run("t bound virtio_blk");
    Some(guest)
}

fn refused(guest: &mut Guest, command: &str, arguments: Value, wording: &str) {
    let error = json!({"class": "GenericError", "desc": wording});
    assert_eq!(guest.refused(command, arguments), error);
}

fn the_guest_decides_when(program: Program) {
    let Some(mut guest) = idle(program) else {
        return;
    };
    let hot = || json!({"id": "hot"});
    refused(
        &mut guest,
        "device_add",
        json!({"driver": "virtio-rng-pci", "bus": "rp1"}),
        "PCI: slot 0 function 0 already occupied by virtio-blk-pci, \
         new func virtio-rng-pci cannot be exposed to guest.",
    );
    guest.qmp("device_del", hot());
    refused(
        &mut guest,
        "device_del",
        hot(),
        "Device hot is already in the process of unplug",
    );
    let node = || json!({"node-name": "b0"});
    refused(&mut guest, "blockdev-del", node(), "Node b0 is in use");
    let again = json!({"driver": "virtio-rng-pci", "id": "hot", "bus": "rp2"});
    refused(
        &mut guest,
        "device_add",
        again.clone(),
        "Duplicate device ID 'hot'",
    );
    assert_eq!(guest.events(), []);

    guest.run("t slots");
    deleted(&mut guest);
    guest.qmp("blockdev-del", node());
    guest.qmp("device_add", again);
    guest.run("t until t bound virtio_rng");
    guest.power_off();
}

fn an_idle_slot_needs_no_guest(program: Program) {
    let Some(mut guest) = idle(program) else {
        return;
    };
    let bus = json!({"driver": "virtio-rng-pci", "id": "r0"});
    refused(
        &mut guest,
        "device_add",
        bus,
        "Bus 'pcie.0' does not support hotplugging",
    );
    guest.qmp(
        "device_add",
        json!({"driver": "virtio-rng-pci", "id": "r2", "bus": "rp2"}),
    );
    guest.qmp("device_del", json!({"id": "r2"}));
    let path = "/machine/peripheral/r2";
    let backend = format!("{path}/virtio-backend");
    assert_eq!(guest.event("DEVICE_DELETED"), json!({"path": backend}));
    assert_eq!(
        guest.event("DEVICE_DELETED"),
        json!({"device": "r2", "path": path})
    );
    guest.power_off();
}

/// The device that has been plugged into the first port, as the guest lists it.
const SEEN: &str = "test -e /sys/bus/pci/devices/0000:01:00.0";

fn plug_plain(guest: &mut Guest) {
    let device = json!({"driver": "pci-testdev", "id": "hot", "bus": "rp1"});
    guest.qmp("device_add", device);
    guest.run(&format!("t until {SEEN}"));
}

fn plain_deleted(guest: &mut Guest) {
    let path = "/machine/peripheral/hot";
    assert_eq!(
        guest.event("DEVICE_DELETED"),
        json!({"device": "hot", "path": path})
    );
}

/// Without a driver there is nobody to share an interrupt with, so that pciehp
/// can unplug by its pin as well as by messages.
fn what_has_no_driver_comes_and_goes(program: Program) {
    let boots = [
        (Kernel::Debian, "virt"),
        (Kernel::Small, "virt"),
        (Kernel::Small, "virt,aia=aplic-imsic"),
    ];
    for (kernel, machine) in boots {
        let boot = Boot::new(program, kernel).machine(machine).with(PORTS);
        let Some(mut guest) = boot.up() else {
            return;
        };
        for _ in 0..2 {
            plug_plain(&mut guest);
            ask_back(&mut guest);
            plain_deleted(&mut guest);
            guest.run(&format!("while {SEEN}; do usleep 20000; done"));
        }
        guest.power_off();
    }
}

fn a_reset_guest_finds_its_devices_again(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small).with(PORTS).up() else {
        return;
    };
    plug_plain(&mut guest);
    guest.qmp("system_reset", json!({}));
    guest.prompt();
    guest.run(SEEN);
    guest.power_off();
}

/// The guest that was asked is no more; QEMU keeps the device, and says that
/// it is still being asked.
#[test]
fn a_reset_lets_go_of_what_was_asked_for() {
    let boot = Boot::new(Program::Tinamou, Kernel::Debian).words("t.idle");
    let Some(mut guest) = boot
        .with(PORTS)
        .with("-device pci-testdev,id=hot,bus=rp1")
        .up()
    else {
        return;
    };
    guest.qmp("device_del", json!({"id": "hot"}));
    guest.run(SEEN);
    guest.qmp("system_reset", json!({}));
    plain_deleted(&mut guest);
    guest.prompt();
    guest.run(&format!("! {SEEN}"));
    guest.power_off();
}
