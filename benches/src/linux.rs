//! A Linux guest and the conversation on its console (`guest/linux/root/bin/converse`).

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::peer::{Peer, Program};

/// A machine with a kernel in it, booting or booted.
pub struct Linux {
    /// The machine.
    pub peer: Peer,
    console: UnixStream,
    seen: String,
}

/// What `guest/linux` made, where the environment says it is.
pub fn artifacts() -> Option<PathBuf> {
    std::env::var_os("TINAMOU_GUEST").map(PathBuf::from)
}

impl Linux {
    /// Starts a kernel of `artifacts` with more of the command line.
    pub fn start(
        program: &Program,
        artifacts: &Path,
        kernel: &str,
        more: &[&str],
    ) -> io::Result<Self> {
        let image = artifacts.join(kernel).display().to_string();
        let initrd = artifacts.join("initrd.cpio").display().to_string();
        let fixed = [
            "-m",
            "512",
            "-nodefaults",
            "-kernel",
            &image,
            "-initrd",
            &initrd,
            "-append",
            "console=ttyS0 quiet",
            // It waits for its reader, so that nothing is lost.
            "-serial",
            "unix:console.sock,server=on,wait=on",
        ];
        let peer = Peer::start(program, &[&fixed[..], more].concat())?;
        Ok(Self {
            console: peer.stream("console.sock")?,
            peer,
            seen: String::new(),
        })
    }

    /// Reads until the guest has said `text`.
    pub fn expect(&mut self, text: &str) -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return Ok(());
            }
            let n = self.console.read(&mut bytes)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    }

    /// Runs a line, which must succeed.
    pub fn run(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.console, "{line}")?;
        self.expect("@RC=0")
    }
}
