//! The card as a driver draws with it.

use tinamou_display::{Picture, Screens};

use super::*;
use crate::Virtio;
use crate::driver::{Guest, RAM_BASE, RAM_SIZE, Ring};

struct Rig {
    guest: Guest,
    device: Arc<Virtio>,
    control: Ring,
    screens: Screens,
}

fn rig() -> Rig {
    let guest = Guest::new();
    let screens = Screens::default();
    let heads = (0..2).map(|head| screens.add(Some("g"), head)).collect();
    let options = Options {
        size: (1280, 800),
        max_hostmem: 1 << 20,
        edid: true,
    };
    let device = guest.plug(|port| Gpu::new(port, heads, options));
    guest.negotiate(&device, spec::F_EDID);
    let control = Ring::split(&guest, 16);
    control.enable(&device, CONTROL);
    guest.start(&device, 0);
    Rig {
        guest,
        device,
        control,
        screens,
    }
}

impl Rig {
    /// Type and data of the answer to a command with these fields.
    fn ask(&mut self, kind: u32, fields: &[u32]) -> (u32, Vec<u8>) {
        // Fenced as number 7 of context 5.
        let header = [kind, FLAG_FENCE, 7, 0, 5, 0];
        let words = header.iter().chain(fields);
        let request: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        let id = self.control.add(&self.guest, &[&request], &[2048]);
        self.device.kick(CONTROL);
        self.device.process();
        let (used, written) = self.control.used(&self.guest).expect("an answer");
        assert_eq!(used, id);
        let mut bytes = self.control.filled(&self.guest, id);
        bytes.truncate(written as usize);
        assert_eq!(
            bytes[4..24],
            [1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]
        );
        (word(&bytes, 0), bytes.split_off(24))
    }

    #[track_caller]
    fn check(&mut self, kind: u32, fields: &[u32], expected: u32) {
        let (answer, _) = self.ask(kind, fields);
        assert_eq!(answer, expected, "{kind:#x} {fields:?}");
    }

    fn picture(&self, screen: usize) -> Picture {
        self.screens.screen(screen).unwrap().picture()
    }
}

const OK: u32 = answer::NO_DATA;
const CREATE: u32 = command::RESOURCE_CREATE_2D;
const ATTACH: u32 = command::RESOURCE_ATTACH_BACKING;
const TRANSFER: u32 = command::TRANSFER_TO_HOST_2D;
const SHOW: u32 = command::SET_SCANOUT;

#[test]
fn what_is_drawn_is_shown() {
    let mut rig = rig();
    let blank = rig.picture(0);
    assert_eq!((blank.width, blank.height), (640, 480));
    // A line of 16 pixels in two pieces, the second line missing.
    let drawn: Vec<u8> = (0..64).collect();
    let (first, second) = (RAM_BASE + 0x8_0000, RAM_BASE + 0x9_0000);
    rig.guest.memory().write(first, &drawn[..40]).unwrap();
    rig.guest.memory().write(second, &drawn[40..]).unwrap();
    rig.check(CREATE, &[9, 2, 16, 32], OK);
    rig.check(
        ATTACH,
        &[9, 2, first as u32, 0, 40, 0, second as u32, 0, 24, 0],
        OK,
    );
    rig.check(TRANSFER, &[0, 0, 16, 32, 0, 0, 9, 0], OK);
    rig.check(SHOW, &[0, 0, 16, 32, 1, 9], OK);
    rig.check(command::RESOURCE_FLUSH, &[0, 0, 16, 32, 9, 0], OK);
    let picture = rig.picture(1);
    assert_eq!((picture.width, picture.height), (16, 32));
    let line: Vec<u8> = drawn
        .chunks(4)
        .flat_map(|pixel| [pixel[2], pixel[1], pixel[0]])
        .collect();
    assert_eq!(picture.colours[..48], line);
    assert!(picture.colours[48..].iter().all(|byte| *byte == 0));
    // A part, to another place.
    rig.check(TRANSFER, &[2, 5, 1, 1, 40, 0, 9, 0], OK);
    assert_eq!(rig.picture(1).colours[5 * 48 + 6..][..3], [42, 41, 40]);
    rig.check(command::RESOURCE_UNREF, &[9, 0], OK);
    assert!(rig.picture(1).colours.iter().all(|byte| *byte == 0));
    assert_eq!(rig.picture(0), blank);
}

#[test]
fn formats_are_bytes_in_order() {
    for (format, expected) in [
        (1, [3, 2, 1]),
        (4, [2, 3, 4]),
        (67, [1, 2, 3]),
        (121, [4, 3, 2]),
    ] {
        let mut rig = rig();
        let place = RAM_BASE + 0x8_0000;
        rig.guest.memory().write(place, &[1, 2, 3, 4]).unwrap();
        rig.check(CREATE, &[1, format, 16, 16], OK);
        rig.check(ATTACH, &[1, 1, place as u32, 0, 4, 0], OK);
        rig.check(TRANSFER, &[0, 0, 1, 1, 0, 0, 1, 0], OK);
        rig.check(SHOW, &[0, 0, 16, 16, 0, 1], OK);
        assert_eq!(rig.picture(0).colours[..3], expected, "format {format}");
    }
}

