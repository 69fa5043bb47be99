//! Real programs to talk to.

use crate::ready::Ready;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tinamou_client::{Address, Client};

const QEMU: &str = "qemu-system-riscv64";

/// A QEMU that runs until it is dropped.
pub struct Qemu {
    pub child: Child,
    directory: Option<TempDir>,
    pub socket: PathBuf,
}

impl Qemu {
    /// Starts QEMU with a monitor on a unix socket and these options; `None`
    /// if there is no QEMU here.
    pub fn start(options: &[&str]) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let socket = directory.path().join("qmp.sock");
        let mut qemu = Self::at(socket, options)?;
        qemu.directory = Some(directory);
        Some(qemu)
    }

    /// The same, with the socket at this place.
    pub fn at(socket: PathBuf, options: &[&str]) -> Option<Self> {
        if qemu_is_missing() {
            return None;
        }
        let monitor = format!("unix:{},server=on,wait=off", socket.display());
        let waiting = tempfile::tempdir().expect("a directory can be made");
        let ready = Ready::listen(waiting.path());
        let child = Command::new(QEMU)
            .args(["-display", "none", "-nodefaults", "-qmp", &monitor])
            .args(ready.options())
            .args(options)
            .stdin(Stdio::null())
            .spawn()
            .expect("QEMU starts");
        ready.wait();
        Some(Self {
            child,
            directory: None,
            socket,
        })
    }

    /// A stopped machine without anything.
    pub fn bare() -> Option<Self> {
        Self::start(&["-M", "none", "-S"])
    }

    pub fn address(&self) -> Address {
        Address::Unix(self.socket.clone())
    }

    pub async fn client(&self) -> Client {
        Client::connect(&self.address())
            .await
            .expect("QEMU answers")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.expect("kill can be run").success());
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.directory.take());
    }
}

/// Says aloud that there is no QEMU; with `CI` set there must be one.
pub fn qemu_is_missing() -> bool {
    is_missing(QEMU)
}

/// Says aloud that a program is not installed; with `CI` set it must be.
pub fn is_missing(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    if version.is_ok() {
        return false;
    }
    assert!(std::env::var_os("CI").is_none(), "{program} is missing");
    eprintln!("SKIPPED: {program} is not installed");
    true
}

/// Waits until a server listens: its socket is there a moment earlier.
pub fn wait_for(socket: &std::path::Path) {
    let began = Instant::now();
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "{socket:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
