//! Character devices against real sockets, terminals and files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

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
    Backend::Socket(Socket {
        address,
        role,
        nodelay: true,
        telnet,
    })
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

#[test]
fn unix_server_serves_one_after_another() {
    let host = Host::new();
    let path = host.path("s");
    let chardev = host.add("c", server(unix(&path)));
    let mut frontend = chardev.claim(Clients::One).unwrap();
    let shown = path.display();
    assert_eq!(
        chardev.filename(),
        format!("disconnected:unix:{shown},server=on")
    );

    let mut first = UnixStream::connect(&path).unwrap();
    let mut second = UnixStream::connect(&path).unwrap();
    let mut connection = host.accept(&mut frontend);
    assert_eq!(chardev.filename(), format!("unix:{shown},server=on"));
    first.write_all(b"hello").unwrap();
    second.write_all(b"later").unwrap();
    assert_eq!(host.receive(&mut connection, 5), b"hello");
    host.send(&mut connection, b"world");
    assert_eq!(read_exactly(&mut first, 5), b"world");
    assert!(frontend.try_accept().is_none());

    drop(first);
    assert!(host.at_end(&mut connection));
    drop(connection);
    let mut connection = host.accept(&mut frontend);
    assert_eq!(host.receive(&mut connection, 5), b"later");

    host.chardevs.close();
    assert!(host.at_end(&mut connection));
    assert!(!path.exists());
}

#[test]
fn many_clients_at_once() {
    let host = Host::new();
    let path = host.path("s");
    let chardev = host.add("c", server(unix(&path)));
    let mut frontend = chardev.claim(many(2)).unwrap();
    let _peers: Vec<_> = (0..3)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    let first = host.accept(&mut frontend);
    let _second = host.accept(&mut frontend);
    assert!(frontend.try_accept().is_none());
    drop(first);
    host.accept(&mut frontend);
}

#[test]
fn a_passed_socket_listens() {
    let host = Host::new();
    let path = host.path("s");
    let address = SocketAddress::Fd {
        name: "3".to_owned(),
        fd: UnixListener::bind(&path).unwrap().into(),
    };
    let chardev = host.add("c", server(address));
    let mut frontend = chardev.claim(Clients::One).unwrap();
    let mut peer = UnixStream::connect(&path).unwrap();
    let mut connection = host.accept(&mut frontend);
    host.send(&mut connection, b"x");
    assert_eq!(read_exactly(&mut peer, 1), b"x");
    assert_eq!(
        chardev.filename(),
        format!("unix:{},server=on", path.display())
    );
}

#[test]
fn descriptors_come_along() {
    let host = Host::new();
    let path = host.path("s");
    let chardev = host.add("c", server(unix(&path)));
    let mut frontend = chardev.claim(Clients::One).unwrap();
    let peer = UnixStream::connect(&path).unwrap();
    let mut connection = host.accept(&mut frontend);

    for (data, count) in [(b"a", 2), (b"b", 20)] {
        let passed: Vec<_> = (0..count).map(|_| peer.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(20))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&passed)));
        sendmsg(
            &peer,
            &[IoSlice::new(data)],
            &mut ancillary,
            SendFlags::empty(),
        )
        .unwrap();
        assert_eq!(host.receive(&mut connection, 1), data);
        let fds = connection.fds.take();
        assert_eq!(fds.len(), count);
        for fd in &fds {
            let flags = rustix::io::fcntl_getfd(fd).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }
}

#[test]
fn paths_beyond_the_kernels_limit() {
    let host = Host::new();
    let deep = host.path(&"d".repeat(120));
    fs::create_dir(&deep).unwrap();
    let path = deep.join("s");
    let listening = host.add("l", server(unix(&path)));
    let calling = host.add("c", socket(unix(&path), client(None), false));
    let mut listening_end = listening.claim(Clients::One).unwrap();
    let mut calling_end = calling.claim(Clients::One).unwrap();
    let mut a = host.accept(&mut listening_end);
    let mut b = host.accept(&mut calling_end);
    host.send(&mut a, b"x");
    assert_eq!(host.receive(&mut b, 1), b"x");
    assert_eq!(calling.filename(), format!("unix:{}", path.display()));
}