#[test]
fn the_card_tells_of_its_screens() {
    let mut rig = rig();
    let (kind, modes) = rig.ask(command::DISPLAY_INFO, &[]);
    assert_eq!((kind, modes.len()), (answer::DISPLAY_INFO, 16 * 24));
    let first: Vec<u32> = (0..6).map(|field| word(&modes, 4 * field)).collect();
    assert_eq!(first, [0, 0, 1280, 800, 1, 0]);
    assert!(modes[24..].iter().all(|byte| *byte == 0));
    let (kind, edid) = rig.ask(command::GET_EDID, &[1, 0]);
    assert_eq!(
        (kind, edid.len(), word(&edid, 0)),
        (answer::EDID, 1032, 128)
    );
    let sum = edid[8..136]
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    assert_eq!(sum, 0);
    rig.check(command::GET_EDID, &[2, 0], Fault::Parameter as u32);
    let mut config = [0; 16];
    rig.device.read_config(0, &mut config);
    assert_eq!(config.map(u32::from)[8], 2);
}

#[test]
fn nonsense_is_refused() {
    let mut rig = rig();
    let (id, parameter) = (Fault::ResourceId as u32, Fault::Parameter as u32);
    let (unspecified, memory) = (Fault::Unspecified as u32, Fault::OutOfMemory as u32);
    let ram = RAM_BASE as u32;
    let max = u32::MAX;
    let rows: &[(u32, &[u32], u32)] = &[
        (0xdead, &[], unspecified),
        (CREATE, &[1, 1], parameter),
        (CREATE, &[0, 1, 16, 16], id),
        (CREATE, &[1, 5, 16, 16], parameter),
        (CREATE, &[1, 1, 0, 16], parameter),
        (CREATE, &[1, 1, max, max], parameter),
        (CREATE, &[1, 1, 16384, 16384], memory),
        (CREATE, &[1, 1, 64, 64], OK),
        (CREATE, &[1, 1, 64, 64], id),
        (TRANSFER, &[0, 0, 64, 64, 0, 0, 1, 0], unspecified),
        (TRANSFER, &[0, 0, 64, 64, 0, 0, 2, 0], id),
        (ATTACH, &[2, 0], id),
        (ATTACH, &[1, 16385], unspecified),
        (ATTACH, &[1, 2, ram, 0, 16, 0], unspecified),
        (ATTACH, &[1, 1, 0, 0, 16, 0], unspecified),
        (ATTACH, &[1, 1, max, max, max, 0], unspecified),
        (ATTACH, &[1, 1, ram, 0, RAM_SIZE as u32 + 1, 0], unspecified),
        (ATTACH, &[1, 2, ram, 0, 0, 0, ram, 0, 16, 0], OK),
        (ATTACH, &[1, 1, ram, 0, 16, 0], unspecified),
        (TRANSFER, &[0, 0, 65, 64, 0, 0, 1, 0], parameter),
        (TRANSFER, &[max, 0, 2, 1, 0, 0, 1, 0], parameter),
        (TRANSFER, &[0, 0, 64, 64, max, max, 1, 0], parameter),
        (TRANSFER, &[0, 0, 64, 64, 0, max, 1, 0], OK),
        (SHOW, &[0, 0, 64, 64, 2, 1], Fault::ScanoutId as u32),
        (SHOW, &[0, 0, 64, 64, 0, 2], id),
        (SHOW, &[0, 0, 15, 64, 0, 1], parameter),
        (SHOW, &[1, 0, 64, 64, 0, 1], parameter),
        (SHOW, &[0, 0, 64, 64, 0, 0], OK),
        (command::RESOURCE_FLUSH, &[0, 1, 64, 64, 1, 0], parameter),
        (command::RESOURCE_DETACH_BACKING, &[1, 0], OK),
        (command::RESOURCE_DETACH_BACKING, &[1, 0], unspecified),
        (command::RESOURCE_UNREF, &[1, 0], OK),
        (command::RESOURCE_UNREF, &[1, 0], id),
    ];
    for (kind, fields, expected) in rows {
        rig.check(*kind, fields, *expected);
    }
}

#[test]
fn images_are_bounded_and_gone_after_a_reset() {
    let mut rig = rig();
    let refused = Fault::OutOfMemory as u32;
    let answers = (1..).map(|id| rig.ask(CREATE, &[id, 1, 1, 1]).0);
    assert_eq!(answers.take_while(|answer| *answer == OK).count(), 255);
    rig.check(command::RESOURCE_UNREF, &[1, 0], OK);
    rig.check(CREATE, &[1, 1, 64, 40], refused);
    rig.check(CREATE, &[1, 1, 32, 32], OK);
    rig.device.reset();
    rig.guest.negotiate(&rig.device, 0);
    rig.control = Ring::split(&rig.guest, 16);
    rig.control.enable(&rig.device, CONTROL);
    rig.guest.start(&rig.device, 0);
    rig.check(CREATE, &[1, 1, 256, 200], OK);
}
