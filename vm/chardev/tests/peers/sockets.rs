//! Sockets of every kind, as servers and clients.

use super::*;

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
