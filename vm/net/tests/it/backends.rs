//! Frames through real back ends, from one card to another.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tinamou_chardev::{Chardevs, InetAddress, SocketAddress};
use tinamou_net::{
    Config, Datagram, Error, Event, Frame, LegacySocket, Network, Nic, NicConfig, Stream,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    network: Network,
    events: Receiver<Event>,
    runtime: Handle,
    _end: oneshot::Sender<()>,
}

fn bench() -> Bench {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (sender, events) = channel();
    let handle = runtime.handle().clone();
    let network = Network::new(
        handle.clone(),
        Chardevs::new(handle.clone()),
        move |event| {
            // The test may have ended.
            let _ = sender.send(event);
        },
    );
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || runtime.block_on(ended));
    Bench {
        network,
        events,
        runtime: handle,
        _end: end,
    }
}

impl Bench {
    fn nic(&self, netdev: &str) -> Nic {
        let config = NicConfig {
            model: "test-nic".to_owned(),
            netdev: Some(netdev.to_owned()),
            ..NicConfig::default()
        };
        self.network.add_nic(config).expect("a free back end")
    }

    fn recv(&self, nic: &Nic) -> Frame {
        let frame = self
            .runtime
            .block_on(async { timeout(PATIENCE, nic.port().recv()).await });
        frame.expect("a frame in time")
    }

    /// Sends until one arrives: links and routes may take a moment to come up.
    fn reach(&self, from: &Nic, to: &Nic) {
        for number in 0..200u8 {
            send(from, number);
            let frame = self
                .runtime
                .block_on(async { timeout(Duration::from_millis(50), to.port().recv()).await });
            if frame.is_ok() {
                return self.drain(to);
            }
        }
        panic!("nothing arrives");
    }

    fn drain(&self, nic: &Nic) {
        std::thread::sleep(Duration::from_millis(20));
        while nic.port().try_recv().is_some() {}
    }

    /// Frames of many lengths arrive whole and in order, both ways.
    fn exchange(&self, a: &Nic, b: &Nic) {
        self.reach(a, b);
        self.reach(b, a);
        for (from, to) in [(a, b), (b, a)] {
            let lengths = [14, 60, 61, 1514, 9000];
            for length in lengths {
                from.port().try_send(pattern(length)).expect("room");
            }
            for length in lengths {
                assert_eq!(self.recv(to), pattern(length), "{length} bytes");
            }
        }
    }
}

fn pattern(length: usize) -> Frame {
    (0..length)
        .map(|i| (i * 7 + length) as u8)
        .collect::<Vec<_>>()
        .into()
}

