//! Ports as a guest opens and uses them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::Virtio;
use crate::driver::{Guest, Ring};

/// A host side with bytes to give and room to take.
#[derive(Default)]
struct Host {
    input: Mutex<VecDeque<u8>>,
    output: Mutex<Vec<u8>>,
    room: AtomicUsize,
}

struct Side(Arc<Host>);

impl Backend for Side {
    fn write(&self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.0.room.load(Ordering::Relaxed));
        self.0.room.fetch_sub(taken, Ordering::Relaxed);
        self.0.output.lock().unwrap().extend(&bytes[..taken]);
        taken
    }

    fn read(&self, bytes: &mut [u8]) -> usize {
        let mut input = self.0.input.lock().unwrap();
        let count = bytes.len().min(input.len());
        for (to, from) in bytes.iter_mut().zip(input.drain(..count)) {
            *to = from;
        }
        count
    }
}

struct Rig {
    guest: Guest,
    device: Arc<Virtio>,
    serial: Arc<Serial>,
    host: Arc<Host>,
    seen: Arc<Mutex<Vec<bool>>>,
    rings: Vec<Ring>,
}

fn rig(features: u64) -> Rig {
    let guest = Guest::new();
    let mut serial = None;
    let device = guest.plug(|port| Arc::clone(serial.insert(Serial::new(port, 4, true))));
    guest.negotiate(&device, features);
    let rings = (0..device.queue_count()).map(|queue| {
        let ring = Ring::split(&guest, 16);
        ring.enable(&device, queue);
        ring
    });
    let rings = rings.collect();
    let rig = Rig {
        serial: serial.unwrap(),
        host: Arc::default(),
        seen: Arc::default(),
        guest,
        device,
        rings,
    };
    rig.guest.start(&rig.device, features);
    rig
}

impl Rig {
    fn config(&self, name: Option<&str>, is_console: bool) -> PortConfig {
        let seen = Arc::clone(&self.seen);
        PortConfig {
            number: None,
            name: name.map(str::to_owned),
            is_console,
            backend: Some(Box::new(Side(Arc::clone(&self.host)))),
            observer: Box::new(move |open| seen.lock().unwrap().push(open)),
        }
    }

    fn send(&mut self, queue: usize, bytes: &[u8]) -> u16 {
        let head = self.rings[queue].add(&self.guest, &[bytes], &[]);
        self.device.kick(queue);
        self.device.process();
        head
    }

    /// Gives the device buffers for control messages and returns what it sends.
    fn messages(&mut self) -> Vec<(u32, u16, Vec<u8>)> {
        let mut messages = Vec::new();
        loop {
            let ring = &mut self.rings[CONTROL_IN];
            let head = ring.add(&self.guest, &[], &[64]);
            self.device.kick(CONTROL_IN);
            self.device.process();
            let Some((used, length)) = self.rings[CONTROL_IN].used(&self.guest) else {
                return messages;
            };
            assert!(used <= head && length >= 8);
            let bytes = self.rings[CONTROL_IN].filled(&self.guest, used);
            let port = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let what = u16::from_le_bytes([bytes[4], bytes[5]]);
            messages.push((port, what, bytes[6..length as usize].to_vec()));
        }
    }

    fn open(&mut self, number: u32) {
        self.send(CONTROL_OUT, &message(number, event::PORT_OPEN, 1));
    }
}

#[test]
fn a_guest_learns_of_its_ports() {
    let mut rig = rig(feature::MULTIPORT);
    assert_eq!(rig.serial.add_port(rig.config(None, true)), Ok(0));
    assert_eq!(rig.serial.add_port(rig.config(Some("org.x"), false)), Ok(1));
    rig.serial.set_host_connected(1, true);
    let plugged = rig.messages();
    let expected = [(0, 1, vec![1, 0]), (1, 1, vec![1, 0]), (1, 6, vec![1, 0])];
    assert_eq!(plugged, expected);
    rig.send(CONTROL_OUT, &message(0, event::DEVICE_READY, 1));
    assert_eq!(rig.messages(), expected[..2]);
    rig.send(CONTROL_OUT, &message(0, event::PORT_READY, 1));
    assert_eq!(rig.messages(), [(0, 4, vec![1, 0]), (0, 6, vec![1, 0])]);
    rig.send(CONTROL_OUT, &message(1, event::PORT_READY, 1));
    let named = [&[1, 0][..], b"org.x\0"].concat();
    assert_eq!(rig.messages(), [(1, 7, named), (1, 6, vec![1, 0])]);
    rig.serial.remove_port(1);
    assert_eq!(rig.messages(), [(1, 2, vec![1, 0])]);
}

