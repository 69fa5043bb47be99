//! The control queue of the graphics card: whatever a driver asks for, cut short wherever it
//! likes, nothing panics, nothing hangs, and after a reset an honest driver is served.
//!
//! The input is commands of 40 bytes: which one, what to do with it, and its nine fields.

use std::sync::Arc;

use tinamou_display::Screens;
use tinamou_virtio::Virtio;
use tinamou_virtio::driver::{Guest, Ring};
use tinamou_virtio::gpu::{Gpu, Options};

/// Descriptors in the ring.
const SIZE: u16 = 8;
/// The queue of commands that draw.
const CONTROL: usize = 0;

/// The commands of virtio 1.2 §5.7.6.8 that a card without 3D has, from the first one on.
const FIRST: u32 = 0x100;
const COMMANDS: u32 = 0xb;
/// The answer that says what screens there are.
const DISPLAY_INFO: u32 = 0x1101;

/// The bytes of a header, which come before the fields.
const HEADER: usize = 24;
const ROOM: u32 = 2048;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let guest = Guest::new();
    let screens = Screens::default();
    let heads = (0..2).map(|head| screens.add(Some("g"), head)).collect();
    let options = Options {
        size: (1280, 800),
        max_hostmem: 1 << 20,
        edid: true,
    };
    let device = guest.plug(|port| Gpu::new(port, heads, options));
    let mut ring = begin(&guest, &device);
    for command in input.as_chunks::<40>().0 {
        carry_out(command, &guest, &device, &mut ring);
        look(&screens);
    }
    serve_an_honest_driver(&guest, &device);
}

fn begin(guest: &Guest, device: &Virtio) -> Ring {
    guest.negotiate(device, device.offered() & 2);
    let ring = Ring::split(guest, SIZE);
    ring.enable(device, CONTROL);
    guest.start(device, 0);
    ring
}

fn carry_out(command: &[u8; 40], guest: &Guest, device: &Arc<Virtio>, ring: &mut Ring) {
    let [code, flags, cut, room, fields @ ..] = command;
    // Beside the commands, one that there is not, and a reset.
    let kind = match u32::from(*code) % (COMMANDS + 2) {
        COMMANDS => 0x1ff,
        kind if kind > COMMANDS => {
            device.reset();
            *ring = begin(guest, device);
            return;
        }
        kind => FIRST + kind,
    };
    let header = [kind, u32::from(flags & 1), 7, 0, 5, 0];
    let mut request: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    request.extend(fields);
    if flags & 2 != 0 {
        request.truncate(usize::from(*cut).min(HEADER + fields.len()).max(1));
    }
    let room = if flags & 4 == 0 {
        ROOM
    } else {
        u32::from(*room).max(1)
    };
    ring.add(guest, &[&request], &[room]);
    // More than one at a time, now and then.
    if flags & 8 == 0 {
        device.kick(CONTROL);
        device.process();
        while ring.used(guest).is_some() {}
    }
}

/// What is shown can be looked at, whatever it is.
fn look(screens: &Screens) {
    for index in 0..2 {
        let screen = screens.screen(index).expect("there are two");
        let picture = screen.picture();
        let pixels = picture.width as usize * picture.height as usize;
        assert_eq!(picture.colours.len(), 3 * pixels);
    }
}

/// After a reset, a command is answered.
fn serve_an_honest_driver(guest: &Guest, device: &Virtio) {
    device.reset();
    assert!(!device.is_broken());
    let mut ring = begin(guest, device);
    let mut request = [0; HEADER];
    request[..4].copy_from_slice(&FIRST.to_le_bytes());
    let head = ring.add(guest, &[&request], &[ROOM]);
    device.kick(CONTROL);
    assert!(device.process());
    let (used, _) = ring.used(guest).expect("an answer");
    assert_eq!(used, head);
    assert_eq!(ring.filled(guest, head)[..4], DISPLAY_INFO.to_le_bytes());
}
