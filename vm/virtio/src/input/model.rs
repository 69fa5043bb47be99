//! What keyboards, mice, tablets and touch screens tell of themselves, and how they say what
//! was done.

use tinamou_display::{Axis, Button, Event, Kind, Kinds, TouchKind, keys};

use super::spec::{
    ABS_MAX, BUS_VIRTUAL, PAYLOAD_MAX, PROPERTY_DIRECT, SLOTS_MAX, VENDOR, abs, btn, ev, rel,
    select,
};

/// A kind of input device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Model {
    Keyboard,
    Mouse,
    Tablet,
    Multitouch,
}

/// An event as the driver gets it: type, code, value.
pub type Report = (u16, u16, i32);

/// An answer that the driver can select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub select: u8,
    pub subselect: u8,
    pub payload: Vec<u8>,
}

impl Answer {
    fn new(select: u8, subselect: u16, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            select,
            subselect: subselect as u8,
            payload: payload.into(),
        }
    }
}

impl Model {
    /// What the guest reads as its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyboard => "QEMU Virtio Keyboard",
            Self::Mouse => "QEMU Virtio Mouse",
            Self::Tablet => "QEMU Virtio Tablet",
            Self::Multitouch => "QEMU Virtio MultiTouch",
        }
    }

    /// The events it takes.
    #[must_use]
    pub fn kinds(self) -> Kinds {
        match self {
            Self::Keyboard => &[Kind::Key],
            Self::Mouse => &[Kind::Button, Kind::Relative],
            Self::Tablet => &[Kind::Button, Kind::Absolute],
            Self::Multitouch => &[Kind::Button, Kind::Touch],
        }
    }

    /// Everything the driver can ask for.
    pub(super) fn answers(self, serial: Option<&str>) -> Vec<Answer> {
        let name = [self.name().as_bytes(), &[0]].concat();
        let mut answers = vec![
            Answer::new(select::NAME, 0, name),
            Answer::new(select::IDS, 0, self.ids()),
        ];
        if let Some(serial) = serial.filter(|serial| !serial.is_empty()) {
            let length = serial.len().min(PAYLOAD_MAX);
            answers.push(Answer::new(select::SERIAL, 0, &serial.as_bytes()[..length]));
        }
        answers.extend(match self {
            Self::Keyboard => keyboard(),
            Self::Mouse => vec![
                codes(ev::KEY, BUTTONS),
                codes(ev::REL, &[rel::X, rel::Y, rel::WHEEL]),
            ],
            Self::Tablet => vec![
                codes(ev::KEY, BUTTONS),
                codes(ev::REL, &[rel::WHEEL]),
                codes(ev::ABS, &[abs::X, abs::Y]),
                range(abs::X, ABS_MAX),
                range(abs::Y, ABS_MAX),
            ],
            Self::Multitouch => touch_screen(),
        });
        answers
    }

    fn ids(self) -> Vec<u8> {
        let (product, version) = match self {
            Self::Keyboard => (1, 1),
            Self::Mouse => (2, 2),
            Self::Tablet => (3, 2),
            Self::Multitouch => (3, 1),
        };
        let ids = [BUS_VIRTUAL, VENDOR, product, version];
        ids.into_iter().flat_map(u16::to_le_bytes).collect()
    }
}

