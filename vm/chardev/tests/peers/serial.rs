//! A serial port on a device: queues, and peers that stand still.

use super::*;

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