#[test]
fn stale_sockets_are_replaced_and_files_are_not() {
    let host = Host::new();
    let (stale, file) = (host.path("stale"), host.path("file"));
    drop(UnixListener::bind(&stale).unwrap());
    fs::write(&file, "data").unwrap();
    host.add("a", server(unix(&stale)));
    UnixStream::connect(&stale).unwrap();
    let expected = format!(
        "Failed to bind socket to {}: Address already in use",
        file.display()
    );
    assert_eq!(host.refusal("b", server(unix(&file))), expected);
    assert_eq!(fs::read(&file).unwrap(), b"data");
}

#[test]
fn tcp_names_and_ranges() {
    let host = Host::new();
    let first = host.add("a", server(SocketAddress::Inet(inet("127.0.0.1", 0))));
    let port = bound_port(&first);
    assert_eq!(
        first.filename(),
        format!("disconnected:tcp:127.0.0.1:{port},server=on")
    );
    let mut range = inet("127.0.0.1", port);
    assert_eq!(
        host.refusal("b", server(SocketAddress::Inet(range.clone()))),
        "Failed to find an available port: Address already in use"
    );
    range.to = Some(port.saturating_add(50));
    assert!(bound_port(&host.add("b", server(SocketAddress::Inet(range)))) > port);

    let mut frontend = first.claim(Clients::One).unwrap();
    let peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let _connection = host.accept(&mut frontend);
    let other = peer.local_addr().unwrap();
    assert_eq!(
        first.filename(),
        format!("tcp:127.0.0.1:{port},server=on <-> {other}")
    );
}

#[test]
fn addresses_that_lead_nowhere() {
    let host = Host::new();
    let call = |address| socket(SocketAddress::Inet(address), client(None), false);
    let no_family = InetAddress {
        ipv4: Some(false),
        ipv6: Some(false),
        ..inet("127.0.0.1", 1)
    };
    let wrong_family = InetAddress {
        ipv6: Some(true),
        ..inet("127.0.0.1", 1)
    };
    let no_port = InetAddress {
        port: "bogus".to_owned(),
        ..inet("127.0.0.1", 1)
    };
    let cases = [
        (
            inet("127.0.0.1", 1),
            "Failed to connect to '127.0.0.1:1': Connection refused",
        ),
        (no_family, "Cannot disable IPv4 and IPv6 at same time"),
        (
            wrong_family,
            "address resolution failed for 127.0.0.1:1: Address family for hostname not supported",
        ),
        (
            no_port,
            "address resolution failed for 127.0.0.1:bogus: Servname not supported for ai_socktype",
        ),
    ];
    for (address, text) in cases {
        assert_eq!(host.refusal("c", call(address)), text);
    }
}

#[test]
fn clients_come_back() {
    let host = Host::new();
    let path = host.path("s");
    let expected = format!(
        "Failed to connect to '{}': No such file or directory",
        path.display()
    );
    let once = socket(unix(&path), client(None), false);
    assert_eq!(host.refusal("c", once), expected);

    let chardev = host.add("c", socket(unix(&path), client(Some(1)), false));
    assert_eq!(
        chardev.filename(),
        format!("disconnected:unix:{}", path.display())
    );
    let mut frontend = chardev.claim(Clients::One).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    for _ in 0..2 {
        let (peer, _) = listener.accept().unwrap();
        let mut connection = host.accept(&mut frontend);
        drop(peer);
        assert!(host.at_end(&mut connection));
    }
}

