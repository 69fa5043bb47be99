//! Memory that the guest takes and gives back as it is asked to. QEMU has the device on other
//! architectures only, so these stories are told of tinamou alone.

use serde_json::json;

use super::{Boot, Guest, Kernel, Program};

const MIB: u64 = 1 << 20;
const PATH: &str = "/machine/peripheral/vmem0";
/// One of the pieces in which Linux adds memory.
const SECTION: u64 = 128 * MIB;

/// A guest of 256 MiB that may grow by 512.
fn boot(more: &str) -> Option<Guest> {
    Boot::new(Program::Tinamou, Kernel::Small)
        .machine("virt,aia=aplic-imsic")
        .words("memhp_default_state=online_movable")
        .with("-m 256M,slots=2,maxmem=2G -object memory-backend-ram,id=mem0,size=512M")
        .with(more)
        .up()
}

const DEVICE: &str = "-device virtio-mem-pci,id=vmem0,memdev=mem0";

const PORTS: &str = "-device pcie-root-port,id=rp1,chassis=1,slot=1 \
                     -device pcie-root-port,id=rp2,chassis=2,slot=2";

/// Asks for a size and reads events until the guest uses so much.
fn resize(guest: &mut Guest, size: u64) {
    request(guest, size);
    let told = loop {
        let event = guest.event("MEMORY_DEVICE_SIZE_CHANGE");
        if event["size"] == size {
            break event;
        }
    };
    assert_eq!(told, json!({"id": "vmem0", "size": size, "qom-path": PATH}));
    let devices = guest.qmp("query-memory-devices", json!({}));
    assert_eq!(devices[0]["data"]["size"], size);
    let summary = guest.qmp("query-memory-size-summary", json!({}));
    let expected = json!({"base-memory": 256 * MIB, "plugged-memory": size});
    assert_eq!(summary, expected);
}

fn request(guest: &mut Guest, size: u64) {
    let property = json!({"path": PATH, "property": "requested-size", "value": size});
    guest.qmp("qom-set", property);
}

/// All memory that the guest's kernel has to give.
fn total(guest: &mut Guest) -> u64 {
    let total = guest.run("awk '/MemTotal/ { print $2 * 1024 }' /proc/meminfo");
    total.trim().parse().expect("a number")
}

#[test]
fn memory_grows_and_shrinks() {
    let Some(mut guest) = boot(DEVICE) else {
        return;
    };
    let before = total(&mut guest);
    resize(&mut guest, 3 * SECTION);
    let devices = guest.qmp("query-memory-devices", json!({}));
    let data = json!({
        "id": "vmem0", "memaddr": 0xc000_0000_u64, "requested-size": 3 * SECTION,
        "size": 3 * SECTION, "max-size": 512 * MIB, "block-size": 2 * MIB, "node": 0,
        "memdev": "/objects/mem0",
    });
    assert_eq!(devices, json!([{"type": "virtio-mem", "data": data}]));
    assert_eq!(total(&mut guest), before + 3 * SECTION);

    // More than the guest had at first.
    guest.run("t touch 400");
    let used = guest.resident();
    resize(&mut guest, 0);
    let left = guest.resident();
    assert!(used - left > 150 * MIB, "{used} to {left}");
    assert_eq!(total(&mut guest), before);
    resize(&mut guest, SECTION);
    guest.power_off();
}

#[test]
fn a_reset_takes_everything_and_the_guest_takes_it_again() {
    let size = 2 * SECTION;
    let Some(mut guest) = boot(&format!("{DEVICE},requested-size={size}")) else {
        return;
    };
    // The kernel has what was asked for before it is up, or soon after.
    guest.until("plugged", |guest| sizes(guest) == [size]);
    // Stopped, or the guest might have it again before it is asked for.
    for command in ["stop", "system_reset"] {
        guest.qmp(command, json!({}));
    }
    assert_eq!(sizes(&mut guest), [0]);
    guest.qmp("cont", json!({}));
    guest.prompt();
    guest.until("plugged", |guest| sizes(guest) == [size]);
    guest.power_off();
}

/// How much each memory device has plugged.
fn sizes(guest: &mut Guest) -> Vec<u64> {
    let devices = guest.qmp("query-memory-devices", json!({}));
    let devices = devices.as_array().into_iter().flatten();
    devices
        .filter_map(|device| device["data"]["size"].as_u64())
        .collect()
}

#[test]
fn a_device_comes_and_goes() {
    let Some(mut guest) = boot(PORTS) else {
        return;
    };
    let mut device = json!({
        "driver": "virtio-mem-pci", "id": "vmem0", "memdev": "mem0", "bus": "rp1",
    });
    guest.qmp("device_add", device.clone());
    resize(&mut guest, SECTION);
    let unplug = json!({"id": "vmem0"});
    let check = |guest: &mut Guest, reason: &str| {
        let error = guest.refused("device_del", json!({"id": "vmem0"}));
        let expected = format!("virtio-mem device cannot get unplugged while {reason}");
        assert_eq!(error["desc"], expected);
    };
    check(&mut guest, "some of its memory is still plugged");
    let error = guest.refused("object-del", json!({"id": "mem0"}));
    assert_eq!(error["desc"], "object 'mem0' is in use, can not be deleted");
    resize(&mut guest, 0);
    guest.qmp("device_del", unplug);
    while guest.event("DEVICE_DELETED")["device"] != "vmem0" {}
    let devices = guest.qmp("query-memory-devices", json!({}));
    assert_eq!(devices, json!([]));

    // Its place and its memory are free again. The slot is not: the guest's driver overlooks what
    // comes within a second of what has gone.
    device["bus"] = json!("rp2");
    device["requested-size"] = json!(SECTION);
    guest.qmp("device_add", device);
    while guest.event("MEMORY_DEVICE_SIZE_CHANGE")["size"] != SECTION {}
    guest.power_off();
}
