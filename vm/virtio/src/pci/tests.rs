//! Configuration bytes held against QEMU's, and the registers as drivers use them.

use tinamou_devices::{IrqLine, MsiSink};
use tinamou_pci::{Devfn, PciHost};

use super::*;
use crate::driver::{Guest, Ring};
use crate::rng::{Entropy, Rate, Rng};
use crate::{RingOptions, VirtioDevice};

/// A device of any type with a configuration space of any size.
struct Blank(DeviceType, usize);

impl VirtioDevice for Blank {
    fn device_type(&self) -> DeviceType {
        self.0
    }
    fn queue_sizes(&self) -> Vec<u16> {
        vec![8]
    }
    fn config(&self) -> Vec<u8> {
        vec![0; self.1]
    }
    fn kick(&self, _: usize) {}
}

const OTHER: u16 = 0x00ff;

fn blank(device: DeviceType, config_size: usize, options: &Options) -> Arc<Function> {
    let guest = Guest::new();
    let rings = RingOptions::default();
    let virtio = Virtio::new(guest.site.clone(), &rings, options.features(), |_| {
        Arc::new(Blank(device, config_size))
    });
    VirtioPci::function("virtio-pci", "", virtio, options).0
}

/// Compares rows of 16 bytes; rows that are not listed are zero.
fn check_bytes(function: &Function, expected: &str) {
    let mut rows = vec![[0u8; 16]; 16];
    for line in expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (row, bytes) = line.split_once(": ").unwrap();
        let row = usize::from_str_radix(row, 16).unwrap() / 16;
        for (byte, text) in rows[row].iter_mut().zip(bytes.split(' ')) {
            *byte = u8::from_str_radix(text, 16).unwrap();
        }
    }
    for (row, expected) in rows.iter().enumerate() {
        let actual: Vec<_> = (0..16)
            .map(|i| function.config_read(row as u16 * 16 + i, 1) as u8)
            .collect();
        assert_eq!(actual, expected, "row {:#x}", row * 16);
    }
}

/// What each bar answers to being written all ones.
fn check_bars(function: &Function, expected: [u32; 6]) {
    let sized = [0, 1, 2, 3, 4, 5].map(|bar| {
        let register = 0x10 + 4 * bar;
        function.config_write(register, 4, u32::MAX);
        function.config_read(register, 4)
    });
    assert_eq!(sized, expected);
}

#[test]
fn a_transitional_function() {
    let function = blank(DeviceType::Rng, 0, &Options::new(OTHER));
    check_bytes(
        &function,
        "000: f4 1a 05 10 00 00 10 00 00 00 ff 00 00 00 00 00
         010: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
         020: 0c 00 00 00 00 00 00 00 00 00 00 00 f4 1a 04 00
         030: 00 00 00 00 98 00 00 00 00 00 00 00 00 01 00 00
         040: 09 00 10 01 04 00 00 00 00 00 00 00 00 10 00 00
         050: 09 40 10 03 04 00 00 00 00 10 00 00 00 10 00 00
         060: 09 50 10 04 04 00 00 00 00 20 00 00 00 10 00 00
         070: 09 60 14 02 04 00 00 00 00 30 00 00 00 10 00 00
         080: 04 00 00 00 09 70 14 05 00 00 00 00 00 00 00 00
         090: 00 00 00 00 00 00 00 00 11 84 01 00 01 00 00 00
         0a0: 01 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
    );
    check_bars(
        &function,
        [0xffff_ffe1, 0xffff_f000, 0, 0, 0xffff_c00c, u32::MAX],
    );
}

#[test]
fn a_function_behind_a_port() {
    let options = Options {
        mode: Mode::MODERN,
        express: true,
        ..Options::new(OTHER)
    };
    let function = blank(DeviceType::Rng, 0, &options);
    check_bytes(
        &function,
        "000: f4 1a 44 10 00 00 10 00 01 00 ff 00 00 00 00 00
         020: 0c 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
         030: 00 00 00 00 dc 00 00 00 00 00 00 00 00 01 00 00
         040: 10 00 02 00 20 80 00 10 00 00 00 00 11 04 00 00
         050: 00 00 11 00 00 00 00 00 00 00 00 00 00 00 00 00
         060: 00 00 00 00 00 00 30 00 00 00 00 00 00 00 00 00
         070: 00 00 00 00 00 00 00 00 00 00 00 00 01 40 03 00
         080: 00 00 00 00 09 7c 10 01 04 00 00 00 00 00 00 00
         090: 00 10 00 00 09 84 10 03 04 00 00 00 00 10 00 00
         0a0: 00 10 00 00 09 94 10 04 04 00 00 00 00 20 00 00
         0b0: 00 10 00 00 09 a4 14 02 04 00 00 00 00 30 00 00
         0c0: 00 10 00 00 04 00 00 00 09 b4 14 05 00 00 00 00
         0d0: 00 00 00 00 00 00 00 00 00 00 00 00 11 c8 01 00
         0e0: 01 00 00 00 01 08 00 00 00 00 00 00 00 00 00 00",
    );
    check_bars(&function, [0, 0xffff_f000, 0, 0, 0xffff_c00c, u32::MAX]);
}

