//! Servers to talk to: real QEMU and `tinamou`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ready::Ready;

/// How long anything here may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(30);

const FIRST: &str = "qmp.sock";
const SECOND: &str = "second.sock";

/// A server that is there until this is dropped.
pub struct Peer {
    /// What it is called, for messages.
    pub name: &'static str,
    child: Child,
    directory: TempDir,
}

impl Peer {
    /// A machine `virt` under QEMU, stopped before its first instruction;
    /// `None`, said aloud, where there is no QEMU and none is demanded.
    pub fn qemu(options: &[&str]) -> Option<Self> {
        Self::start("QEMU", Path::new("qemu-system-riscv64"), options)
    }

    /// The same of `tinamou`, if it has been built.
    pub fn tinamou(options: &[&str]) -> Option<Self> {
        let mut path = PathBuf::from(env!("CARGO_BIN_EXE_qmp"));
        path.set_file_name("tinamou");
        Self::start("tinamou", &path, options)
    }

    /// Both of them, as far as they are there.
    pub fn both(options: &[&str]) -> Vec<Self> {
        let peers = [Self::qemu(options), Self::tinamou(options)];
        peers.into_iter().flatten().collect()
    }

    fn start(name: &'static str, program: &Path, options: &[&str]) -> Option<Self> {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let socket = |name| directory.path().join(name);
        let monitor = |name| format!("unix:{},server=on,wait=off", socket(name).display());
        let ready = Ready::listen(directory.path());
        let child = Command::new(program)
            .args(["-M", "virt", "-S", "-display", "none", "-name", "peer"])
            .args(["-qmp", &monitor(FIRST), "-qmp", &monitor(SECOND)])
            .args(ready.options())
            .args(options)
            .stdin(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) if std::env::var_os("CI").is_some() => panic!("{name}: {error}"),
            Err(error) => {
                eprintln!("skipped: {name}: {error}");
                return None;
            }
        };
        ready.wait();
        Some(Self {
            name,
            child,
            directory,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.directory.path().join(FIRST).display().to_string()
    }

    /// Where it listens for another client: QEMU takes one per socket.
    pub fn second_address(&self) -> String {
        self.directory.path().join(SECOND).display().to_string()
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Runs `qmp SUBCOMMAND ADDR ARGUMENTS`.
    pub fn qmp(&self, subcommand: &[&str], arguments: &[&str]) -> Output {
        let address = self.address();
        let words = subcommand.iter().copied();
        let words = words
            .chain([address.as_str()])
            .chain(arguments.iter().copied());
        qmp(words)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary.
pub fn qmp<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qmp"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("qmp was built")
}

/// What a run printed on standard output.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a run told on standard error.
pub fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until `condition` holds.
pub fn eventually(mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "it never came true");
        thread::sleep(Duration::from_millis(5));
    }
}
