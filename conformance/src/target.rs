//! Where the server is: an address, or a command that starts one.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::observed::Observed;

/// The server under test.
#[derive(Clone, Debug)]
pub enum Target {
    /// A unix socket.
    Unix(PathBuf),
    /// A unix socket without a file; Linux has them.
    Abstract(String),
    /// A TCP port, as `HOST:PORT`.
    Tcp(String),
    /// A shell command that starts a server; `{socket}` stands for the path
    /// of the unix socket it shall listen on, `{ready}` for that of one it
    /// connects another monitor to, which is waited for.
    Spawn(String),
}

/// A byte stream to a server.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn unix(path: &Path) -> io::Result<Self> {
        Ok(Self::Unix(UnixStream::connect(path)?))
    }

    #[cfg(target_os = "linux")]
    fn named(name: &str) -> io::Result<Self> {
        use std::os::linux::net::SocketAddrExt as _;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        Ok(Self::Unix(UnixStream::connect_addr(&address)?))
    }

    #[cfg(not(target_os = "linux"))]
    fn named(_: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn tcp(address: &str, patience: Duration) -> io::Result<Self> {
        let mut fault = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(stream) => {
                    // What is sent in pieces shall arrive in pieces.
                    stream.set_nodelay(true)?;
                    return Ok(Self::Tcp(stream));
                }
                Err(error) => fault = error,
            }
        }
        Err(fault)
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
        })
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tcp(stream) => stream.shutdown(how),
        }
    }

    fn set_read_timeout(&self, patience: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_read_timeout(Some(patience)),
            Self::Tcp(stream) => stream.set_read_timeout(Some(patience)),
        }
    }

    pub(crate) fn set_write_timeout(&self, patience: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_write_timeout(Some(patience)),
            Self::Tcp(stream) => stream.set_write_timeout(Some(patience)),
        }
    }
}

impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server that can be connected to; one that was started ends with this.
#[derive(Debug)]
pub(crate) enum Server {
    There(Target),
    Started(Started),
}

/// A server that this suite started.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    dir: TempDir,
}

impl Server {
    /// Finds the server, or starts it and waits until it listens.
    pub(crate) fn up(target: &Target, patience: Duration, observed: &Observed) -> io::Result<Self> {
        match target {
            Target::Spawn(command) => Started::up(command, patience, observed).map(Self::Started),
            target => Ok(Self::There(target.clone())),
        }
    }

    pub(crate) fn connect(&mut self, patience: Duration) -> io::Result<Stream> {
        match self {
            Self::There(Target::Tcp(address)) => Stream::tcp(address, patience),
            Self::There(Target::Unix(path)) => Stream::unix(path),
            Self::There(Target::Abstract(name)) => Stream::named(name),
            Self::There(Target::Spawn(_)) => Err(io::ErrorKind::NotConnected.into()),
            Self::Started(started) => started.connect(patience),
        }
    }

    /// How a started server ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let Self::Started(started) = self else {
            return None;
        };
        let status = started.child.try_wait().ok().flatten()?;
        Some(started.last_words(&status.to_string()))
    }

    /// Waits for a started server to end; whether it did.
    pub(crate) fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if self.ended().is_some() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Started {
    fn up(command: &str, patience: Duration, observed: &Observed) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("qmp-test-").tempdir()?;
        let [socket, ready] = ["qmp.sock", "ready.sock"].map(|name| dir.path().join(name));
        let monitor = match command.contains("{ready}") {
            true => Some(UnixListener::bind(&ready)?),
            false => None,
        };
        let command = command
            .replace("{socket}", &socket.to_string_lossy())
            .replace("{ready}", &ready.to_string_lossy());
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("stderr"))?)
            .spawn()?;
        let mut started = Self { child, dir };
        if let Some(monitor) = monitor {
            started.wait_for_monitor(&monitor, patience)?;
        }
        started.wait_for_socket(patience)?;
        started.knock(patience, observed)?;
        Ok(started)
    }

    /// Connects until it is served. QEMU forgets some of those who come while
    /// it starts, which is for one check alone to find; so is a server that
    /// serves nobody at all.
    fn knock(&mut self, patience: Duration, observed: &Observed) -> io::Result<()> {
        const TIMES: u32 = 3;
        for _ in 0..TIMES {
            let mut stream = self.connect(patience)?;
            stream.set_read_timeout(patience / TIMES)?;
            if matches!(io::Read::read(&mut stream, &mut [0]), Ok(1)) {
                break;
            }
            observed.unserved("who connects while it starts is not greeted");
        }
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("qmp.sock")
    }

    fn wait_for_socket(&mut self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        while !self.socket().exists() {
            let what = "the server was started, but makes no socket at {socket}";
            self.linger(deadline, what)?;
        }
        Ok(())
    }

    /// Waits until the server has obeyed a command on a monitor that it opens
    /// itself: then nobody comes too early any more.
    fn wait_for_monitor(&mut self, monitor: &UnixListener, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        monitor.set_nonblocking(true)?;
        let mut stream = loop {
            match monitor.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let what = "the server was started, but does not connect to {ready}";
                    self.linger(deadline, what)?;
                }
                Err(error) => return Err(error),
            }
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"{\"execute\": \"qmp_capabilities\"}\n")?;
        // The greeting and perhaps an event come before the reply.
        for line in BufReader::new(stream).lines().take(16) {
            if line?.contains("\"return\"") {
                return Ok(());
            }
        }
        let what = "the server was started, but does not answer at {ready}";
        Err(io::Error::other(what))
    }

    /// Waits a moment for a server that may yet come up.
    fn linger(&mut self, deadline: Instant, what: &str) -> io::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return Err(io::Error::other(self.last_words(&status.to_string())));
        }
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        thread::sleep(Duration::from_millis(2));
        Ok(())
    }

    /// Connects; the socket may be there a moment before it listens.
    fn connect(&mut self, patience: Duration) -> io::Result<Stream> {
        let deadline = Instant::now() + patience;
        loop {
            match Stream::unix(&self.socket()) {
                Err(error)
                    if error.kind() == io::ErrorKind::ConnectionRefused
                        && Instant::now() < deadline
                        && self.child.try_wait()?.is_none() =>
                {
                    thread::sleep(Duration::from_millis(2));
                }
                outcome => return outcome,
            }
        }
    }

    fn last_words(&self, status: &str) -> String {
        let stderr = std::fs::read(self.dir.path().join("stderr")).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr);
        let last = stderr.trim_end().rsplit('\n').next().unwrap_or_default();
        match last {
            "" => format!("the server ended with {status}"),
            last => format!("the server ended with {status}: {last}"),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to kill then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