#[test]
fn yank_ends_the_connection_and_not_the_device() {
    let host = Host::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = inet("127.0.0.1", listener.local_addr().unwrap().port());
    let backend = socket(SocketAddress::Inet(address), client(Some(1)), false);
    let chardev = host.add("c", backend);
    let mut frontend = chardev.claim(Clients::One).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let mut connection = host.accept(&mut frontend);
    assert_eq!(host.chardevs.yank_instances(), ["c"]);
    chardev.yank();
    assert!(host.at_end(&mut connection));
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    drop(connection);
    let _again = listener.accept().unwrap();
    host.accept(&mut frontend);
}

#[test]
fn waiting_for_the_first_client() {
    let host = Host::new();
    let path = host.path("s");
    let chardev = host.add("c", socket(unix(&path), Role::Server { wait: true }, false));
    let expected = format!(
        "QEMU waiting for connection on: disconnected:unix:{},server=on",
        path.display()
    );
    assert_eq!(chardev.waiting_message(), Some(expected));
    let _peer = UnixStream::connect(&path).unwrap();
    host.run(chardev.connected());
    assert!(chardev.is_connected());
}

#[test]
fn telnet_over_a_socket() {
    let host = Host::new();
    let address = SocketAddress::Inet(inet("127.0.0.1", 0));
    let chardev = host.add("c", socket(address, Role::Server { wait: false }, true));
    let port = bound_port(&chardev);
    assert_eq!(
        chardev.filename(),
        format!("disconnected:telnet:127.0.0.1:{port},server=on")
    );
    let (pipe, events) = host.serial(&chardev);
    let mut peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let greeting = b"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00";
    assert_eq!(read_exactly(&mut peer, greeting.len()), greeting);
    peer.write_all(b"\xff\xfd\x03\xff\xf3a\xff\xffb").unwrap();
    until(&events, SerialEvent::Break);
    assert_eq!(fetch(&pipe, &events, 3), b"a\xffb");
}

#[test]
fn serial_output_without_a_peer_goes_to_the_log_only() {
    let host = Host::new();
    let (path, log) = (host.path("s"), host.path("log"));
    fs::write(&log, "old ").unwrap();
    let config = Config {
        backend: server(unix(&path)),
        log: Some(LogFile {
            path: log.clone(),
            append: true,
        }),
    };
    let chardev = host.chardevs.add("c", config).unwrap();
    let (pipe, events) = host.serial(&chardev);
    assert_eq!(pipe.write(b"lost "), 5);
    let mut peer = UnixStream::connect(&path).unwrap();
    until(&events, SerialEvent::Opened);
    assert_eq!(pipe.write(b"kept"), 4);
    assert_eq!(read_exactly(&mut peer, 4), b"kept");
    drop(peer);
    until(&events, SerialEvent::Closed);
    assert_eq!(fs::read(&log).unwrap(), b"old lost kept");
}

#[test]
fn a_peer_that_never_reads_stops_the_device() {
    let host = Host::new();
    let path = host.path("s");
    let (pipe, events) = host.serial(&host.add("c", server(unix(&path))));
    let mut peer = UnixStream::connect(&path).unwrap();
    until(&events, SerialEvent::Opened);
    // The kernel's buffer and the pipe's own are all there is: far more than both never fits.
    let mut sent = 0;
    let mut offers = 0;
    while offers < 100_000 {
        sent += pipe.write(&[b'x'; 1000]);
        offers += 1;
    }
    assert!(sent < 4 << 20, "{sent} bytes were taken");
    assert!(!pipe.is_writable());
    assert_eq!(read_exactly(&mut peer, sent).len(), sent);
    until(&events, SerialEvent::Writable);
    assert!(pipe.is_writable());
}

#[test]
fn a_device_that_never_fetches_stops_the_peer() {
    let host = Host::new();
    let path = host.path("s");
    let (pipe, events) = host.serial(&host.add("c", server(unix(&path))));
    let mut peer = UnixStream::connect(&path).unwrap();
    let writer = std::thread::spawn(move || {
        let data: Vec<u8> = (0..1 << 20).map(|i: u32| i as u8).collect();
        peer.write_all(&data).unwrap();
        peer
    });
    let mut received = 0_u32;
    let mut buffer = [0; 10_000];
    while received < 1 << 20 {
        let count = pipe.read(&mut buffer);
        assert!(count <= 4096);
        for &byte in &buffer[..count] {
            assert_eq!(byte, received as u8);
            received += 1;
        }
        if count == 0 {
            events.recv_timeout(LIMIT).unwrap();
        }
    }
    writer.join().unwrap();
}

