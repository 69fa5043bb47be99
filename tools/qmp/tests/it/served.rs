//! Subcommands that serve, and clients of theirs that see every byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::peers::PATIENCE;

/// A run of `qmp` that listens; ended when dropped.
pub struct Served {
    child: Child,
    told: Receiver<String>,
    /// Where it listens.
    pub address: String,
}

impl Served {
    /// Starts it and waits until it listens.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qmp"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("qmp was built");
        let stderr = child.stderr.take().expect("it is piped");
        let (tell, told) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let mut served = Self {
            child,
            told,
            address: String::new(),
        };
        served.address = served.told("qmp: listening at ");
        served
    }

    /// The rest of the next line on standard error that begins so.
    pub fn told(&self, start: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.told.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("it never told: {start}"));
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// Waits until it ends by itself; what it printed.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it runs");
        let mut printed = String::new();
        let mut stdout = self.child.stdout.take().expect("it is piped");
        stdout.read_to_string(&mut printed).expect("it is text");
        (status, printed)
    }

    /// A client that has negotiated.
    pub fn client(&self) -> Wire {
        let mut wire = self.wire();
        wire.negotiate();
        wire
    }

    /// A client that has read nothing yet.
    pub fn wire(&self) -> Wire {
        Wire::connect(Path::new(&self.address))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection, line by line.
pub struct Wire {
    /// To write to.
    pub stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Wire {
    /// Connects.
    pub fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("someone listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        Self { stream, reader }
    }

    /// Reads the greeting and negotiates without capabilities.
    pub fn negotiate(&mut self) {
        let greeting = self.read().expect("a greeting");
        assert!(greeting.get("QMP").is_some(), "{greeting}");
        let reply = self.ask(r#"{"execute": "qmp_capabilities"}"#);
        assert_eq!(reply, json!({"return": {}}));
    }

    /// Sends text as it is.
    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("it reads");
    }

    /// The next line, or that there will be none.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        // A server that ends with requests unread resets the connection.
        let count = self.reader.read_line(&mut line).unwrap_or_else(|error| {
            let gone = error.kind() == std::io::ErrorKind::ConnectionReset;
            assert!(gone, "{error}");
            0
        });
        (count > 0).then(|| line.trim_end().to_owned())
    }

    /// The next message.
    pub fn read(&mut self) -> Option<Value> {
        let line = self.line()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}")))
    }

    /// The next message that is no event.
    pub fn reply(&mut self) -> Value {
        loop {
            let message = self.read().expect("a reply");
            if message.get("event").is_none() {
                return message;
            }
        }
    }

    /// The next event.
    pub fn event(&mut self) -> Value {
        loop {
            let message = self.read().expect("an event");
            if let Some(event) = message.get("event") {
                return event.clone();
            }
        }
    }

    /// Sends a request and reads up to its reply.
    pub fn ask(&mut self, request: &str) -> Value {
        self.send(request);
        self.reply()
    }

    /// What a command returns or fails with.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        let request = json!({"execute": command, "arguments": arguments, "id": command});
        let mut reply = self.ask(&request.to_string());
        assert_eq!(reply["id"], command);
        match reply.get_mut("return") {
            Some(value) => Ok(value.take()),
            None => Err(reply["error"]["desc"]
                .as_str()
                .unwrap_or_default()
                .to_owned()),
        }
    }
}
