//! PyPI's `qemu.qmp` drives `tinamou` unchanged: its client, and `qmp-shell`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{QEMU, Vm, installed, run, skip, tinamou};

/// The Python that has `qemu.qmp`, if the test setup made one.
fn python() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("TINAMOU_PYTHON")?);
    let (status, _, _) = run(&path, &["-c", "import qemu.qmp"]);
    status.success().then_some(path)
}

#[test]
fn client_drives_tinamou() {
    client_drives(&tinamou());
}

#[test]
fn client_drives_qemu_alike() {
    match installed(QEMU) {
        true => client_drives(Path::new(QEMU)),
        false => skip("qemu-system-riscv64 is not installed"),
    }
}

fn client_drives(program: &Path) {
    let Some(python) = python() else {
        return skip("Python with qemu.qmp is not installed");
    };
    let mut vm = Vm::start(program, &["-M", "virt", "-m", "64", "-S", "-nodefaults"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/drive.py");
    let socket = vm.path("qmp.sock");
    let arguments = [
        script.to_str().expect("UTF-8"),
        socket.to_str().expect("UTF-8"),
    ];
    let (status, stdout, stderr) = run(python, &arguments);
    assert!(status.success(), "{stderr}");
    assert_eq!(stdout, "driven\n");
    assert_eq!(vm.wait().code(), Some(0));
}

#[test]
fn shell_runs_commands() {
    let Some(python) = python() else {
        return skip("Python with qemu.qmp is not installed");
    };
    let vm = Vm::start(&tinamou(), &["-M", "none", "-nodefaults"]);
    let mut shell = Command::new(python)
        .args(["-m", "qemu.qmp.qmp_shell"])
        .arg(vm.path("qmp.sock"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("qmp-shell starts");
    let mut stdin = shell.stdin.take().expect("stdin is piped");
    stdin
        .write_all(b"query-status\nqom-list path=/\n")
        .expect("qmp-shell reads");
    drop(stdin);
    let output = shell.wait_with_output().expect("qmp-shell ends");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stdout.contains("Connected to QEMU 10.0.2"),
        "{stdout}\n{stderr}"
    );
    assert!(
        stdout.contains("\"return\": {\"running\":")
            || stdout.contains("\"status\": \"prelaunch\"")
            || stdout.contains("\"status\": \"running\""),
        "{stdout}\n{stderr}"
    );
    assert!(stdout.contains("\"chardevs\""), "{stdout}\n{stderr}");
}
