//! Real programs to talk to.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tinamou_client::{Address, Client};

/// A QEMU that runs until it is dropped.
pub struct Qemu {
    pub child: Child,
    _directory: TempDir,
    pub socket: PathBuf,
}

impl Qemu {
    /// Starts QEMU with a monitor on a unix socket and these options; `None`
    /// if there is no QEMU here.
    pub fn start(options: &[&str]) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let socket = directory.path().join("qmp.sock");
        let monitor = format!("unix:{},server=on,wait=off", socket.display());
        let child = Command::new("qemu-system-riscv64")
            .args(["-display", "none", "-nodefaults", "-qmp", &monitor])
            .args(options)
            .stdin(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            assert!(
                std::env::var_os("CI").is_none(),
                "qemu-system-riscv64 is missing"
            );
            eprintln!("SKIPPED: qemu-system-riscv64 is not installed");
            return None;
        };
        wait_for(&socket);
        Some(Self {
            child,
            _directory: directory,
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
    }
}

/// Waits for a server's socket to appear.
pub fn wait_for(socket: &std::path::Path) {
    let began = Instant::now();
    while !socket.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "{socket:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
