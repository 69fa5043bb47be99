//! A machine under measurement: started with a QMP socket, asked for its CPU
//! time and memory, killed at the end.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// One of the programs compared.
#[derive(Clone)]
pub struct Program {
    /// The heading of its column.
    pub name: &'static str,
    /// What to run.
    pub path: PathBuf,
}

/// A running machine.
pub struct Peer {
    child: Child,
    dir: TempDir,
    started: Instant,
}

impl Peer {
    /// Starts a machine; returns at once.
    pub fn start(program: &Program, arguments: &[&str]) -> io::Result<Self> {
        let monitor = [
            "-display",
            "none",
            "-qmp",
            "unix:qmp.sock,server=on,wait=off",
        ];
        Self::run(program, &[&monitor, arguments].concat())
    }

    /// Starts a program that listens at `qmp.sock` of its own accord.
    pub fn run(program: &Program, arguments: &[&str]) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let started = Instant::now();
        let child = Command::new(&program.path)
            .current_dir(dir.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            child,
            dir,
            started,
        })
    }

    /// Where one of its sockets is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A connection to one of the machine's sockets, as soon as it listens.
    pub fn stream(&self, name: &str) -> io::Result<UnixStream> {
        let path = self.path(name);
        loop {
            match UnixStream::connect(&path) {
                Ok(stream) => return Ok(stream),
                Err(error) if self.started.elapsed() > Duration::from_secs(20) => {
                    return Err(error);
                }
                Err(_) => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }

    /// A negotiated QMP session.
    pub fn qmp(&self) -> io::Result<Session> {
        let mut session = self.greeted()?;
        session.call("{\"execute\":\"qmp_capabilities\"}")?;
        Ok(session)
    }

    /// A QMP session that has read its greeting.
    pub fn greeted(&self) -> io::Result<Session> {
        self.session("qmp.sock")
    }

    /// A QMP session on a socket of that name, after its greeting.
    pub fn session(&self, name: &str) -> io::Result<Session> {
        let writer = self.stream(name)?;
        let reader = BufReader::with_capacity(1 << 16, writer.try_clone()?);
        let mut session = Session {
            writer,
            reader,
            line: Vec::new(),
        };
        session.line()?;
        Ok(session)
    }

    /// Time since the program was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// CPU time of all threads so far.
    pub fn cpu(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(self.proc("stat"))?;
        // The command name, in parentheses, may hold blanks; utime and stime
        // are the 12th and 13th fields after it (proc(5)).
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|f| f.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(
            (ticks(11) + ticks(12)) as f64 / per_second as f64,
        ))
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line
            .and_then(|l| l.split_whitespace().next())
            .and_then(|n| n.parse::<u64>().ok());
        Ok(kilobytes.unwrap_or(0) * 1024)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join(file)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to kill then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A QMP session as lean as a client can be, so that the server is measured.
pub struct Session {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Session {
    /// Sends one request and waits for the next line: its length in bytes.
    pub fn call(&mut self, request: &str) -> io::Result<usize> {
        self.send(request.as_bytes())?;
        self.line()
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// Whether that text is in the last line.
    pub fn says(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.line).contains(text)
    }

    /// Reads one line: its length in bytes.
    pub fn line(&mut self) -> io::Result<usize> {
        self.line.clear();
        match self.reader.read_until(b'\n', &mut self.line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => Ok(length),
        }
    }
}
