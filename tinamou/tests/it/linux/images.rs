//! Images behind disks: what reaches them, what is kept from them, and when.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use super::{Boot, Guest, Kernel, Program, on_both};
use crate::support::{installed, run, skip};

on_both! {
    a_snapshot_keeps_writes_from_the_image
    what_is_read_is_copied
    limits_hold_requests_back
    another_medium_is_in_the_drive
    a_damaged_image_is_closed
    an_iothread_does_the_work
}

const MIB: u64 = 1 << 20;

/// An image of a whole MiB, full of one letter.
fn full_of(letter: u8) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), vec![letter; MIB as usize]).expect("an image");
    file
}

/// The letter at the start of a disk, as the guest reads it past its cache.
fn letter(guest: &mut Guest, disk: &str) -> String {
    guest.run(&format!(
        "dd if={disk} bs=2048 count=1 iflag=direct 2>/dev/null | head -c 1"
    ))
}

fn a_snapshot_keeps_writes_from_the_image(program: Program) {
    let image = full_of(b'a');
    let drive = format!(
        "-snapshot -drive if=none,id=d0,format=raw,file={} -device virtio-blk-pci,drive=d0",
        image.path().display()
    );
    let Some(mut guest) = Boot::new(program, Kernel::Small).with(&drive).up() else {
        return;
    };
    assert_eq!(letter(&mut guest, "/dev/vda"), "a");
    guest.run("t io zero 0 65536");
    guest.run("t io write 524288 4096 16");
    guest.run("t io flush");
    assert_eq!(letter(&mut guest, "/dev/vda"), "\0");
    let block = guest.qmp("query-block", json!({}));
    let medium = &block[0]["inserted"];
    assert_eq!(
        (&medium["drv"], &medium["ro"]),
        (&json!("qcow2"), &json!(false))
    );
    let same = std::fs::read(image.path()).expect("the image") == vec![b'a'; MIB as usize];
    assert!(same, "the image has changed while the guest runs");
    guest.power_off();
    let same = std::fs::read(image.path()).expect("the image") == vec![b'a'; MIB as usize];
    assert!(same, "the image has changed");
}

fn what_is_read_is_copied(program: Program) {
    if !installed("qemu-img") {
        return skip("qemu-img is not installed");
    }
    let directory = TempDir::new().expect("a directory");
    let base = full_of(b'b');
    let top = directory.path().join("top.qcow2").display().to_string();
    let below = base.path().display().to_string();
    qemu_img(&[
        "create", "-q", "-f", "qcow2", "-F", "raw", "-b", &below, &top,
    ]);
    let drive = format!(
        "-drive if=none,id=d0,format=qcow2,copy-on-read=on,file={top} \
         -device virtio-blk-pci,drive=d0"
    );
    let Some(mut guest) = Boot::new(program, Kernel::Small).with(&drive).up() else {
        return;
    };
    guest.run("t io read 524288 65536");
    guest.power_off();
    let map = qemu_img(&["map", "--output=json", "-U", &top]);
    let map: Vec<Value> = serde_json::from_str(&map).expect("JSON");
    let depth = |offset: u64| {
        let around = |extent: &&Value| {
            let start = extent["start"].as_u64().expect("a start");
            (start..start + extent["length"].as_u64().expect("a length")).contains(&offset)
        };
        map.iter()
            .find(around)
            .map(|extent| extent["depth"].clone())
    };
    assert_eq!(depth(524288), Some(json!(0)), "it was read: {map:?}");
    assert_eq!(depth(786432), Some(json!(1)), "nobody has read it: {map:?}");
    // What was copied is the image's own now.
    std::fs::write(base.path(), vec![b'x'; MIB as usize]).expect("the base");
    let raw = directory.path().join("raw").display().to_string();
    qemu_img(&["convert", "-f", "qcow2", "-O", "raw", &top, &raw]);
    let bytes = std::fs::read(Path::new(&raw)).expect("the copy");
    assert_eq!((bytes[524288], bytes[786432]), (b'b', b'x'));
}

fn limits_hold_requests_back(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .with("-drive if=none,id=d0,format=raw,file=null-co://,bps_wr=1")
        .with("-device virtio-blk-pci,drive=d0")
        .up()
    else {
        return;
    };
    let written = |guest: &mut Guest| {
        let mut stats = guest.qmp("query-blockstats", json!({}));
        stats[0]["stats"]["wr_bytes"].take()
    };
    let limit = |guest: &mut Guest, name: &str, value: u64| {
        let mut limits = json!({
            "device": "d0", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0,
        });
        limits[name] = json!(value);
        guest.qmp("block_set_io_throttle", limits);
    };
    for (round, (name, value)) in [("bps_wr", 1 << 30), ("iops", 0)].into_iter().enumerate() {
        // The first request passes, and the second waits for an hour; reads know no limit.
        let before = round as u64 * 8 * 4096;
        guest.run("t io write 0 4096 8 >/tmp/io &");
        let first = json!(before + 4096);
        guest.until("the first write", |guest| written(guest) == first);
        guest.run("t io read 0 4096 50");
        assert_eq!(written(&mut guest), first, "{name}");
        limit(&mut guest, name, value);
        guest.run("t until grep done=8 /tmp/io");
        assert_eq!(written(&mut guest), json!(before + 8 * 4096), "{name}");
        limit(&mut guest, "bps_wr", 1);
    }
    guest.power_off();
}

