//! The process on a terminal, and away from it: raw mode, the keys of the
//! multiplexer, `-daemonize`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, getsid, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{InputModes, LocalModes, tcgetattr};
use serde_json::json;

use crate::support::{PATIENCE, QEMU, Qmp, connect_stream, installed, run, skip, tinamou};

/// A machine whose console and monitor share a terminal.
struct OnTerminal {
    machine: Child,
    keyboard: File,
    terminal: File,
    seen: String,
}

impl OnTerminal {
    fn start() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let name = name.to_str().expect("a path");
        let terminal = File::options().read(true).write(true).open(name);
        let terminal = terminal.expect("the terminal opens");
        let end = || Stdio::from(terminal.try_clone().expect("a copy"));
        let machine = Command::new(tinamou())
            .args(["-M", "virt", "-m", "64", "-S", "-display", "none"])
            .args(["-serial", "mon:stdio"])
            .stdin(end())
            .stdout(end())
            .spawn()
            .expect("the machine starts");
        Self {
            machine,
            keyboard: File::from(master),
            terminal,
            seen: String::new(),
        }
    }

    fn modes(&self) -> (LocalModes, InputModes) {
        let mode = tcgetattr(&self.terminal).expect("a mode");
        (mode.local_modes, mode.input_modes)
    }

    fn wait_for_raw_mode(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.modes().0.contains(LocalModes::ICANON) {
            assert!(Instant::now() < deadline, "the terminal never becomes raw");
            std::thread::yield_now();
        }
    }

    fn type_and_see(&mut self, keys: &[u8], wanted: &str) {
        self.keyboard.write_all(keys).expect("typed");
        let limit = Timespec::try_from(PATIENCE).expect("a time");
        while !self.seen.contains(wanted) {
            let mut polled = [PollFd::from_borrowed_fd(
                self.keyboard.as_fd(),
                PollFlags::IN,
            )];
            let ready = poll(&mut polled, Some(&limit)).expect("a poll");
            assert!(ready > 0, "{wanted:?} is not in {:?}", self.seen);
            let mut bytes = [0; 1024];
            let count = self.keyboard.read(&mut bytes).expect("output");
            self.seen
                .push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        self.seen.clear();
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to kill then.
        let _ = self.machine.kill();
        let _ = self.machine.wait();
    }
}

#[test]
fn the_terminal_is_raw_and_its_escapes_work() {
    let mut on = OnTerminal::start();
    on.wait_for_raw_mode();
    let (local, input) = on.modes();
    assert!(!local.intersects(LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN));
    assert!(!input.intersects(InputModes::ICRNL | InputModes::IXON));
    on.type_and_see(b"\x01h", "Ctrl-A x");
    on.type_and_see(b"\x01c", "(qemu) ");
    on.type_and_see(b"info status\r", "VM status: paused (prelaunch)");
    // Ctrl-C is for whoever has the input, not for the process.
    on.type_and_see(b"\x03\rinfo name\r\x01c\x01c", "(qemu) ");
    on.type_and_see(b"\x01x", "");
    let status = on.machine.wait().expect("an end");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_terminal_gets_its_mode_back() {
    for signal in [None, Some(Signal::TERM), Some(Signal::INT)] {
        let mut on = OnTerminal::start();
        // Another terminal tells how this one was.
        let fresh = OnTerminal::fresh_modes();
        on.wait_for_raw_mode();
        match signal {
            // The prompt says that the machine is there to be ended.
            None => {
                on.type_and_see(b"\x01c", "(qemu) ");
                on.type_and_see(b"\x01x", "");
            }
            // It may come before there is a machine, or after.
            Some(signal) => {
                let pid = Pid::from_child(&on.machine);
                kill_process(pid, signal).expect("a signal");
            }
        }
        let status = on.machine.wait().expect("an end");
        assert!(matches!(status.code(), Some(0 | 1)), "{status}");
        assert_eq!(on.modes(), fresh, "{signal:?}");
    }
}

impl OnTerminal {
    /// The modes of a terminal that nobody has touched.
    fn fresh_modes() -> (LocalModes, InputModes) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let slave = File::open(name.to_str().expect("a path")).expect("the terminal opens");
        let mode = tcgetattr(slave).expect("a mode");
        (mode.local_modes, mode.input_modes)
    }
}

#[test]
fn a_daemon_is_ready_when_its_parent_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let status = Command::new(tinamou())
        .args([
            "-daemonize",
            "-M",
            "none",
            "-display",
            "none",
            "-pidfile",
            "pid",
        ])
        .args(["-qmp", "unix:qmp.sock,server=on,wait=off"])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .status()
        .expect("the program starts");
    assert!(status.success());
    // No waiting here: all of it is there by now.
    let pid = fs::read_to_string(dir.path().join("pid")).expect("a pid file");
    let pid: i32 = pid.trim().parse().expect("a number");
    let mut qmp = Qmp::connect(&dir.path().join("qmp.sock"));
    qmp.execute("qmp_capabilities", json!({}))
        .expect("negotiation");
    for fd in 0..3 {
        let open = fs::read_link(format!("/proc/{pid}/fd/{fd}")).expect("a descriptor");
        assert_eq!(open.to_str(), Some("/dev/null"));
    }
    let process = Pid::from_raw(pid);
    assert_eq!(getsid(process).ok(), process, "a session of its own");
    qmp.execute("quit", json!({})).expect("an end");
    while qmp.read().is_some() {}
    let deadline = Instant::now() + PATIENCE;
    while dir.path().join("pid").exists() {
        assert!(Instant::now() < deadline, "the pid file stays");
        std::thread::yield_now();
    }
}

#[test]
fn a_daemon_that_cannot_start_says_so() {
    let arguments = [
        "-daemonize",
        "-M",
        "virt",
        "-display",
        "none",
        "-kernel",
        "/nonexistent",
    ];
    let (status, _, stderr) = run(tinamou(), &arguments);
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("/nonexistent"), "{stderr}");
}

#[test]
fn there_is_one_terminal_and_none_for_a_daemon() {
    let refused = [
        ("-daemonize", "-nographic cannot be used with -daemonize"),
        (
            "-chardev stdio,id=a",
            "cannot use stdio by multiple character devices",
        ),
    ];
    let mut programs = vec![("tinamou", tinamou())];
    match installed(QEMU) {
        true => programs.push((QEMU, QEMU.into())),
        false => skip("qemu-system-riscv64 is not installed"),
    }
    for (name, program) in programs {
        for (option, message) in refused {
            let words = option.split(' ');
            let arguments = ["-M", "virt", "-nographic"].into_iter().chain(words);
            let (status, _, stderr) = run(&program, &arguments.collect::<Vec<_>>());
            assert_eq!(status.code(), Some(1), "{name}");
            let message = format!("{name}: {message}\n");
            assert!(stderr.starts_with(&message), "{stderr}");
        }
    }
}

#[test]
fn a_daemon_waits_for_its_first_client() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut parent = Command::new(tinamou())
        .args(["-daemonize", "-M", "none", "-display", "none"])
        .args(["-qmp", "unix:qmp.sock,server=on,wait=on"])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let path = dir.path().join("qmp.sock");
    while !path.exists() {
        assert_eq!(parent.try_wait().expect("wait"), None);
    }
    assert_eq!(parent.try_wait().expect("wait"), None);
    let client = connect_stream(&path);
    assert!(parent.wait().expect("an end").success());
    drop(client);
    let mut qmp = Qmp::connect(&path);
    qmp.execute("qmp_capabilities", json!({}))
        .expect("negotiation");
    qmp.execute("quit", json!({})).expect("an end");
}