#[test]
fn other_shapes() {
    let plain = Options::new(OTHER);
    let wide = Options {
        modern_pio_notify: true,
        page_per_vq: true,
        ..plain
    };
    let function = blank(DeviceType::Rng, 0, &wide);
    check_bars(
        &function,
        [
            0xffff_ffe1,
            0xffff_f000,
            0xffff_fffd,
            0,
            0xff80_000c,
            u32::MAX,
        ],
    );
    let row = (0..8).map(|i| function.config_read(0x70 + 4 * i, 4));
    let expected = [0x0214_6009, 4, 0x3000, 0x40_0000, 0x1000, 0x0214_7009, 2, 0];
    assert_eq!(row.collect::<Vec<_>>(), expected);

    let legacy = Options {
        mode: Mode {
            legacy: true,
            modern: false,
        },
        ..plain
    };
    let function = blank(DeviceType::Balloon, 16, &legacy);
    assert_eq!(function.config_read(0x34, 1), 0x40);
    assert_eq!(function.config_read(0x40, 4), 0x0001_0011);
    check_bars(&function, [0xffff_ffc1, 0xffff_f000, 0, 0, 0, 0]);

    let pinned = Options {
        vectors: 0,
        ..plain
    };
    let function = blank(DeviceType::Rng, 0, &pinned);
    assert_eq!(function.config_read(0x34, 1), 0x84);
    check_bars(&function, [0xffff_ffe1, 0, 0, 0, 0xffff_c00c, u32::MAX]);
}

/// A host with an entropy device at 01.0.
struct Rig {
    guest: Guest,
    function: Arc<Function>,
    intx: [IrqLine; 4],
    messages: Arc<Messages>,
    /// Keeps the bus alive.
    _host: PciHost,
}

#[derive(Default)]
struct Messages(Mutex<Vec<(u64, u32)>>);

impl MsiSink for Messages {
    fn send(&self, address: u64, data: u32) {
        self.0.lock().unwrap().push((address, data));
    }
}

fn rig(options: &Options) -> Rig {
    let guest = Guest::new();
    let intx = [(); 4].map(|()| IrqLine::unconnected());
    let messages = Arc::new(Messages::default());
    let host = PciHost::new(intx.clone(), messages.clone());
    let rings = RingOptions::default();
    let virtio = Virtio::new(guest.site.clone(), &rings, options.features(), |port| {
        Rng::new(port, Arc::new(Entropy::Builtin), Rate::default())
    });
    let (function, _) = VirtioPci::function("virtio-rng-pci", "", virtio, options);
    let place = Some(Devfn(8));
    host.root()
        .plug(place, Arc::clone(&function), false)
        .unwrap();
    // Memory, ports and bus mastering on.
    function.config_write(4, 2, 7);
    Rig {
        guest,
        function,
        intx,
        messages,
        _host: host,
    }
}

impl Rig {
    fn common(&self, writes: &[(u64, u8, u64)]) {
        for (offset, size, value) in writes {
            self.function.bar_write(MODERN_BAR, *offset, *size, *value);
        }
    }

    /// Negotiates as a modern driver does and sets up the queue.
    fn start(&self) -> Ring {
        let ring = Ring::split(&self.guest, 8);
        self.common(&[(20, 1, 1), (20, 1, 3), (8, 4, 1), (12, 4, 1), (20, 1, 0xb)]);
        assert_eq!(self.function.bar_read(MODERN_BAR, 20, 1), 0xb);
        let parts = [(32, ring.descriptors), (40, ring.driver), (48, ring.device)];
        for (offset, address) in parts {
            self.common(&[
                (offset, 4, address & 0xffff_ffff),
                (offset + 4, 4, address >> 32),
            ]);
        }
        self.common(&[(24, 2, 8), (28, 2, 1), (20, 1, 0xf)]);
        ring
    }

    fn request(&self, ring: &mut Ring) {
        let head = ring.add(&self.guest, &[], &[32]);
        self.function.bar_write(MODERN_BAR, NOTIFY, 2, 0);
        self.guest
            .run_until(|| ring.used(&self.guest) == Some((head, 32)));
        self.guest.settle();
    }
}