#[test]
fn pty_comes_and_goes_with_its_slave() {
    let host = Host::new();
    let path = host.path("tty");
    let with_link = || Backend::Pty {
        link: Some(path.clone()),
    };
    let chardev = host.add("c", with_link());
    let name = chardev.pty().unwrap();
    assert_eq!(chardev.filename(), format!("pty:{name}"));
    let (pipe, events) = host.serial(&chardev);
    for _ in 0..2 {
        assert_eq!(pipe.write(b"nobody sees this"), 16);
        let mut slave = fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        until(&events, SerialEvent::Opened);
        assert_eq!(pipe.write(b"out"), 3);
        assert_eq!(read_exactly(&mut slave, 3), b"out");
        slave.write_all(b"in\r").unwrap();
        assert_eq!(fetch(&pipe, &events, 3), b"in\r");
        drop(slave);
        until(&events, SerialEvent::Closed);
    }
    assert_eq!(
        host.refusal("d", with_link()),
        "Failed to create PTY symlink: File exists"
    );
    host.chardevs.close();
    assert!(path.symlink_metadata().is_err());
}

#[test]
fn files() {
    let host = Host::new();
    let (input, output) = (host.path("in"), host.path("out"));
    fs::write(&input, "typed").unwrap();
    let backend = Backend::File {
        output: output.clone(),
        append: false,
        input: Some(input),
    };
    let mut frontend = host.add("f", backend).claim(Clients::One).unwrap();
    let mut connection = host.accept(&mut frontend);
    assert_eq!(host.receive(&mut connection, 5), b"typed");
    host.send(&mut connection, b"printed");
    assert_eq!(fs::read(&output).unwrap(), b"printed");

    let nowhere = Backend::File {
        output: host.path("none/out"),
        append: false,
        input: None,
    };
    let expected = format!(
        "Could not open '{}': No such file or directory",
        host.path("none/out").display()
    );
    assert_eq!(host.refusal("g", nowhere), expected);
}

#[test]
fn pipes() {
    let host = Host::new();
    for name in ["p.in", "p.out"] {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            host.path(name),
            rustix::fs::FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
    }
    let backend = Backend::Pipe {
        path: host.path("p"),
    };
    let mut frontend = host.add("p", backend).claim(Clients::One).unwrap();
    let mut connection = host.accept(&mut frontend);
    let mut writer = fs::File::options()
        .write(true)
        .open(host.path("p.in"))
        .unwrap();
    writer.write_all(b"in").unwrap();
    assert_eq!(host.receive(&mut connection, 2), b"in");
    let mut reader = fs::File::open(host.path("p.out")).unwrap();
    host.send(&mut connection, b"out");
    assert_eq!(read_exactly(&mut reader, 3), b"out");
}

