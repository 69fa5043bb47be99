//! What firmware is told: item by item and file by file as by QEMU.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::pci::Driven;
use crate::support::{QEMU, installed, skip, tinamou};

const DATA: u64 = 0x1010_0000;
const SELECTOR: u64 = DATA + 8;
const FILE_DIR: u16 = 0x19;

/// Tables that QEMU makes and we do not, and what they shift: the numbers of files.
const QEMU_ALONE: [&str; 5] = [
    "etc/acpi/rsdp",
    "etc/acpi/tables",
    "etc/smbios/smbios-anchor",
    "etc/smbios/smbios-tables",
    "etc/table-loader",
];

fn item(machine: &mut Driven, key: u16, length: usize) -> Vec<u8> {
    machine.ask(&format!("writew {SELECTOR:#x} {:#x}", key.swap_bytes()));
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let reply = machine.ask(&format!("readq {DATA:#x}"));
        let number = reply.trim().trim_start_matches("OK 0x");
        let number = u64::from_str_radix(number, 16).expect("a number");
        bytes.extend(number.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// All files but QEMU's tables.
fn files(machine: &mut Driven) -> BTreeMap<String, Vec<u8>> {
    let count = number(&item(machine, FILE_DIR, 4));
    let directory = item(machine, FILE_DIR, 4 + 64 * count);
    let mut files = BTreeMap::new();
    for entry in directory[4..].chunks_exact(64) {
        let name = String::from_utf8_lossy(&entry[8..]);
        let name = name.trim_end_matches('\0').to_owned();
        if !QEMU_ALONE.contains(&name.as_str()) {
            let content = item(machine, number(&entry[4..6]) as u16, number(&entry[..4]));
            files.insert(name, content);
        }
    }
    files
}

fn check(arguments: &str) {
    if !installed(QEMU) {
        return skip("qemu-system-riscv64 is not installed");
    }
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    let mut ours = Driven::with(&tinamou(), &arguments);
    let mut theirs = Driven::with(Path::new(QEMU), &arguments);
    for key in (0..0x20).filter(|key| *key != FILE_DIR) {
        let (found, expected) = (item(&mut ours, key, 24), item(&mut theirs, key, 24));
        assert_eq!(found, expected, "item {key:#x} (ours, then QEMU's)");
    }
    let found = files(&mut ours);
    assert_eq!(found, files(&mut theirs), "(ours, then QEMU's)");
    assert!(found.len() > 2, "{found:?}");
    // The register of transfers, as it reads.
    for width in ["b", "w", "l", "q"] {
        let line = format!("read{width} {:#x}", DATA + 0x10);
        assert_eq!(ours.ask(&line), theirs.ask(&line), "{line}");
    }
}

#[test]
fn items_are_as_in_qemu() {
    check("");
    check(
        "-smp 3 -nographic -serial null -monitor none -uuid 01020304-0506-0708-090a-0b0c0d0e0f10",
    );
}

#[test]
fn files_are_as_in_qemu() {
    let file = NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), [0, 1, 2, 0xff]).expect("written");
    let path = file.path().display();
    check(&format!(
        "-boot menu=on,strict=on,splash-time=700,reboot-timeout=0xffff \
         -fw_cfg name=opt/a,string=text -fw_cfg opt/b,file={path} -fw_cfg opt/0,file=/dev/null"
    ));
}

#[test]
fn the_boot_order_is_as_in_qemu() {
    check(
        "-drive if=none,id=a,driver=null-co,read-zeroes=on \
         -drive if=none,id=b,driver=null-co,read-zeroes=on \
         -netdev hubport,id=n,hubid=0 -netdev hubport,id=m,hubid=0 \
         -device pcie-root-port,id=rp,addr=6 \
         -device virtio-net-pci,netdev=n,bootindex=3 -device virtio-net-device,netdev=m,bootindex=7 \
         -device virtio-blk-pci,drive=a,bootindex=1,addr=5.3 \
         -device virtio-blk-pci,drive=b,bootindex=11,bus=rp \
         -device virtio-scsi-pci,id=s,addr=1f -device scsi-cd,bus=s.0,bootindex=0,scsi-id=30,lun=2 \
         -device virtio-scsi-device,id=t -device scsi-cd,bus=t.0,bootindex=20,scsi-id=3,lun=300",
    );
}
