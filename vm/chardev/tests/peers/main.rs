//! Character devices against real sockets, terminals and files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod layers;
mod registry;
mod serial;
mod sockets;

use std::fs;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tempfile::TempDir;
use tinamou_chardev::{
    Backend, Chardev, Chardevs, Clients, Config, Connection, Frontend, InetAddress, LogFile, Role,
    SerialEvent, SerialPipe, Socket, SocketAddress,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Only passes when something hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// The registry, and the I/O thread that serves it for as long as `_stop` exists.
struct Host {
    chardevs: Chardevs,
    runtime: tokio::runtime::Handle,
    dir: TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Host {
    fn new() -> Self {
        let io = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let runtime = io.handle().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || io.block_on(stopped));
        Self {
            chardevs: Chardevs::new(runtime.clone()),
            runtime,
            dir: tempfile::tempdir().unwrap(),
            _stop: stop,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn add(&self, id: &str, backend: Backend) -> Chardev {
        self.chardevs.add(id, backend.into()).unwrap()
    }

    fn refusal(&self, id: &str, backend: Backend) -> String {
        self.chardevs
            .add(id, backend.into())
            .unwrap_err()
            .to_string()
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(LIMIT, future).await })
            .expect("the test hangs")
    }

    fn accept(&self, frontend: &mut Frontend) -> Connection {
        self.run(frontend.accept()).unwrap()
    }

    fn receive(&self, connection: &mut Connection, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.run(connection.stream.read_exact(&mut bytes)).unwrap();
        bytes
    }

    fn send(&self, connection: &mut Connection, bytes: &[u8]) {
        self.run(connection.stream.write_all(bytes)).unwrap();
    }

    fn at_end(&self, connection: &mut Connection) -> bool {
        self.run(connection.stream.read(&mut [0; 8])).unwrap() == 0
    }

    fn serial(&self, chardev: &Chardev) -> (SerialPipe, mpsc::Receiver<SerialEvent>) {
        let (sender, events) = mpsc::channel();
        let frontend = chardev.claim(Clients::One).unwrap();
        let pipe = SerialPipe::new(frontend, move |event| {
            let _ = sender.send(event);
        });
        (pipe, events)
    }
}

fn server(address: SocketAddress) -> Backend {
    socket(address, Role::Server { wait: false }, false)
}

fn socket(address: SocketAddress, role: Role, telnet: bool) -> Backend {
    let mut socket = plain(address, role);
    socket.telnet = telnet;
    Backend::Socket(socket)
}

fn plain(address: SocketAddress, role: Role) -> Socket {
    Socket {
        address,
        role,
        nodelay: true,
        telnet: false,
        websocket: false,
        tls: None,
        authorizer: None,
    }
}

fn client(reconnect: Option<u64>) -> Role {
    Role::Client {
        reconnect: reconnect.map(Duration::from_millis),
    }
}

fn unix(path: &Path) -> SocketAddress {
    SocketAddress::Unix(path.to_owned())
}

fn inet(host: &str, port: u16) -> InetAddress {
    InetAddress {
        host: host.to_owned(),
        port: port.to_string(),
        ..InetAddress::default()
    }
}

fn many(count: usize) -> Clients {
    Clients::Many(NonZeroUsize::new(count).unwrap())
}

fn until(events: &mpsc::Receiver<SerialEvent>, wanted: SerialEvent) {
    while events.recv_timeout(LIMIT).expect("the event never came") != wanted {}
}

/// Waits until the device has been given `count` bytes.
fn fetch(pipe: &SerialPipe, events: &mpsc::Receiver<SerialEvent>, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 64];
    loop {
        let got = pipe.read(&mut buffer);
        bytes.extend_from_slice(&buffer[..got]);
        if bytes.len() >= count {
            return bytes;
        }
        until(events, SerialEvent::Input);
    }
}

fn read_exactly(stream: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn bound_port(chardev: &Chardev) -> u16 {
    let name = chardev.filename();
    let (_, port) = name.split(',').next().unwrap().rsplit_once(':').unwrap();
    port.parse().unwrap()
}