#[test]
fn a_modern_driver_is_served_by_pin() {
    let rig = rig(&Options::new(OTHER));
    let mut ring = rig.start();
    rig.request(&mut ring);
    // INTA of slot 1 is the bridge's INTB.
    assert_eq!(
        [0, 1, 2, 3].map(|i| rig.intx[i].level()),
        [false, true, false, false]
    );
    assert_eq!(rig.function.bar_read(MODERN_BAR, ISR, 1), 1);
    assert_eq!(rig.function.bar_read(MODERN_BAR, ISR, 1), 0);
    assert!(!rig.intx[1].level());
}

#[test]
fn a_modern_driver_is_served_by_messages() {
    let rig = rig(&Options::new(OTHER));
    // Vector 1 goes to 0x1000 with data 77; MSI-X on.
    for (offset, value) in [(16, 0x1000), (20, 0), (24, 77), (28, 0)] {
        rig.function.bar_write(1, offset, 4, value);
    }
    rig.function.config_write(0x9a, 2, 0x8000);
    rig.common(&[(22, 2, 0), (26, 2, 1)]);
    assert_eq!(rig.function.bar_read(MODERN_BAR, 26, 2), 1);
    rig.common(&[(16, 2, 9)]);
    assert_eq!(rig.function.bar_read(MODERN_BAR, 16, 2), 0xffff);
    let mut ring = rig.start();
    rig.request(&mut ring);
    assert_eq!(*rig.messages.0.lock().unwrap(), [(0x1000, 77)]);
    assert!(!rig.intx[1].level());
}

#[test]
fn a_legacy_driver_is_served() {
    let rig = rig(&Options::new(OTHER));
    let write = |offset, size, value| rig.function.bar_write(LEGACY_BAR, offset, size, value);
    let read = |offset, size| rig.function.bar_read(LEGACY_BAR, offset, size);
    let base = rig.guest.allocate(0x3000).next_multiple_of(4096);
    let mut ring = Ring::split(&rig.guest, 8);
    (ring.descriptors, ring.driver, ring.device) = (base, base + 128, base + 4096);
    assert_eq!(read(0, 4), 0x7900_0000);
    assert_eq!(read(12, 2), 8);
    write(18, 1, 3);
    write(4, 4, 0);
    write(8, 4, base >> 12);
    assert_eq!(read(8, 4), base >> 12);
    write(18, 1, 7);
    let head = ring.add(&rig.guest, &[], &[32]);
    write(16, 2, 0);
    rig.guest.run_until(|| rig.intx[1].level());
    assert_eq!(ring.used(&rig.guest), Some((head, 32)));
    assert_eq!((read(19, 1), read(19, 1)), (1, 0));
    write(8, 4, 0);
    assert_eq!((read(18, 1), read(8, 4)), (0, 0));
}

#[test]
fn the_window_reaches_the_modern_bar() {
    let rig = rig(&Options::new(OTHER));
    let window = 0x84;
    let access = |place: u32, length: u32| {
        rig.function.config_write(window + 8, 4, place);
        rig.function.config_write(window + 12, 4, length);
    };
    access(20, 1);
    rig.function.config_write(window + 16, 4, 3);
    assert_eq!(rig.function.bar_read(MODERN_BAR, 20, 1), 3);
    access(18, 2);
    assert_eq!(rig.function.config_read(window + 16, 2), 1);
    // A length that is no access does nothing.
    access(20, 3);
    rig.function.config_write(window + 16, 4, 0);
    assert_eq!(rig.function.bar_read(MODERN_BAR, 20, 1), 3);
}

#[test]
fn without_mastering_the_bus_a_driver_is_not_ready() {
    let rig = rig(&Options::new(OTHER));
    rig.start();
    rig.function.config_write(4, 2, 3);
    assert_eq!(rig.function.bar_read(MODERN_BAR, 20, 1), 0xb);
}

#[test]
fn no_access_does_harm() {
    let rig = rig(&Options::new(OTHER));
    for value in [0, 1, 0xff, u64::MAX, 0x8000_0000] {
        for offset in 0..0x40 {
            for size in [1, 2, 4] {
                for (bar, base) in [
                    (0, 0),
                    (2, 0),
                    (4, COMMON),
                    (4, ISR),
                    (4, DEVICE),
                    (4, NOTIFY),
                ] {
                    rig.function.bar_write(bar, base + offset, size, value);
                    let _ = rig.function.bar_read(bar, base + offset, size);
                }
                rig.function
                    .config_write(0x80 + offset as u16, size, value as u32);
                let _ = rig.function.config_read(0x80 + offset as u16, size);
            }
        }
    }
    rig.guest.settle();
    rig.function.reset();
    rig.guest.settle();
}
