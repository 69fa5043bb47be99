//! What is spoken over sockets, and sockets of the rarer kinds.

use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tinamou_chardev::{Authorizer, Endpoint, TlsCreds, TlsFiles, Udp};

use super::*;

const LISTEN: Role = Role::Server { wait: false };

/// Has both sides say something to each other.
fn converse(host: &Host, ours: &mut Connection, mut theirs: impl Read + Write) {
    theirs.write_all(b"ping").unwrap();
    assert_eq!(host.receive(ours, 4), b"ping");
    host.send(ours, b"pong");
    assert_eq!(read_exactly(&mut theirs, 4), b"pong");
}

#[test]
fn abstract_names() {
    let host = Host::new();
    let name = format!("tinamou-test-{}", std::process::id());
    for tight in [true, false] {
        let mut padded = name.clone().into_bytes();
        if !tight {
            padded.resize(107, 0);
        }
        let address = SocketAddress::Abstract {
            name: name.clone().into_bytes(),
            tight,
        };
        let chardev = host.add(&format!("a{tight}"), server(address));
        let shown = if tight { ",tight=on" } else { "" };
        let filename = format!("disconnected:unix:{name},abstract=on{shown},server=on");
        assert_eq!(chardev.filename(), filename);
        let mut frontend = chardev.claim(Clients::One).unwrap();
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&padded).unwrap();
        let peer = UnixStream::connect_addr(&address).unwrap();
        converse(&host, &mut host.accept(&mut frontend), peer);
    }
}

#[test]
fn families_of_addresses() {
    if TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("SKIPPED: this host has no IPv6");
    }
    let host = Host::new();
    let with = |host: &str, ipv4, ipv6| {
        SocketAddress::Inet(InetAddress {
            ipv4,
            ipv6,
            ..inet(host, 0)
        })
    };
    let six = host.add("six", server(with("::1", None, None)));
    let mut frontend = six.claim(Clients::One).unwrap();
    let peer = TcpStream::connect(("::1", bound_port(&six))).unwrap();
    converse(&host, &mut host.accept(&mut frontend), peer);
    // One name, and one family or both.
    for (id, ipv4, ipv6, reached) in [
        ("only4", Some(true), Some(false), [true, false]),
        ("only6", Some(false), Some(true), [false, true]),
        ("both", None, None, [true, true]),
    ] {
        let chardev = host.add(id, server(with("", ipv4, ipv6)));
        let port = bound_port(&chardev);
        let reaches = |host: &str| TcpStream::connect((host, port)).is_ok();
        assert_eq!(["127.0.0.1", "::1"].map(reaches), reached, "{id}");
    }
    assert_eq!(
        host.refusal("none", server(with("localhost", Some(false), Some(false)))),
        "Cannot disable IPv4 and IPv6 at same time"
    );
}

#[test]
fn datagrams() {
    let host = Host::new();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(LIMIT)).unwrap();
    let remote = inet("127.0.0.1", peer.local_addr().unwrap().port());
    let local = Some(inet("127.0.0.1", 0));
    let chardev = host.add("u", Backend::Udp(Udp { remote, local }));
    assert_eq!(chardev.filename(), "udp");
    let mut frontend = chardev.claim(Clients::One).unwrap();
    let mut connection = host.accept(&mut frontend);
    host.send(&mut connection, b"out");
    let mut datagram = [0; 8];
    let (count, sender) = peer.recv_from(&mut datagram).unwrap();
    assert_eq!(datagram[..count], *b"out");
    for part in [&b"in"[..], b"", b"to"] {
        peer.send_to(part, sender).unwrap();
    }
    assert_eq!(host.receive(&mut connection, 4), b"into");
    // Nobody listens any more: what is sent is lost, and that is all.
    drop(peer);
    for _ in 0..3 {
        host.send(&mut connection, b"lost");
    }
}