fn another_medium_is_in_the_drive(program: Program) {
    let (first, second) = (full_of(b'1'), full_of(b'2'));
    let drive = format!(
        "-drive if=none,id=d0,format=raw,readonly=on,file={} \
         -device virtio-scsi-pci -device scsi-cd,id=cd0,drive=d0",
        first.path().display()
    );
    let Some(mut guest) = Boot::new(program, Kernel::Debian).with(&drive).up() else {
        return;
    };
    guest.run("modprobe -a virtio_scsi sr_mod && t until test -b /dev/sr0");
    assert_eq!(letter(&mut guest, "/dev/sr0"), "1");
    for (mode, file, read_only, seen) in [
        (None, &second, true, "2"),
        (Some("read-write"), &first, false, "1"),
        (Some("retain"), &second, false, "2"),
        (Some("read-only"), &first, true, "1"),
    ] {
        let mut change = json!({"id": "cd0", "filename": file.path(), "format": "raw"});
        if let Some(mode) = mode {
            change["read-only-mode"] = json!(mode);
        }
        guest.qmp("blockdev-change-medium", change);
        for open in [true, false] {
            let moved = json!({"device": "d0", "id": "cd0", "tray-open": open});
            assert_eq!(guest.event("DEVICE_TRAY_MOVED"), moved);
        }
        let block = guest.qmp("query-block", json!({}));
        let medium = &block[0]["inserted"];
        assert_eq!(medium["ro"], json!(read_only), "{mode:?}");
        assert_eq!(medium["file"], json!(file.path()), "{mode:?}");
        assert_eq!(letter(&mut guest, "/dev/sr0"), seen, "{mode:?}");
    }
    guest.power_off();
}

fn a_damaged_image_is_closed(program: Program) {
    if !installed("qemu-img") {
        return skip("qemu-img is not installed");
    }
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("image").display().to_string();
    let raw = full_of(b'a').into_temp_path();
    let from = raw.display().to_string();
    qemu_img(&["convert", "-f", "raw", "-O", "qcow2", &from, &path]);
    // The second-level table is in the image's fifth cluster; this is the disk's ninth one.
    let mut bytes = std::fs::read(&path).expect("the image");
    let entry = 0x40000 + 8 * 8;
    let unaligned = 1 << 63 | 0x0d_0200_u64;
    bytes[entry..entry + 8].copy_from_slice(&unaligned.to_be_bytes());
    std::fs::write(&path, bytes).expect("the image");

    let node = format!(
        "-blockdev qcow2,node-name=d0,file.driver=file,file.filename={path} \
         -device virtio-blk-pci,drive=d0"
    );
    let Some(mut guest) = Boot::new(program, Kernel::Small).with(&node).up() else {
        return;
    };
    assert_eq!(letter(&mut guest, "/dev/vda"), "a");
    let (_, status) = guest.try_run("t io read 524288 4096");
    assert_ne!(status, "0");
    assert_eq!(
        guest.event("BLOCK_IMAGE_CORRUPTED"),
        json!({
            "device": "", "node-name": "d0", "fatal": true,
            "msg": "Cluster allocation offset 0xd0200 unaligned (L2 offset: 0x40000, L2 index: 0x8)",
        })
    );
    let (_, status) = guest.try_run("t io read 0 4096");
    assert_ne!(status, "0", "nothing is read any more");
    guest.power_off();
    let bytes = std::fs::read(&path).expect("the image");
    assert_eq!(
        bytes[72..80],
        [0, 0, 0, 0, 0, 0, 0, 2],
        "the image is marked"
    );
}

fn an_iothread_does_the_work(program: Program) {
    let Some(mut guest) = Boot::new(program, Kernel::Small)
        .image(MIB)
        .with("-object iothread,id=io0,poll-max-ns=0 -object iothread,id=io1,poll-max-ns=0")
        .with("-device virtio-blk-pci,drive=d0,iothread=io0")
        .up()
    else {
        return;
    };
    let threads = guest.qmp("query-iothreads", json!({}));
    // How often a thread had nothing to do and slept.
    let pid = guest.vm.pid();
    let slept = |id: &str| {
        let mut threads = threads.as_array().expect("a list").iter();
        let thread = threads.find(|thread| thread["id"] == id).expect("it");
        let tid = &thread["thread-id"];
        let status = format!("/proc/{pid}/task/{tid}/status");
        let status = std::fs::read_to_string(status).expect("a thread of the machine");
        let mut lines = status.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.and_then(|count| count.trim().parse::<u64>().ok())
    };
    let before = (slept("io0"), slept("io1"));
    guest.run("t io read 0 4096 200");
    let after = (slept("io0"), slept("io1"));
    assert!(
        after.0 > before.0.map(|count| count + 20),
        "{before:?} {after:?}"
    );
    assert_eq!(after.1, before.1, "nobody uses it");
    // The thread outlives its object for as long as the disk needs it.
    guest.qmp("object-del", json!({"id": "io0"}));
    assert_eq!(
        guest
            .qmp("query-iothreads", json!({}))
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    guest.run("t io write 0 4096 10");
    guest.power_off();
}

fn qemu_img(arguments: &[&str]) -> String {
    let (status, stdout, stderr) = run("qemu-img", arguments);
    assert!(status.success(), "{arguments:?}: {stderr}");
    stdout
}
