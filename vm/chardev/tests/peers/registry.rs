//! The registry: sharing, changing and refusing devices.

use super::*;

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
fn mux_keeps_what_comes_before_its_front_ends() {
    let host = Host::new();
    let held = host.chardevs.hold_input();
    let path = host.path("s");
    host.add("base", server(unix(&path)));
    let over_base = Backend::Mux {
        chardev: "base".to_owned(),
    };
    let mux = host.add("m", over_base);
    let mut peer = UnixStream::connect(&path).unwrap();
    peer.write_all(b"\x01cinfo").unwrap();
    // Time enough to lose it.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut monitor_end = mux.claim(many(1)).unwrap();
    let mut monitor = host.accept(&mut monitor_end);
    let _console = host.serial(&mux);
    drop(held);
    assert_eq!(host.receive(&mut monitor, 4), b"info");
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
