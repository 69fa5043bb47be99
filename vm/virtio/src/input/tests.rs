//! Input devices as a driver sees them.

use tinamou_display::{Axis, Button, TouchKind};

use super::*;
use crate::Virtio;
use crate::driver::{Guest, Ring};

struct Rig {
    guest: Guest,
    inputs: Inputs,
    device: Arc<Virtio>,
    events: Ring,
}

fn rig(model: Model, wheel_axis: bool) -> Rig {
    let guest = Guest::new();
    let inputs = Inputs::default();
    let options = Options {
        model,
        serial: Some("ser".into()),
        wheel_axis,
        screen: None,
    };
    let device = guest.plug(|port| Input::new(port, &inputs, &options));
    guest.negotiate(&device, 0);
    let events = Ring::split(&guest, 64);
    events.enable(&device, EVENTS);
    Rig {
        guest,
        inputs,
        device,
        events,
    }
}

impl Rig {
    fn offer(&mut self, buffers: usize) {
        for _ in 0..buffers {
            self.events.add(&self.guest, &[], &[8]);
        }
        self.device.kick(EVENTS);
        self.device.process();
    }

    fn send(&self, events: &[Event]) {
        for event in events {
            self.inputs.send(None, *event);
        }
        self.inputs.sync();
        self.device.process();
    }

    fn received(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some((id, written)) = self.events.used(&self.guest) {
            assert_eq!(written, 8);
            let bytes = self.events.filled(&self.guest, id);
            let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            let value = i32::from_le_bytes(bytes[4..8].try_into().unwrap());
            reports.push((half(0), half(2), value));
        }
        reports
    }

