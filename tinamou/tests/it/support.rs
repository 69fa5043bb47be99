//! What the black-box tests share: starting a machine, talking QMP to it,
//! and reading its console. Everything here works on real QEMU too.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ready::Ready;

/// How long a test waits for anything before it calls it a failure.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The peer that defines right and wrong.
pub const QEMU: &str = "qemu-system-riscv64";

/// The program under test.
pub fn tinamou() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_tinamou"))
}

/// Says that a test cannot run here; in CI that is a failure.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "{why}, and CI must not skip tests"
    );
    eprintln!("SKIPPED: {why}");
}

/// Whether `program` can be started.
pub fn installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A running machine with one QMP socket; killed when dropped.
pub struct Vm {
    child: Child,
    dir: TempDir,
    /// QEMU is not to be connected to before it is ready.
    ready: Mutex<Option<Ready>>,
}

impl Vm {
    /// Starts `program` with a QMP socket and the given arguments.
    pub fn start(program: &Path, arguments: &[&str]) -> Self {
        Self::launch(program, arguments, "qmp.sock")
    }

    /// The same, waiting for another socket than QMP's to appear first.
    pub fn launch(program: &Path, arguments: &[&str], first: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ready = (program == Path::new(QEMU)).then(|| Ready::listen(dir.path()));
        Self::launch_in(dir, ready, program, arguments, first)
    }

    /// Starts `program` with no other monitor, not even one that tells when
    /// it is ready.
    pub fn start_alone(program: &Path, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::launch_in(dir, None, program, arguments, "qmp.sock")
    }

    fn launch_in(
        dir: TempDir,
        ready: Option<Ready>,
        program: &Path,
        arguments: &[&str],
        first: &str,
    ) -> Self {
        let socket = dir.path().join("qmp.sock");
        let child = Command::new(program)
            .current_dir(dir.path())
            .args(["-display", "none", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            .args(arguments)
            .args(ready.iter().flat_map(Ready::options))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the machine starts");
        let ready = Mutex::new(ready);
        let mut vm = Self { child, dir, ready };
        vm.wait_for_file(first);
        vm
    }

    /// A path in the machine's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new connection to the QMP socket, not yet negotiated.
    pub fn connect(&self) -> Qmp {
        let ready = self.ready.lock().expect("nobody panics here").take();
        if let Some(ready) = ready {
            ready.wait();
        }
        Qmp::connect(&self.path("qmp.sock"))
    }

    /// A new, negotiated QMP session.
    pub fn qmp(&self) -> Qmp {
        let mut qmp = self.connect();
        qmp.execute("qmp_capabilities", json!({}))
            .expect("negotiation");
        qmp
    }

    /// The process, for signals.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the machine to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            assert!(Instant::now() < deadline, "the machine does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the ended machine wrote to standard error.
    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().expect("stderr is piped");
        stderr.read_to_string(&mut text).expect("stderr is text");
        text
    }

    /// Waits until the machine has made a file in its directory.
    pub fn wait_for_file(&mut self, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        let path = self.path(name);
        while !path.exists() {
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!("the machine ended with {status}: {}", self.stderr());
            }
            assert!(Instant::now() < deadline, "{name} never appears");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // The child may have ended by itself; there is nothing to kill then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A QMP session as simple as a test can have it.
pub struct Qmp {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
    /// The greeting.
    pub greeting: Value,
    events: VecDeque<Value>,
}

impl Qmp {
    /// Connects and reads the greeting.
    pub fn connect(path: &Path) -> Self {
        let writer = connect_stream(path);
        let reader = BufReader::new(writer.try_clone().expect("clone"));
        let mut qmp = Self {
            writer,
            reader,
            greeting: Value::Null,
            events: VecDeque::new(),
        };
        qmp.greeting = qmp.read().expect("a greeting");
        qmp
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).expect("send");
    }

    /// Sends bytes with file descriptors beside them.
    pub fn send_with(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        let pieces = [IoSlice::new(bytes)];
        let sent = sendmsg(&self.writer, &pieces, &mut control, SendFlags::empty());
        assert_eq!(sent, Ok(bytes.len()));
    }

    /// Closes one direction of the connection, or both.
    pub fn close(&mut self, how: Shutdown) {
        self.writer.shutdown(how).expect("shutdown");
    }

    /// The next message, whatever it is; `None` at end of stream.
    pub fn read(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no message: {error}"),
        }
    }

    /// The next reply; events that come before it are kept.
    pub fn reply(&mut self) -> Value {
        loop {
            let message = self.read().expect("a reply before the end of the stream");
            if message.get("event").is_none() {
                return message;
            }
            self.events.push_back(message);
        }
    }

    /// Runs a command: its return value, or its error.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, Value> {
        let request = json!({"execute": command, "arguments": arguments});
        self.send(format!("{request}\n").as_bytes());
        let mut reply = self.reply();
        match reply.get_mut("return") {
            Some(value) => Ok(value.take()),
            None => Err(reply["error"].take()),
        }
    }

    /// Runs a line of the human monitor.
    pub fn hmp(&mut self, line: &str) -> String {
        let reply = self.execute("human-monitor-command", json!({"command-line": line}));
        reply.expect("a reply").as_str().expect("text").to_owned()
    }

    /// The events that came so far.
    pub fn take_events(&mut self) -> Vec<Value> {
        self.events.drain(..).collect()
    }

    /// The next event of that name; others before it are dropped.
    pub fn event(&mut self, name: &str) -> Value {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self
                    .read()
                    .unwrap_or_else(|| panic!("no {name} before the end")),
            };
            if event["event"] == name {
                return event;
            }
        }
    }
}

/// A serial console on a unix socket.
pub struct Console {
    stream: UnixStream,
    seen: String,
}

impl Console {
    /// Connects to a serial port's socket.
    pub fn connect(path: &Path) -> Self {
        Self {
            stream: connect_stream(path),
            seen: String::new(),
        }
    }

    /// Types text.
    pub fn send(&mut self, text: &str) {
        self.stream
            .write_all(text.as_bytes())
            .expect("the console takes input");
    }

    /// Reads until `text` has come, and returns everything up to it.
    pub fn expect(&mut self, text: &str) -> String {
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let n = self.stream.read(&mut bytes).unwrap_or(0);
            assert!(
                n > 0,
                "the console never says {text:?}; it said:\n{}",
                self.seen
            );
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    }
}

/// Connects to a socket as soon as it listens.
pub fn connect_stream(path: &Path) -> UnixStream {
    let deadline = Instant::now() + PATIENCE;
    let stream = loop {
        match UnixStream::connect(path) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{}: {error}", path.display()),
        }
        thread::sleep(Duration::from_millis(2));
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Runs a program to its end: status, standard output, standard error.
pub fn run(program: impl AsRef<OsStr>, arguments: &[&str]) -> (ExitStatus, String, String) {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status, text(&output.stdout), text(&output.stderr))
}