#[test]
fn bytes_go_both_ways_once_both_sides_are_open() {
    let mut rig = rig(feature::MULTIPORT);
    rig.serial.add_port(rig.config(None, false)).unwrap();
    let (input, output) = (input_queue(1), input_queue(1) + 1);
    rig.host.room.store(100, Ordering::Relaxed);
    // Nobody is there: what the guest sends is lost.
    let head = rig.send(output, b"lost");
    assert_eq!(rig.rings[output].used(&rig.guest), Some((head, 0)));
    rig.serial.set_host_connected(1, true);
    rig.send(output, b"heard");
    assert_eq!(*rig.host.output.lock().unwrap(), b"heard");

    rig.host.input.lock().unwrap().extend(b"hello");
    let head = rig.rings[input].add(&rig.guest, &[], &[3, 10]);
    rig.serial.readable(1);
    rig.device.process();
    assert_eq!(rig.rings[input].used(&rig.guest), None);
    rig.open(1);
    rig.device.process();
    assert_eq!(rig.rings[input].used(&rig.guest), Some((head, 5)));
    assert_eq!(&rig.rings[input].filled(&rig.guest, head)[..5], b"hello");
    assert_eq!(*rig.seen.lock().unwrap(), [true]);
}

#[test]
fn a_slow_host_slows_the_guest() {
    let mut rig = rig(feature::MULTIPORT);
    rig.serial.add_port(rig.config(None, false)).unwrap();
    rig.serial.set_host_connected(1, true);
    let output = input_queue(1) + 1;
    rig.host.room.store(3, Ordering::Relaxed);
    rig.send(output, b"abcdef");
    let second = rig.send(output, b"gh");
    assert!(rig.serial.port_state(1).unwrap().throttled);
    rig.host.room.store(100, Ordering::Relaxed);
    rig.serial.writable(1);
    rig.device.process();
    assert_eq!(*rig.host.output.lock().unwrap(), b"abcdefgh");
    assert_eq!(rig.rings[output].used(&rig.guest), Some((0, 0)));
    assert_eq!(rig.rings[output].used(&rig.guest), Some((second, 0)));

    // When the host leaves, what it has not taken is lost.
    rig.host.room.store(1, Ordering::Relaxed);
    let third = rig.send(output, b"xyz");
    rig.serial.set_host_connected(1, false);
    assert_eq!(rig.rings[output].used(&rig.guest), Some((third, 0)));
}

#[test]
fn a_console_never_waits() {
    let mut rig = rig(feature::MULTIPORT);
    rig.serial.add_port(rig.config(None, true)).unwrap();
    rig.host.room.store(2, Ordering::Relaxed);
    let head = rig.send(1, b"abcd");
    assert_eq!(rig.rings[1].used(&rig.guest), Some((head, 0)));
    assert_eq!(*rig.host.output.lock().unwrap(), b"ab");
    rig.host.room.store(2, Ordering::Relaxed);
    rig.device.write_config(8, &b'!'.to_le_bytes());
    assert_eq!(*rig.host.output.lock().unwrap(), b"ab!");
}

#[test]
fn a_reset_closes_what_the_guest_had_open() {
    let mut rig = rig(feature::MULTIPORT);
    rig.serial.add_port(rig.config(None, false)).unwrap();
    rig.open(1);
    rig.device.reset();
    rig.device.reset();
    assert_eq!(*rig.seen.lock().unwrap(), [true, false]);
}

#[test]
fn a_guest_without_control_has_port_0() {
    let mut rig = rig(0);
    rig.serial.add_port(rig.config(None, true)).unwrap();
    rig.host.input.lock().unwrap().extend(b"x");
    let head = rig.rings[0].add(&rig.guest, &[], &[4]);
    rig.serial.readable(0);
    rig.device.process();
    assert_eq!(rig.rings[0].used(&rig.guest), Some((head, 1)));
}

#[test]
fn numbers_and_names_are_checked() {
    let rig = rig(feature::MULTIPORT);
    let check = |number, name, console, expected: &str| {
        let config = PortConfig {
            number,
            ..rig.config(name, console)
        };
        let added = rig.serial.add_port(config);
        let text = added.map_or_else(|error| error.to_string(), |number| number.to_string());
        assert_eq!(text, expected);
    };
    check(Some(2), Some("a"), false, "2");
    check(
        Some(2),
        None,
        false,
        "virtio-serial-bus: A port already exists at id 2",
    );
    check(
        None,
        Some("a"),
        false,
        "virtio-serial-bus: A port already exists by name a",
    );
    check(
        Some(9),
        None,
        false,
        "virtio-serial-bus: Out-of-range port id specified, max. allowed: 3",
    );
    check(
        Some(0),
        None,
        false,
        "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility.",
    );
    check(None, None, true, "0");
    check(None, None, true, "1");
    check(None, None, false, "3");
    check(
        None,
        None,
        false,
        "virtio-serial-bus: Out-of-range port id specified, max. allowed: 3",
    );
}
