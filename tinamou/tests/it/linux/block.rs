//! Disks: counters that count, errors that stop the machine, trays that open.

use serde_json::{Value, json};

use super::{Boot, Guest, Kernel, Program, on_both};

on_both! {
    the_counters_are_the_guests_requests
    no_space_stops_the_machine_until_there_is
    a_disk_grows_under_the_guest
    the_guest_opens_its_tray
}

const MIB: u64 = 1 << 20;

fn with_disk(program: Program) -> Option<Guest> {
    Boot::new(program, Kernel::Small)
        .image(64 * MIB)
        .with("-device virtio-blk-pci,id=vd0,drive=d0,serial=tinamou")
        .up()
}

fn counters(guest: &mut Guest) -> Value {
    let mut all = guest.qmp("query-blockstats", json!({}));
    assert_eq!(all[0]["qdev"], "/machine/peripheral/vd0/virtio-backend");
    all[0]["stats"].take()
}

fn the_counters_are_the_guests_requests(program: Program) {
    let Some(mut guest) = with_disk(program) else {
        return;
    };
    let disk = guest.run("t disks");
    assert_eq!(disk, "disk=vda sectors=131072 ro=0 serial=tinamou\n");
    for (line, counted) in [
        (
            "t io read 0 4096 10",
            &[("rd_operations", 10), ("rd_bytes", 40960)][..],
        ),
        (
            "t io write 1048576 65536 4",
            &[("wr_operations", 4), ("wr_bytes", 262144)],
        ),
        ("t io flush", &[("flush_operations", 1)]),
        (
            "t io discard 0 1048576",
            &[("wr_operations", 0), ("failed_unmap_operations", 0)],
        ),
    ] {
        let before = counters(&mut guest);
        guest.run(line);
        let after = counters(&mut guest);
        for (name, more) in counted {
            let count = |stats: &Value| stats[name].as_u64().expect("a counter");
            assert_eq!(count(&after) - count(&before), *more, "{name} after {line}");
        }
    }
    let stats = counters(&mut guest);
    assert_eq!(stats["wr_highest_offset"], 1048576 + 4 * 65536);
    assert!(
        stats["wr_total_time_ns"].as_u64() > Some(0),
        "writes take time"
    );
    guest.power_off();
}

fn a_disk_grows_under_the_guest(program: Program) {
    let Some(mut guest) = with_disk(program) else {
        return;
    };
    guest.qmp("block_resize", json!({"node-name": "d0", "size": 96 * MIB}));
    guest.run("t until grep -qx 196608 /sys/block/vda/size");
    guest.run(&format!("t io write {} 4096", 95 * MIB));
    guest.power_off();
}

fn no_space_stops_the_machine_until_there_is(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .with(
            "-blockdev blkdebug,node-name=d0,image.driver=null-co,image.size=67108864,\
               inject-error.0.event=none,inject-error.0.iotype=write,\
               inject-error.0.errno=28,inject-error.0.once=on",
        )
        .with("-device virtio-blk-pci,id=vd0,drive=d0")
        .up()
    else {
        return;
    };
    guest.type_line("t io write 0 4096");
    assert_eq!(
        guest.event("BLOCK_IO_ERROR"),
        json!({
            "device": "", "node-name": "d0", "nospace": true, "operation": "write",
            "qom-path": "/machine/peripheral/vd0/virtio-backend",
            "reason": "No space left on device", "action": "stop",
        })
    );
    guest.event("STOP");
    let status = guest.qmp("query-status", json!({}));
    assert_eq!(status, json!({"status": "io-error", "running": false}));
    let block = guest.qmp("query-block", json!({}));
    assert_eq!(block[0]["io-status"], "nospace");

    // The request waits in the machine, and the guest never learns of it.
    guest.qmp("cont", json!({}));
    guest.event("RESUME");
    guest.console.expect("done=1\r\n@RC=0");
    guest.console.expect("@> ");
    guest.power_off();
}

fn the_guest_opens_its_tray(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Debian)
        .image(4 * MIB)
        .with("-device virtio-scsi-pci -device scsi-cd,id=cd0,drive=d0")
        .up()
    else {
        return;
    };
    guest.run("modprobe -a virtio_scsi sr_mod && t until test -b /dev/sr0");
    for (line, open) in [
        ("gtool tray open /dev/sr0", true),
        ("gtool tray close /dev/sr0", false),
    ] {
        guest.run(line);
        let moved = json!({"device": "", "id": "cd0", "tray-open": open});
        assert_eq!(guest.event("DEVICE_TRAY_MOVED"), moved);
    }
    guest.power_off();
}