#[test]
fn mux_gives_turns() {
    let host = Host::new();
    let path = host.path("s");
    host.add("base", server(unix(&path)));
    let over_base = Backend::Mux {
        chardev: "base".to_owned(),
    };
    let mux = host.add("m", over_base);
    assert!(host.chardevs.find("base").unwrap().is_busy());
    let mut monitor_end = mux.claim(many(1)).unwrap();
    let mut monitor = host.accept(&mut monitor_end);
    let (console, events) = host.serial(&mux);
    let (exit, exited) = mpsc::channel();
    host.chardevs.on_exit(move || exit.send(()).unwrap());

    let mut peer = UnixStream::connect(&path).unwrap();
    peer.write_all(b"ls\x01b\x01\x01").unwrap();
    until(&events, SerialEvent::Break);
    assert_eq!(fetch(&console, &events, 3), b"ls\x01");

    host.send(&mut monitor, b"(qemu) ");
    console.write(b"$ ");
    assert_eq!(read_exactly(&mut peer, 2), b"$ ");
    peer.write_all(b"\x01cinfo").unwrap();
    assert_eq!(read_exactly(&mut peer, 7), b"(qemu) ");
    assert_eq!(host.receive(&mut monitor, 4), b"info");

    let _third = mux.claim(Clients::One).unwrap();
    let _fourth = mux.claim(Clients::One).unwrap();
    let error = mux.claim(Clients::One).unwrap_err();
    let expected = "too many uses of multiplexed chardev 'm' (maximum is 4)";
    assert_eq!(error.to_string(), expected);
    peer.write_all(b"\x01x").unwrap();
    exited.recv_timeout(LIMIT).unwrap();
}

#[test]
fn change_replaces_the_peer() {
    let host = Host::new();
    let path = host.path("s");
    let chardev = host.add("c", server(unix(&path)));
    let (_pipe, events) = host.serial(&chardev);
    let mut peer = UnixStream::connect(&path).unwrap();
    until(&events, SerialEvent::Opened);
    let ring = Backend::Ringbuf { size: Some(64) };
    host.chardevs.change("c", ring.into()).unwrap();
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    until(&events, SerialEvent::Closed);
    until(&events, SerialEvent::Opened);
    assert_eq!(chardev.filename(), "ringbuf");
    assert!(!path.exists());
    host.chardevs.ringbuf_write("c", b"ab").unwrap();
    assert_eq!(host.chardevs.ringbuf_read("c", 10).unwrap(), b"ab");
}

#[test]
fn change_to_the_same_path() {
    let host = Host::new();
    let path = host.path("s");
    let chardev = host.add("c", server(unix(&path)));
    host.chardevs
        .change("c", server(unix(&path)).into())
        .unwrap();
    let mut frontend = chardev.claim(Clients::One).unwrap();
    let _peer = UnixStream::connect(&path).unwrap();
    host.accept(&mut frontend);
}

#[test]
fn refusals() {
    let host = Host::new();
    let null = host.add("null", Backend::Null);
    let _frontend = null.claim(many(1)).unwrap();
    host.add("idle", Backend::Null);
    let chardevs = &host.chardevs;
    let mux = |id: &str| {
        Config::from(Backend::Mux {
            chardev: id.to_owned(),
        })
    };
    let cases = [
        (
            chardevs.add("null", Backend::Null.into()).err(),
            "Chardev with id 'null' already exists",
        ),
        (chardevs.remove("x").err(), "Chardev 'x' not found"),
        (chardevs.remove("null").err(), "Chardev 'null' is busy"),
        (chardevs.send_break("x").err(), "Chardev 'x' not found"),
        (
            chardevs.change("x", Backend::Null.into()).err(),
            "Chardev 'x' does not exist",
        ),
        (
            chardevs.change("null", Backend::Null.into()).err(),
            "Chardev user does not support chardev hotswap",
        ),
        (
            chardevs.change("idle", mux("null")).err(),
            "Mux device hotswap not supported yet",
        ),
        (
            null.claim(Clients::One).err(),
            "chardev 'null' is already in use",
        ),
        (
            chardevs.add("m", mux("null")).err(),
            "chardev 'null' is already in use",
        ),
        (
            chardevs.add("m", mux("x")).err(),
            "mux: base chardev x not found",
        ),
        (chardevs.ringbuf_read("x", 1).err(), "Device 'x' not found"),
        (
            chardevs.ringbuf_read("null", 1).err(),
            "null is not a ringbuf device",
        ),
    ];
    for (error, text) in cases {
        assert_eq!(error.map(|error| error.to_string()).as_deref(), Some(text));
    }
    chardevs.remove("idle").unwrap();
    assert_eq!(chardevs.list().len(), 1);
}
