//! The tables again, against the real thing: a wrong expectation shows here.

use crate::rows::{Row, rows};
use crate::server::{Mode, SENTINEL};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tinamou_qmp::{Value, json};

const QEMU: &str = "qemu-system-riscv64";

/// A QEMU without a machine, and the socket of its monitor.
struct Qemu {
    process: Child,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Qemu {
    fn start() -> std::io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("m");
        let chardev = format!("socket,id=m,path={},server=on,wait=off", socket.display());
        let process = Command::new(QEMU)
            .args([
                "-M",
                "none",
                "-name",
                "probe",
                "-nodefaults",
                "-display",
                "none",
            ])
            .args(["-chardev", &chardev, "-mon", "chardev=m,mode=control"])
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self {
            process,
            socket,
            _directory: directory,
        })
    }

    /// The replies to a row, as [`converse`](crate::server::converse) has them.
    fn play(&self, row: &Row) -> Vec<String> {
        let mut stream = connect(&self.socket);
        let mut lines = BufReader::new(stream.try_clone().expect("a socket has copies")).lines();
        let mut next = || {
            lines
                .next()
                .expect("QEMU answers")
                .expect("QEMU answers in ASCII")
        };
        next();
        if row.mode != Mode::Fresh {
            stream.write_all(row.mode.preamble()).expect("QEMU listens");
            next();
        }
        stream.write_all(&row.input).expect("QEMU listens");
        stream.write_all(SENTINEL).expect("QEMU listens");
        let replies =
            std::iter::from_fn(|| Some(next()).filter(|line| !line.contains(r#""id": "row-end""#)));
        let mut replies: Vec<String> = replies.collect();
        replies.pop().expect("the reset is answered");
        replies
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for the socket of a starting QEMU.
fn connect(socket: &Path) -> UnixStream {
    for _ in 0..1000 {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                stream
                    .set_read_timeout(Some(Duration::from_secs(60)))
                    .expect("the timeout is not zero");
                return stream;
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    panic!("QEMU does not listen on {}", socket.display());
}

/// A reply as a value, whose members compare in any order.
fn value(reply: &str) -> Value {
    let reply = reply
        .replace(": inf}", ": 1e999}")
        .replace(": -inf}", ": -1e999}");
    json::parse(reply.as_bytes()).expect("replies are JSON")
}

#[test]
fn qemu_answers_as_recorded() {
    let qemu = match Qemu::start() {
        Ok(qemu) => qemu,
        Err(error) if std::env::var_os("CI").is_some() => panic!("{QEMU}: {error}"),
        Err(error) => {
            return eprintln!("SKIPPED, the tables are not compared with QEMU: {QEMU}: {error}");
        }
    };
    let mut wrong = 0;
    for row in rows() {
        let replies: Vec<_> = qemu.play(&row).iter().map(|reply| value(reply)).collect();
        let expected: Vec<_> = row.replies.iter().map(|reply| value(reply)).collect();
        if replies != expected {
            wrong += 1;
            eprintln!(
                "{}\n  expected {expected:#?}\n  QEMU says {replies:#?}",
                row.label
            );
        }
    }
    assert_eq!(wrong, 0);
}