    fn select(&self, select: u8, subselect: u8) -> String {
        self.device.write_config(0, &[select]);
        self.device.write_config(1, &[subselect]);
        let mut head = [0; PAYLOAD];
        self.device.read_config(0, &mut head);
        assert_eq!(head[3..], [0; 5]);
        let mut payload = vec![0; head[2].into()];
        self.device.read_config(PAYLOAD as u64, &mut payload);
        payload.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Every answer that QEMU's devices give to any selection.
#[test]
fn they_tell_what_qemus_devices_tell() {
    let keys = "feffffffffffffffffffcf7bffffbefeffdf00f8783080ff0700000004";
    let buttons = format!("{}1f0000000000000403", "00".repeat(34));
    let range = "00000000ff7f0000000000000000000000000000";
    let fingers = "000000000a000000000000000000000000000000";
    let check = |model: Model, name: &str, expected: &[(u8, u8, &str)]| {
        let rig = rig(model, true);
        let name = format!("QEMU Virtio {name}");
        let name = name.bytes().map(|byte| format!("{byte:02x}"));
        let name = name.collect::<String>() + "00";
        let mut found = Vec::new();
        for select in 0..=0xff {
            for subselect in 0..=0xff {
                let payload = rig.select(select, subselect);
                if !payload.is_empty() {
                    found.push((select, subselect, payload));
                }
            }
        }
        let common = [(1, 0, name.as_str()), (2, 0, "736572")];
        let expected = common.iter().chain(expected);
        let expected: Vec<_> = expected
            .map(|(select, subselect, payload)| (*select, *subselect, (*payload).to_owned()))
            .collect();
        assert_eq!(found, expected, "{model:?}");
    };
    let keyboard: &[(u8, u8, &str)] = &[
        (3, 0, "0600270601000100"),
        (0x11, 1, keys),
        (0x11, 0x11, "07"),
        (0x11, 0x14, "00"),
    ];
    check(Model::Keyboard, "Keyboard", keyboard);
    let mouse: &[(u8, u8, &str)] = &[
        (3, 0, "0600270602000200"),
        (0x11, 1, &buttons),
        (0x11, 2, "0301"),
    ];
    check(Model::Mouse, "Mouse", mouse);
    let tablet: &[(u8, u8, &str)] = &[
        (3, 0, "0600270603000200"),
        (0x11, 1, &buttons),
        (0x11, 2, "0001"),
        (0x11, 3, "03"),
        (0x12, 0, range),
        (0x12, 1, range),
    ];
    check(Model::Tablet, "Tablet", tablet);
    let multitouch: &[(u8, u8, &str)] = &[
        (3, 0, "0600270603000100"),
        (0x10, 0, "02"),
        (0x11, 1, &buttons),
        (0x11, 3, "0000000000806002"),
        (0x12, 0x2f, fingers),
        (0x12, 0x35, range),
        (0x12, 0x36, range),
        (0x12, 0x39, fingers),
    ];
    check(Model::Multitouch, "MultiTouch", multitouch);
}

#[test]
fn events_reach_the_driver() {
    let (axis, down) = (Axis::Y, true);
    let button = |button| Event::Button { button, down };
    let finger = |kind| Event::Touch {
        kind,
        slot: 2,
        tracking_id: -1,
        axis,
        value: 77,
    };
    let rows: &[(Model, bool, Event, &[Report])] = &[
        (
            Model::Keyboard,
            true,
            Event::Key { code: 30, down },
            &[(1, 30, 1)],
        ),
        (Model::Keyboard, true, Event::Key { code: 0, down }, &[]),
        (Model::Mouse, true, button(Button::Right), &[(1, 0x111, 1)]),
        (Model::Mouse, true, button(Button::WheelUp), &[(2, 8, 1)]),
        (Model::Mouse, true, button(Button::WheelDown), &[(2, 8, -1)]),
        (
            Model::Mouse,
            false,
            button(Button::WheelUp),
            &[(1, 0x151, 1)],
        ),
        (Model::Mouse, true, button(Button::WheelLeft), &[]),
        (
            Model::Mouse,
            true,
            Event::Relative { axis, value: -3 },
            &[(2, 1, -3)],
        ),
        (
            Model::Tablet,
            true,
            Event::Absolute {
                axis,
                value: 1 << 14,
            },
            &[(3, 1, 1 << 14)],
        ),
        (
            Model::Multitouch,
            true,
            finger(TouchKind::Contact),
            &[(3, 0x2f, 2), (3, 0x39, -1)],
        ),
        (
            Model::Multitouch,
            true,
            finger(TouchKind::Data),
            &[(3, 0x36, 77)],
        ),
    ];
    for (model, wheel_axis, event, expected) in rows {
        let mut rig = rig(*model, *wheel_axis);
        rig.guest.start(&rig.device, 0);
        rig.offer(8);
        rig.send(&[*event]);
        let expected = [*expected, &[(0, 0, 0)]].concat();
        assert_eq!(rig.received(), expected, "{model:?} {event:?}");
    }
}

#[test]
fn a_batch_comes_whole_or_not_at_all() {
    let keys: Vec<Event> = (1..=4)
        .map(|code| Event::Key { code, down: true })
        .collect();
    let mut rig = rig(Model::Keyboard, true);
    // Nobody is there yet.
    rig.send(&keys);
    rig.guest.start(&rig.device, 0);
    rig.offer(4);
    assert_eq!(rig.received(), []);
    // One buffer short.
    rig.send(&keys);
    assert_eq!(rig.received(), []);
    rig.offer(1);
    assert_eq!(rig.received(), []);
    rig.send(&keys);
    assert_eq!(rig.received().len(), 5);
    // More than any ring holds, without a sync for a long time.
    rig.offer(64);
    rig.send(&keys.repeat(10_000));
    assert_eq!(rig.received(), []);
    rig.send(&keys);
    assert_eq!(rig.received().len(), 5);
}

#[test]
fn a_reset_forgets_what_was_under_way() {
    let key = Event::Key {
        code: 1,
        down: true,
    };
    let mut rig = rig(Model::Keyboard, true);
    rig.guest.start(&rig.device, 0);
    rig.inputs.send(None, key);
    rig.device.reset();
    rig.guest.negotiate(&rig.device, 0);
    rig.events = Ring::split(&rig.guest, 64);
    rig.events.enable(&rig.device, EVENTS);
    rig.guest.start(&rig.device, 0);
    rig.offer(8);
    rig.send(&[]);
    assert_eq!(rig.received(), [(0, 0, 0)], "without the key");
    rig.send(&[key]);
    assert_eq!(rig.received(), [(1, 1, 1), (0, 0, 0)]);
}

#[test]
fn lights_are_taken() {
    let rig = rig(Model::Keyboard, true);
    let mut status = Ring::split(&rig.guest, 8);
    status.enable(&rig.device, STATUS);
    rig.guest.start(&rig.device, 0);
    let id = status.add(&rig.guest, &[&[0x11, 0, 1, 0, 1, 0, 0, 0]], &[]);
    rig.device.kick(STATUS);
    rig.device.process();
    assert_eq!(status.used(&rig.guest), Some((id, 0)));
}
