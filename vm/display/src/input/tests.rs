//! Which device gets which event.

use std::time::Duration;

use tinamou_devices::Clock;

use super::keyboard::Keyboard;
use super::*;

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl InputDevice for Log {
    fn event(&self, event: Event) {
        let text = match event {
            Event::Key { code, down } => format!("{code}{}", if down { "+" } else { "-" }),
            other => other.kind().name().to_owned(),
        };
        self.0.lock().unwrap().push(text);
    }

    fn sync(&self) {
        self.0.lock().unwrap().push(".".into());
    }
}

impl Log {
    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }
}

struct Rig {
    inputs: Inputs,
    devices: Vec<Arc<Log>>,
    handlers: Vec<Handler>,
}

/// Two keyboards, one of them of screen 7, a mouse and a tablet.
fn rig() -> Rig {
    let inputs = Inputs::default();
    let devices: Vec<Arc<Log>> = (0..4).map(|_| Arc::default()).collect();
    let pointer: Kinds = &[Kind::Button, Kind::Relative];
    let tablet: Kinds = &[Kind::Button, Kind::Absolute];
    let given: [(_, Kinds, _); 4] = [
        ("keyboard", &[Kind::Key], None),
        ("keyboard of 7", &[Kind::Key], Some(7)),
        ("mouse", pointer, None),
        ("tablet", tablet, None),
    ];
    let handlers = given.into_iter().zip(&devices);
    let handlers = handlers.map(|((name, kinds, screen), device)| {
        let device: Arc<dyn InputDevice> = Arc::clone(device) as _;
        inputs.register(name, kinds, screen, Arc::downgrade(&device))
    });
    Rig {
        handlers: handlers.collect(),
        inputs,
        devices,
    }
}

impl Rig {
    fn heard(&self) -> Vec<String> {
        self.devices.iter().map(|device| device.take()).collect()
    }
}

const KEY: Event = Event::Key {
    code: 30,
    down: true,
};
const BUTTON: Event = Event::Button {
    button: Button::Left,
    down: true,
};

#[test]
fn events_find_their_device() {
    let rig = rig();
    let check = |screen, event, expected: [&str; 4]| {
        rig.inputs.send(screen, event);
        rig.inputs.sync();
        rig.inputs.sync();
        assert_eq!(rig.heard(), expected, "{event:?} of {screen:?}");
    };
    check(None, KEY, ["30+ .", "", "", ""]);
    check(Some(7), KEY, ["", "30+ .", "", ""]);
    check(Some(8), KEY, ["30+ .", "", "", ""]);
    check(Some(7), BUTTON, ["", "", "btn .", ""]);
    let (axis, value) = (Axis::X, 5);
    check(None, Event::Absolute { axis, value }, ["", "", "", "abs ."]);
    rig.handlers[3].activate();
    check(None, BUTTON, ["", "", "", "btn ."]);
    rig.handlers[3].deactivate();
    check(None, BUTTON, ["", "", "btn .", ""]);
}

#[test]
fn pointers_are_listed_and_chosen() {
    let mut rig = rig();
    let list = |inputs: &Inputs| {
        let pointers = inputs.pointers().into_iter();
        let list = pointers.map(|pointer| (pointer.index, pointer.current, pointer.absolute));
        list.collect::<Vec<_>>()
    };
    assert_eq!(list(&rig.inputs), [(4, false, true), (3, true, false)]);
    assert_eq!(rig.inputs.choose_pointer(4), Ok(()));
    assert_eq!(list(&rig.inputs), [(3, false, false), (4, true, true)]);
    let refused = |index| rig.inputs.choose_pointer(index).unwrap_err().to_string();
    assert_eq!(refused(1), "Input device 'keyboard' is not a mouse");
    assert_eq!(refused(5), "Mouse at index '5' not found");
    assert_eq!(refused(-1), "Mouse at index '-1' not found");
    rig.handlers.pop();
    assert_eq!(list(&rig.inputs), [(3, true, false)]);
    assert!(!rig.inputs.accepts(Kind::Absolute, None));
}

#[test]
fn keys_are_held_and_released_backwards() {
    let rig = rig();
    let clock = Clock::new();
    let keyboard = Keyboard::new(rig.inputs.clone(), &clock);
    let heard = |time: u64| {
        clock.step_to(time * 1_000_000);
        rig.devices[0].take()
    };
    keyboard.press(&[29, 46], None);
    keyboard.press(&[57], Some(Duration::from_millis(100)));
    let seen: Vec<_> = [0, 9, 10, 20, 30, 40, 139, 140, 300].map(heard).into();
    let expected = [
        "29+ .", "", "46+ .", "46- .", "29- .", "57+ .", "", "57- .", "",
    ];
    assert_eq!(seen, expected);
    // All is done, so the next key does not wait.
    keyboard.press(&[1], None);
    assert_eq!(heard(300), "1+ .");
}

#[test]
fn typing_is_bounded() {
    let rig = rig();
    let clock = Clock::new();
    let keyboard = Keyboard::new(rig.inputs.clone(), &clock);
    keyboard.press(&[30; 5000], None);
    clock.step_to(1 << 50);
    let heard = rig.devices[0].take();
    assert_eq!(heard.matches('+').count(), 1 + 512);
}

#[test]
fn names_have_codes() {
    let check = |name, expected| assert_eq!(keys::by_name(name), expected, "{name}");
    check("shift", Some(42));
    check("mediaselect", Some(226));
    check("unmapped", Some(0));
    check("Shift", None);
    check("", None);
}

#[test]
fn numbers_have_codes() {
    let check = |number, expected| assert_eq!(keys::by_number(number), expected, "{number:#x}");
    check(0, 0);
    check(0x1e, 30);
    check(0x54, 99);
    check(0x59, 117);
    check(0x9c, 96);
    check(0xff, 0);
    check(0x11e, 0);
    check(-1, 0);
}