fn send(nic: &Nic, number: u8) {
    nic.port().try_send(vec![number; 60].into()).expect("room");
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn inet(port: u16) -> SocketAddress {
    SocketAddress::Inet(InetAddress {
        host: "127.0.0.1".to_owned(),
        port: port.to_string(),
        ..InetAddress::default()
    })
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(local(0)).expect("a port");
    socket.local_addr().expect("its address").port()
}

fn server(address: SocketAddress) -> Config {
    Config::Stream(Stream {
        address,
        server: true,
        reconnect: None,
    })
}

fn client(address: SocketAddress) -> Config {
    Config::Stream(Stream {
        address,
        server: false,
        reconnect: Some(Duration::from_millis(5)),
    })
}

#[test]
fn stream_over_tcp() {
    let bench = bench();
    let port = free_port();
    bench.network.add("s", server(inet(port))).expect("server");
    bench.network.add("c", client(inet(port))).expect("client");
    bench.exchange(&bench.nic("s"), &bench.nic("c"));
    let info = bench.network.describe();
    assert!(
        info.contains(&format!("c: index=0,type=stream,tcp:127.0.0.1:{port}")),
        "{info}"
    );
}

#[test]
fn stream_over_a_path_and_back_after_a_loss() {
    let bench = bench();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("net");
    bench
        .network
        .add("s", server(SocketAddress::Unix(path.clone())))
        .expect("server");
    bench
        .network
        .add("c", client(SocketAddress::Unix(path.clone())))
        .expect("client");
    let nic = bench.nic("c");
    bench.exchange(&bench.nic("s"), &nic);
    bench.network.remove("s").expect("there");
    bench
        .network
        .add("s", server(SocketAddress::Unix(path)))
        .expect("server again");
    bench.exchange(&bench.nic("s"), &nic);
    let of_client = |event: &Event| match event {
        Event::StreamConnected { netdev, .. } | Event::StreamDisconnected { netdev } => {
            netdev == "c"
        }
        _ => false,
    };
    let seen: Vec<bool> = bench
        .events
        .try_iter()
        .filter(of_client)
        .map(|event| matches!(event, Event::StreamConnected { .. }))
        .collect();
    assert_eq!(seen, [true, false, true]);
}

#[test]
fn a_peer_that_talks_nonsense_is_left() {
    use std::io::{Read as _, Write as _};
    let bench = bench();
    let port = free_port();
    bench.network.add("s", server(inet(port))).expect("server");
    let mut peer = std::net::TcpStream::connect(local(port)).expect("connect");
    peer.write_all(&[0xff; 64]).expect("send");
    peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let end = peer.read(&mut [0; 8]);
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    let closed: Vec<_> = bench.events.iter().take(2).collect();
    assert_eq!(
        closed[1],
        Event::StreamDisconnected {
            netdev: "s".to_owned()
        }
    );
}

#[test]
fn legacy_tcp() {
    let bench = bench();
    let port = free_port();
    let listen = LegacySocket::Listen(local(port));
    bench
        .network
        .add("l", Config::Socket(listen))
        .expect("listen");
    let connect = LegacySocket::Connect(local(port));
    bench
        .network
        .add("c", Config::Socket(connect))
        .expect("connect");
    bench.exchange(&bench.nic("l"), &bench.nic("c"));
}

#[test]
fn udp() {
    let bench = bench();
    let (a, b) = (free_port(), free_port());
    let udp = |from, to| {
        Config::Dgram(Datagram::Udp {
            local: local(from),
            remote: local(to),
        })
    };
    bench.network.add("a", udp(a, b)).expect("a");
    bench.network.add("b", udp(b, a)).expect("b");
    bench.exchange(&bench.nic("a"), &bench.nic("b"));
}

#[test]
fn unix_datagrams() {
    let bench = bench();
    let dir = tempfile::tempdir().expect("a directory");
    let unix = |from: &str, to: &str| {
        Config::Dgram(Datagram::Unix {
            local: dir.path().join(from),
            remote: dir.path().join(to),
        })
    };
    bench.network.add("a", unix("x", "y")).expect("a");
    bench.network.add("b", unix("y", "x")).expect("b");
    bench.exchange(&bench.nic("a"), &bench.nic("b"));
    bench.network.remove("a").expect("there");
    assert!(!dir.path().join("x").exists());
}

#[test]
fn passed_datagram_sockets() {
    let bench = bench();
    let (a, b) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
    for (id, fd) in [("a", a), ("b", b)] {
        let (name, fd) = (id.to_owned(), fd.into());
        bench
            .network
            .add(id, Config::Dgram(Datagram::Fd { name, fd }))
            .expect(id);
    }
    bench.exchange(&bench.nic("a"), &bench.nic("b"));
}

#[test]
fn a_hub_repeats_to_all_others() {
    let bench = bench();
    let port = |netdev: Option<&str>| Config::Hubport {
        hub: 0,
        netdev: netdev.map(str::to_owned),
    };
    for id in ["h0", "h1", "h2"] {
        bench.network.add(id, port(None)).expect(id);
    }
    let nics = ["h0", "h1", "h2"].map(|id| bench.nic(id));
    bench.exchange(&nics[0], &nics[1]);
    bench.drain(&nics[2]);
    send(&nics[0], 9);
    assert_eq!(bench.recv(&nics[1]), vec![9; 60].into());
    assert_eq!(bench.recv(&nics[2]), vec![9; 60].into());
    assert_eq!(nics[0].port().try_recv(), None);
    assert_eq!(
        bench.network.describe(),
        "hub 0\n \\ h2: test-nic.2: index=0,type=nic,model=test-nic,macaddr=52:54:00:12:34:58\n \
         \\ h1: test-nic.1: index=0,type=nic,model=test-nic,macaddr=52:54:00:12:34:57\n \
         \\ h0: test-nic.0: index=0,type=nic,model=test-nic,macaddr=52:54:00:12:34:56\n"
    );
}

#[test]
fn a_hub_reaches_a_back_end() {
    let bench = bench();
    let (a, b) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
    for (id, fd) in [("a", a), ("b", b)] {
        let (name, fd) = (id.to_owned(), fd.into());
        bench
            .network
            .add(id, Config::Dgram(Datagram::Fd { name, fd }))
            .expect(id);
    }
    let port = |netdev: Option<&str>| Config::Hubport {
        hub: 5,
        netdev: netdev.map(str::to_owned),
    };
    bench.network.add("h0", port(None)).expect("h0");
    bench.network.add("h1", port(Some("a"))).expect("h1");
    assert!(matches!(
        bench.network.add("h2", port(Some("a"))),
        Err(Error::InUse(_))
    ));
    assert!(matches!(
        bench.network.add("h2", port(Some("z"))),
        Err(Error::NoNetdev(_))
    ));
    bench.exchange(&bench.nic("h0"), &bench.nic("b"));
}

#[test]
fn links_and_names() {
    let bench = bench();
    let (a, _b) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
    let config = Datagram::Fd {
        name: "3".to_owned(),
        fd: a.into(),
    };
    bench.network.add("a", Config::Dgram(config)).expect("a");
    assert_eq!(bench.network.loose_ends(), ["netdev a has no peer"]);
    assert_eq!(bench.network.is_free("a"), Some(true));
    let nic = bench.nic("a");
    assert_eq!(bench.network.is_free("a"), Some(false));
    assert_eq!(bench.network.is_free("b"), None);
    assert_eq!(nic.name(), "test-nic.0");
    bench.network.set_link("a", false).expect("there");
    assert!(!nic.port().link_is_up());
    bench.network.set_link("test-nic.0", true).expect("there");
    assert!(nic.port().link_is_up());
    let error = bench.network.set_link("b", true).expect_err("not there");
    assert_eq!(error.to_string(), "Device 'b' not found");
    bench.network.remove("a").expect("there");
    assert!(!nic.port().link_is_up());
    let shown = bench.network.describe();
    assert!(
        shown.ends_with(" \\ a: index=0,type=dgram,fd=3\n"),
        "{shown}"
    );
    drop(nic);
    assert_eq!(bench.network.describe(), "");
}
