//! A device test's view: both sockets belong to the test, which drives the
//! board's devices without a guest.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{PATIENCE, tinamou};

struct Test {
    machine: Child,
    qtest: BufReader<UnixStream>,
    qmp: BufReader<UnixStream>,
    _dir: tempfile::TempDir,
}

impl Test {
    /// Starts the machine as the client of two sockets.
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let listen = |name| UnixListener::bind(dir.path().join(name)).expect("a socket");
        let (qtest, qmp) = (listen("qtest"), listen("qmp"));
        let machine = Command::new(tinamou())
            .current_dir(dir.path())
            .args(["-M", "virt", "-m", "64", "-nodefaults", "-display", "none"])
            .args([
                "-accel",
                "qtest",
                "-qtest",
                "unix:qtest",
                "-qtest-log",
                "none",
            ])
            .args([
                "-chardev",
                "socket,path=qmp,id=q",
                "-mon",
                "chardev=q,mode=control",
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the machine starts");
        let accept = |listener: UnixListener| {
            let (stream, _) = listener.accept().expect("the machine connects");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            BufReader::new(stream)
        };
        Self {
            machine,
            qtest: accept(qtest),
            qmp: accept(qmp),
            _dir: dir,
        }
    }

    fn check(&mut self, line: &str, expected: &str) {
        assert_eq!(ask(&mut self.qtest, line), expected, "{line}");
    }
}

fn ask(stream: &mut BufReader<UnixStream>, line: &str) -> String {
    writeln!(stream.get_mut(), "{line}").expect("the machine reads");
    next_line(stream)
}

fn next_line(stream: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

#[test]
fn devices_are_driven_from_outside() {
    let mut test = Test::start();
    for (line, expected) in [
        ("endianness", "OK little"),
        ("writel 0x80000000 0x12345678", "OK"),
        ("readw 0x80000002", "OK 0x0000000000001234"),
        ("read 0x80000000 4", "OK 0x78563412"),
        ("b64read 0x80000000 3", "OK eFY0"),
        ("memset 0x80000000 2 0xff", "OK"),
        ("readl 0x80000000", "OK 0x000000001234ffff"),
        // The virtio slots say what they are, and that they are empty.
        ("readl 0x10001000", "OK 0x0000000074726976"),
        ("readl 0x10001008", "OK 0x0000000000000000"),
        // The CLINT's time goes as the test lets it: 10 MHz.
        ("clock_step 1000", "OK 1000"),
        ("clock_set 5000000", "OK 5000000"),
        ("readq 0x200bff8", "OK 0x000000000000c350"),
        ("clock_step 10000000", "OK 15000000"),
        ("readq 0x200bff8", "OK 0x00000000000249f0"),
        ("csr get_csr 0 0xf14 0", "OK 0 0000000000000000"),
        ("csr set_csr 0 0x340 0x1234", "OK 0 0000000000001234"),
        ("csr get_csr 0 0x340 0", "OK 0 0000000000001234"),
        (
            "csr set_csr 0 0xf14 1",
            "FAIL There is no CSR 0xf14 of hart 0",
        ),
        ("bogus", "FAIL Unknown command 'bogus'"),
    ] {
        test.check(line, expected);
    }
}

#[test]
fn qmp_works_beside_and_sigterm_is_an_orderly_end() {
    let mut test = Test::start();
    assert!(next_line(&mut test.qmp).contains("\"QMP\""));
    assert_eq!(
        ask(&mut test.qmp, r#"{"execute": "qmp_capabilities"}"#),
        r#"{"return": {}}"#
    );
    let status = ask(&mut test.qmp, r#"{"execute": "query-status"}"#);
    assert!(status.contains(r#""status": "running""#), "{status}");

    let pid = Pid::from_child(&test.machine);
    kill_process(pid, Signal::TERM).expect("a signal");
    let status = test.machine.wait().expect("the machine ends");
    assert_eq!(status.code(), Some(0));
    let last = next_line(&mut test.qmp);
    assert!(last.contains(r#""reason": "host-signal""#), "{last}");
    let mut stderr = String::new();
    let mut stream = test.machine.stderr.take().expect("stderr is piped");
    stream.read_to_string(&mut stderr).expect("text");
    // With `-qtest-log none` there is no log on stderr.
    assert!(
        stderr.contains("terminating on signal 15") && stderr.lines().count() == 1,
        "{stderr}"
    );
}

impl Drop for Test {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to kill then.
        let _ = self.machine.kill();
        let _ = self.machine.wait();
    }
}
