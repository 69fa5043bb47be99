//! The log of `-d`: what harts, memory and devices tell, in QEMU's words.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{QEMU, installed, tinamou};

/// Reads where nothing is, then ends the machine from the trap handler.
const PROGRAM: [u32; 11] = [
    0x0000_0297, // auipc t0, 0
    0x0142_8293, // addi  t0, t0, 20
    0x3052_9073, // csrw  mtvec, t0
    0x3052_9073, // csrw  mtvec, t0
    0x0500_2583, // lw    a1, 0x50(zero)
    0x0010_0537, // lui   a0, 0x100
    0x0000_55b7, // lui   a1, 5
    0x5555_8593, // addi  a1, a1, 0x555
    0x00b5_2223, // sw    a1, 4(a0)
    0x00b5_2023, // sw    a1, 0(a0)
    0x0000_006f, // j     .
];

const EXPECTED: &str = "\
Invalid read at addr 0x50, size 4, region '(null)', reason: rejected
riscv_cpu_do_interrupt: hart:0, async:0, cause:0000000000000005, epc:0x0000000080000010, \
tval:0x0000000000000050, desc=fault_load
sifive_test_write: write: addr=0x4 val=0x0000000000005555
";

/// What the program leaves in the log of `items`.
fn log_of(program: &Path, items: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let code: Vec<u8> = PROGRAM.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(dir.path().join("code"), code).expect("a file");
    let status = Command::new(program)
        .current_dir(dir.path())
        .args(["-M", "virt", "-m", "64", "-display", "none", "-nodefaults"])
        .args(["-bios", "code", "-d", items, "-D", "log-%d"])
        .stdin(Stdio::null())
        .status()
        .expect("the machine starts");
    assert!(status.success());
    let mut files = std::fs::read_dir(dir.path()).expect("a directory");
    let log = files
        .find_map(|file| {
            let path = file.ok()?.path();
            let name = path.file_name()?.to_str()?.strip_prefix("log-")?;
            name.parse::<u32>().ok().map(|_| path)
        })
        .expect("a log named after the process");
    std::fs::read_to_string(log).expect("a log")
}

#[test]
fn items_are_logged_in_the_words_of_qemu() {
    let items = "int,guest_errors,invalid_mem,unimp";
    assert_eq!(log_of(&tinamou(), items), EXPECTED);
    if installed(QEMU) {
        assert_eq!(log_of(QEMU.as_ref(), items), EXPECTED);
    }
}

#[test]
fn code_is_logged_as_it_is_decoded() {
    let line = "0x80000010:  05002583          lw                      a1,80(zero)\n";
    let log = log_of(&tinamou(), "in_asm");
    assert!(log.contains(line), "{log}");
    assert!(log.contains("----------------\nIN: \n0x80000000:"), "{log}");
    assert_eq!(log.matches("0x80000014").count(), 1, "{log}");
}

#[test]
fn other_items_are_not_logged() {
    assert_eq!(log_of(&tinamou(), "guest_errors").lines().count(), 1);
}