/// The event in the driver's words; with `wheel_axis` a wheel turns, else its ends are buttons.
pub(super) fn reports(event: Event, wheel_axis: bool) -> Vec<Report> {
    match event {
        Event::Key { code: 0, .. } => Vec::new(),
        Event::Key { code, down } => vec![(ev::KEY, code, down.into())],
        Event::Button { button, down } => match wheel(button) {
            Some(turn) if wheel_axis && down => vec![(ev::REL, rel::WHEEL, turn)],
            _ => {
                let code = button_code(button).into_iter();
                code.map(|code| (ev::KEY, code, down.into())).collect()
            }
        },
        Event::Relative { axis, value } => {
            let code = either(axis, rel::X, rel::Y);
            vec![(ev::REL, code, value as i32)]
        }
        Event::Absolute { axis, value } => {
            let code = either(axis, abs::X, abs::Y);
            vec![(ev::ABS, code, value as i32)]
        }
        Event::Touch {
            kind: TouchKind::Data,
            axis,
            value,
            ..
        } => {
            let code = either(axis, abs::MT_POSITION_X, abs::MT_POSITION_Y);
            vec![(ev::ABS, code, value as i32)]
        }
        Event::Touch {
            slot, tracking_id, ..
        } => vec![
            (ev::ABS, abs::MT_SLOT, slot as i32),
            (ev::ABS, abs::MT_TRACKING_ID, tracking_id as i32),
        ],
    }
}

const BUTTONS: &[u16] = &[
    btn::LEFT,
    btn::RIGHT,
    btn::MIDDLE,
    btn::SIDE,
    btn::EXTRA,
    btn::TOUCH,
    btn::GEAR_DOWN,
    btn::GEAR_UP,
];

fn button_code(button: Button) -> Option<u16> {
    Some(match button {
        Button::Left => btn::LEFT,
        Button::Right => btn::RIGHT,
        Button::Middle => btn::MIDDLE,
        Button::Side => btn::SIDE,
        Button::Extra => btn::EXTRA,
        Button::Touch => btn::TOUCH,
        Button::WheelUp => btn::GEAR_UP,
        Button::WheelDown => btn::GEAR_DOWN,
        Button::WheelLeft | Button::WheelRight => return None,
    })
}

/// Which way a wheel turns.
fn wheel(button: Button) -> Option<i32> {
    match button {
        Button::WheelUp => Some(1),
        Button::WheelDown => Some(-1),
        _ => None,
    }
}

fn either(axis: Axis, x: u16, y: u16) -> u16 {
    match axis {
        Axis::X => x,
        Axis::Y => y,
    }
}

fn keyboard() -> Vec<Answer> {
    /// Num lock, caps lock and scroll lock.
    const LIGHTS: &[u16] = &[0, 1, 2];
    let keys = keys::KEYS.iter().map(|(_, code)| *code);
    let keys: Vec<u16> = keys.filter(|code| *code != 0).collect();
    vec![
        codes(ev::KEY, &keys),
        codes(ev::LED, LIGHTS),
        // No code: only that keys repeat.
        Answer::new(select::CODES, ev::REP, [0]),
    ]
}

fn touch_screen() -> Vec<Answer> {
    let axes = [
        (abs::MT_SLOT, SLOTS_MAX),
        (abs::MT_TRACKING_ID, SLOTS_MAX),
        (abs::MT_POSITION_X, ABS_MAX),
        (abs::MT_POSITION_Y, ABS_MAX),
    ];
    let mut answers = vec![
        Answer::new(select::PROPERTIES, 0, bitmap(&[PROPERTY_DIRECT])),
        codes(ev::KEY, BUTTONS),
        codes(ev::ABS, &axes.map(|(axis, _)| axis)),
    ];
    answers.extend(axes.map(|(axis, max)| range(axis, max)));
    answers
}

fn codes(kind: u16, codes: &[u16]) -> Answer {
    Answer::new(select::CODES, kind, bitmap(codes))
}

fn bitmap(bits: &[u16]) -> Vec<u8> {
    let last = bits.iter().copied().max().unwrap_or(0);
    let mut bytes = vec![0; usize::from(last) / 8 + 1];
    for bit in bits {
        bytes[usize::from(bit / 8)] |= 1 << (bit % 8);
    }
    bytes
}

/// From 0 to `max`, without noise, at any resolution.
fn range(axis: u16, max: u32) -> Answer {
    let fields = [0, max, 0, 0, 0];
    let payload: Vec<u8> = fields.into_iter().flat_map(u32::to_le_bytes).collect();
    Answer::new(select::RANGE, axis, payload)
}