#[test]
fn a_hub_joins_devices() {
    let host = Host::new();
    let paths = ["a", "b"].map(|id| host.path(id));
    for (id, path) in ["a", "b"].into_iter().zip(&paths) {
        host.add(id, server(unix(path)));
    }
    let ids = ["a", "b"].map(String::from).to_vec();
    let hub = |chardevs| Backend::Hub { chardevs };
    let chardev = host.add("h", hub(ids.clone()));
    assert_eq!(chardev.filename(), "hub");
    let mut frontend = chardev.claim(Clients::One).unwrap();
    let mut connection = host.accept(&mut frontend);
    let mut peers = paths.map(|path| UnixStream::connect(path).unwrap());
    for peer in &mut peers {
        peer.write_all(b"in").unwrap();
        assert_eq!(host.receive(&mut connection, 2), b"in");
    }
    host.send(&mut connection, b"out");
    for peer in &mut peers {
        assert_eq!(read_exactly(peer, 3), b"out");
    }
    // One may leave; the other goes on.
    let [left, mut stays] = peers;
    drop(left);
    host.send(&mut connection, b"more");
    assert_eq!(read_exactly(&mut stays, 4), b"more");
    assert_eq!(host.refusal("i", hub(ids)), "chardev 'a' is already in use");
    let stacked = host.refusal("i", hub(vec!["h".into()]));
    assert!(stacked.contains("can't be stacked, check chardev 'h'"));
    let nothing = "hub: 'chardevs' list is not defined";
    assert_eq!(host.refusal("i", hub(Vec::new())), nothing);
    drop((connection, frontend));
    host.chardevs.remove("h").unwrap();
    host.chardevs.remove("a").unwrap();
}

#[test]
fn sockets_between_host_and_guests() {
    const LOOPBACK: u32 = 1;
    const ANY: u32 = u32::MAX;
    let port = 0x4000_0000 + std::process::id();
    let host = Host::new();
    let address = |cid| SocketAddress::Vsock { cid, port };
    let Ok(chardev) = host.chardevs.add("v", server(address(ANY)).into()) else {
        return eprintln!("SKIPPED: this host has no vsock");
    };
    assert_eq!(
        chardev.filename(),
        format!("disconnected:vsock:{ANY}:{port},server=on")
    );
    let mut frontend = chardev.claim(Clients::One).unwrap();
    let caller = socket(address(LOOPBACK), client(None), false);
    let Ok(caller) = host.chardevs.add("c", caller.into()) else {
        return eprintln!("SKIPPED: this host has no vsock loopback");
    };
    let mut calling = caller.claim(Clients::One).unwrap();
    let (mut ours, mut theirs) = (host.accept(&mut frontend), host.accept(&mut calling));
    host.send(&mut theirs, b"hello");
    assert_eq!(host.receive(&mut ours, 5), b"hello");
}

#[test]
fn a_websocket() {
    let host = Host::new();
    let mut config = plain(SocketAddress::Inet(inet("127.0.0.1", 0)), LISTEN);
    config.websocket = true;
    let chardev = host.add("w", Backend::Socket(config));
    let port = bound_port(&chardev);
    let name = format!("disconnected:websocket:127.0.0.1:{port},server=on");
    assert_eq!(chardev.filename(), name);
    let mut frontend = chardev.claim(many(2)).unwrap();
    // One that says nothing, and one that says something else, are in nobody's way.
    let silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut lost = TcpStream::connect(("127.0.0.1", port)).unwrap();
    lost.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut reply = String::new();
    lost.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    let mut peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // A frame may come right behind the request.
    peer.write_all(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\
          \x82\x84\x01\x02\x03\x04qkmc",
    )
    .unwrap();
    let mut connection = host.accept(&mut frontend);
    let reply = read_exactly(&mut peer, b"HTTP/1.1 101 Switching Protocols\r\n".len());
    assert_eq!(reply, b"HTTP/1.1 101 Switching Protocols\r\n");
    let mut last = [0; 4];
    while last != *b"\r\n\r\n" {
        last.rotate_left(1);
        last[3] = read_exactly(&mut peer, 1)[0];
    }
    assert_eq!(host.receive(&mut connection, 4), b"ping");
    host.send(&mut connection, b"pong");
    assert_eq!(read_exactly(&mut peer, 6), b"\x82\x04pong");
    // A ping is answered while the front end reads, and a close ends it.
    peer.write_all(b"\x89\x81\0\0\0\0!\x88\x80\0\0\0\0")
        .unwrap();
    assert!(host.at_end(&mut connection));
    assert_eq!(read_exactly(&mut peer, 5), b"\x8a\x01!\x88\x00");
    drop(silent);
}

