//! The programs run on real QEMU under OpenSBI, so they depend on nothing that only Tinamou has.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

const QEMU: &str = "qemu-system-riscv64";

/// A QEMU that runs an image, with the guest's console at its standard streams.
struct Guest {
    qemu: Child,
    seen: String,
    _dir: tempfile::TempDir,
}

impl Guest {
    /// `None`, told aloud, when there is no QEMU; in CI that is a failure.
    fn start(image: &[u8], arguments: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("image");
        std::fs::write(&path, image).expect("the image is written");
        let started = Command::new(QEMU)
            .args(["-M", "virt", "-nographic", "-monitor", "none", "-kernel"])
            .arg(&path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(qemu) = started else {
            assert!(std::env::var_os("CI").is_none(), "CI must not skip tests");
            eprintln!("SKIPPED: {QEMU} is not installed");
            return None;
        };
        Some(Self {
            qemu,
            seen: String::new(),
            _dir: dir,
        })
    }

    fn press(&mut self, key: &str) {
        let console = self.qemu.stdin.as_mut().expect("a pipe");
        console.write_all(key.as_bytes()).expect("a key");
        console.flush().expect("a key");
    }

    /// Reads until `text` has come, and returns everything up to it.
    fn expect(&mut self, text: &str) -> String {
        let console = self.qemu.stdout.as_mut().expect("a pipe");
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = self.seen.find(text) {
                return self.seen.drain(..at + text.len()).collect();
            }
            let n = console.read(&mut bytes).expect("the console's output");
            assert!(n > 0, "the guest never says {text:?}: {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    }

    fn ends_well(&mut self) {
        let status = self.qemu.wait().expect("QEMU ends");
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to kill then.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// With two harts OpenSBI chooses the one that starts.
#[test]
fn the_keys_work() {
    for arguments in [&["-m", "100"][..], &["-m", "100", "-smp", "2"]] {
        let Some(mut guest) = Guest::start(&tinamou_guest::image(), arguments) else {
            return;
        };
        guest.expect("built-in guest");
        guest.expect("o power off");
        guest.press("m");
        guest.expect("memory: 100 MiB\r\n");
        guest.press("t");
        guest.expect(" s since the start\r\n");
        guest.press("r");
        guest.expect("reset\r\n");
        guest.expect("o power off");
        guest.press("o");
        guest.expect("power off\r\n");
        guest.ends_well();
    }
}

/// `-icount shift=0` lets each instruction take a nanosecond, so that the clock counts them.
#[test]
fn the_benchmarks_count_their_instructions() {
    for (name, image) in [
        ("integer", tinamou_guest::bench::integer()),
        ("floating", tinamou_guest::bench::floating()),
    ] {
        let Some(mut guest) = Guest::start(&image, &["-icount", "shift=0"]) else {
            return;
        };
        guest.expect(&format!("BENCH {name} "));
        let instructions: u64 = guest.expect(" ").trim().parse().expect("a number");
        let ticks: u64 = guest.expect("\r\n").trim().parse().expect("a number");
        const INSTRUCTIONS_PER_TICK: u64 = 100;
        let off = instructions.abs_diff(ticks * INSTRUCTIONS_PER_TICK);
        assert!(
            off <= 2 * INSTRUCTIONS_PER_TICK,
            "{name}: {instructions} in {ticks}"
        );
        guest.ends_well();
    }
}