/// Runs openssl in `dir`; false where there is none.
fn openssl(dir: &Path, arguments: &str) -> bool {
    let status = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Makes an authority, and certificates of a server and a client; false where there is no openssl.
fn certificates(dir: &Path) -> bool {
    fs::create_dir(dir).unwrap();
    fs::write(
        dir.join("names"),
        "subjectAltName=DNS:localhost,IP:127.0.0.1\n",
    )
    .unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let sign = "-CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 30 -extfile names";
    openssl(
        dir,
        &format!("req -x509 {key} -subj /CN=ca -days 30 -keyout ca-key.pem -out ca-cert.pem"),
    ) && ["server", "client"].iter().all(|side| {
        let request = format!("req {key} -subj /CN={side} -keyout {side}-key.pem -out {side}.csr");
        openssl(dir, &request)
            && openssl(
                dir,
                &format!("x509 -req -in {side}.csr {sign} -out {side}-cert.pem"),
            )
    })
}

fn credentials(dir: &Path, endpoint: Endpoint) -> Option<TlsCreds> {
    let files = TlsFiles {
        dir: dir.to_owned(),
        endpoint,
        verify_peer: true,
    };
    Some(TlsCreds::load(&files).unwrap())
}

/// A client that is not ours.
fn s_client(dir: &Path, port: u16, more: &[&str]) -> Child {
    Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-CAfile",
            "ca-cert.pem",
        ])
        .args(["-connect", &format!("127.0.0.1:{port}")])
        .args(more)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_certificate_decides_who_gets_in() {
    let host = Host::new();
    let dir = host.path("pki");
    if !certificates(&dir) {
        return eprintln!("SKIPPED: there is no openssl");
    }
    let admitted = Arc::new(Mutex::new(String::new()));
    let name = Arc::clone(&admitted);
    let mut config = plain(SocketAddress::Inet(inet("127.0.0.1", 0)), LISTEN);
    config.tls = credentials(&dir, Endpoint::Server);
    config.authorizer = Some(Authorizer::new(move |peer| peer == *name.lock().unwrap()));
    let chardev = host.add("t", Backend::Socket(config));
    let port = bound_port(&chardev);
    let mut frontend = chardev.claim(many(4)).unwrap();
    let call = || {
        let identity = ["-cert", "client-cert.pem", "-key", "client-key.pem"];
        s_client(&dir, port, &identity)
    };
    // Whom nobody admits is sent away.
    call().wait().unwrap();
    *admitted.lock().unwrap() = "CN=client".into();
    let mut friend = call();
    let mut connection = host.accept(&mut frontend);
    host.send(&mut connection, b"hello");
    assert_eq!(read_exactly(friend.stdout.as_mut().unwrap(), 5), b"hello");
    friend.kill().unwrap();
    friend.wait().unwrap();
}

#[test]
fn tls() {
    let host = Host::new();
    let dir = host.path("pki");
    if !certificates(&dir) {
        return eprintln!("SKIPPED: there is no openssl");
    }
    let mut config = plain(SocketAddress::Inet(inet("127.0.0.1", 0)), LISTEN);
    config.tls = credentials(&dir, Endpoint::Server);
    let chardev = host.add("t", Backend::Socket(config));
    let port = bound_port(&chardev);
    let mut frontend = chardev.claim(many(4)).unwrap();
    // Without a certificate nobody gets in.
    let mut stranger = s_client(&dir, port, &[]);
    assert!(!stranger.wait().unwrap().success());
    let mut friend = s_client(
        &dir,
        port,
        &["-cert", "client-cert.pem", "-key", "client-key.pem"],
    );
    let mut connection = host.accept(&mut frontend);
    friend.stdin.as_mut().unwrap().write_all(b"ping").unwrap();
    assert_eq!(host.receive(&mut connection, 4), b"ping");
    host.send(&mut connection, b"pong");
    assert_eq!(read_exactly(friend.stdout.as_mut().unwrap(), 4), b"pong");
    friend.kill().unwrap();
    friend.wait().unwrap();
    // Our own client, which also knows the server by its name.
    let mut config = plain(SocketAddress::Inet(inet("localhost", port)), client(None));
    config.tls = credentials(&dir, Endpoint::Client);
    let caller = host.add("c", Backend::Socket(config));
    let mut calling = caller.claim(Clients::One).unwrap();
    let (mut ours, mut theirs) = (host.accept(&mut frontend), host.accept(&mut calling));
    host.send(&mut theirs, b"hello");
    assert_eq!(host.receive(&mut ours, 5), b"hello");
    // The other side's credentials, and none at all.
    let mut config = plain(unix(&host.path("x")), LISTEN);
    config.tls = credentials(&dir, Endpoint::Client);
    assert_eq!(
        host.refusal("x", Backend::Socket(config)),
        "Expected TLS credentials for a server endpoint"
    );
    let missing = TlsCreds::load(&TlsFiles {
        dir: "/nonexistent".into(),
        endpoint: Endpoint::Server,
        verify_peer: true,
    });
    assert_eq!(
        missing.unwrap_err().to_string(),
        "Unable to access credentials /nonexistent/ca-cert.pem: No such file or directory"
    );
}
