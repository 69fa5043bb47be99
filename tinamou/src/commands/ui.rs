//! The commands of `schema/ui.json`: keyboards, pointers and screens.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Duration;

use tinamou_api as api;
use tinamou_display::{Axis, Button, Event, Picture, TouchKind, keys};
use tinamou_machine::RunState;
use tinamou_monitor::{Call, Responder};
use tinamou_qmp::{Error, Result};

use crate::vm::Vm;

/// `query-mice`
pub fn query_mice(vm: &mut Vm, _: &mut Call, (): ()) -> Result<Vec<api::MouseInfo>> {
    let info = |pointer: tinamou_display::Pointer| api::MouseInfo {
        name: pointer.name.into(),
        index: pointer.index.into(),
        current: pointer.current,
        absolute: pointer.absolute,
    };
    Ok(vm.inputs.pointers().into_iter().map(info).collect())
}

/// `send-key`
pub fn send_key(vm: &mut Vm, _: &mut Call, args: api::SendKeyArguments) -> Result<api::Empty> {
    let codes: Vec<u16> = args.keys.iter().map(code).collect();
    press(vm, &codes, args.hold_time);
    Ok(api::Empty {})
}

/// Types a chord, each key held for so many milliseconds; nobody is there while the machine is
/// stopped.
pub fn press(vm: &Vm, codes: &[u16], hold: Option<i64>) {
    if !is_running(vm) {
        return;
    }
    // QEMU takes 32 bits of it, and none for nothing.
    let hold = hold.map(|hold| hold as u32).filter(|hold| *hold != 0);
    let hold = hold.map(|hold| Duration::from_millis(hold.into()));
    vm.keyboard.press(codes, hold);
}

/// `input-send-event`
pub fn input_send_event(
    vm: &mut Vm,
    _: &mut Call,
    args: api::InputSendEventArguments,
) -> Result<api::Empty> {
    let head = args.head.unwrap_or(0);
    let device = args.device.as_deref();
    let screen = device.map(|device| screen(vm, device, head)).transpose()?;
    if !is_running(vm) {
        return Err(Error::generic("VM not running"));
    }
    let events: Vec<Event> = args.events.iter().map(event).collect();
    for event in &events {
        let kind = event.kind();
        if !vm.inputs.accepts(kind, screen) {
            let missing = format!("Input handler not found for event type {}", kind.name());
            return Err(Error::generic(missing));
        }
    }
    send(vm, screen, &events);
    Ok(api::Empty {})
}

/// Does what a person could do, all of it at once; nobody is there while the machine is stopped.
pub fn send(vm: &Vm, screen: Option<usize>, events: &[Event]) {
    if !is_running(vm) {
        return;
    }
    for event in events {
        vm.inputs.send(screen, *event);
    }
    vm.inputs.sync();
}

/// The screen of a device.
///
/// # Errors
/// There is no such device, or it has no such screen.
pub fn screen(vm: &Vm, device: &str, head: i64) -> Result<usize> {
    if vm.devices.topology.find_id(device).is_none() {
        return Err(Error::device_not_found(device));
    }
    vm.screens.find(device, head).ok_or_else(|| {
        let refused = format!("Device {device} (head {head}) is not bound to a QemuConsole");
        Error::generic(refused)
    })
}

/// `screendump`
pub fn screendump(
    vm: &mut Vm,
    _: &mut Call,
    args: api::ScreendumpArguments,
    responder: Responder<api::Empty>,
) {
    let device = args.device.as_deref();
    let picture = match picture(vm, device, args.head) {
        Ok(picture) => picture,
        Err(error) => return responder.respond(Err(error)),
    };
    vm.device_thread.spawn_blocking(move || {
        let written = save(&picture, &args.filename, args.format);
        responder.respond(written.map(|()| api::Empty {}));
    });
}

/// What a screen shows; the first one unless a device is named.
///
/// # Errors
/// There is no such screen.
pub fn picture(vm: &Vm, device: Option<&str>, head: Option<i64>) -> Result<Picture> {
    let number = match device {
        Some(device) => screen(vm, device, head.unwrap_or(0))?,
        None if head.is_some() => {
            let refused = "'head' must be specified together with 'device'";
            return Err(Error::generic(refused));
        }
        None => 0,
    };
    let screen = vm.screens.screen(number);
    let none = || Error::generic("There is no console to take a screendump from");
    Ok(screen.ok_or_else(none)?.picture())
}

/// Writes a picture to a file; PPM unless another format is wanted.
///
/// # Errors
/// It cannot be written.
pub fn save(picture: &Picture, path: &str, format: Option<api::ImageFormat>) -> Result<()> {
    let file = File::create(path).map_err(|error| {
        let reason = super::machine::reason(&error);
        Error::generic(format!("failed to open file '{path}': {reason}"))
    })?;
    let mut file = BufWriter::new(file);
    let written = match format {
        Some(api::ImageFormat::Png) => picture.write_png(&mut file),
        Some(api::ImageFormat::Ppm) | None => picture.write_ppm(&mut file),
    };
    written.and_then(|()| file.flush()).map_err(|error| {
        let reason = super::machine::reason(&error);
        Error::generic(format!("failed to write file '{path}': {reason}"))
    })
}

fn is_running(vm: &Vm) -> bool {
    matches!(
        vm.machine.run_state(),
        RunState::Running | RunState::Suspended
    )
}

fn code(key: &api::KeyValue) -> u16 {
    match &key.branch {
        api::KeyValueBranch::Number(number) => keys::by_number(number.data),
        api::KeyValueBranch::Qcode(name) => keys::by_name(name.data.as_str()).unwrap_or(0),
    }
}

fn event(event: &api::InputEvent) -> Event {
    match &event.branch {
        api::InputEventBranch::Key(wrapper) => Event::Key {
            code: code(&wrapper.data.key),
            down: wrapper.data.down,
        },
        api::InputEventBranch::Btn(wrapper) => Event::Button {
            button: button(wrapper.data.button),
            down: wrapper.data.down,
        },
        api::InputEventBranch::Rel(wrapper) => Event::Relative {
            axis: axis(wrapper.data.axis),
            value: wrapper.data.value,
        },
        api::InputEventBranch::Abs(wrapper) => Event::Absolute {
            axis: axis(wrapper.data.axis),
            value: wrapper.data.value,
        },
        api::InputEventBranch::Mtt(wrapper) => touch(&wrapper.data),
    }
}

fn touch(data: &api::InputMultiTouchEvent) -> Event {
    Event::Touch {
        kind: match data.r#type {
            api::InputMultiTouchType::Data => TouchKind::Data,
            _ => TouchKind::Contact,
        },
        slot: data.slot,
        tracking_id: data.tracking_id,
        axis: axis(data.axis),
        value: data.value,
    }
}

fn axis(axis: api::InputAxis) -> Axis {
    match axis {
        api::InputAxis::X => Axis::X,
        api::InputAxis::Y => Axis::Y,
    }
}

fn button(button: api::InputButton) -> Button {
    match button {
        api::InputButton::Left => Button::Left,
        api::InputButton::Middle => Button::Middle,
        api::InputButton::Right => Button::Right,
        api::InputButton::WheelUp => Button::WheelUp,
        api::InputButton::WheelDown => Button::WheelDown,
        api::InputButton::Side => Button::Side,
        api::InputButton::Extra => Button::Extra,
        api::InputButton::WheelLeft => Button::WheelLeft,
        api::InputButton::WheelRight => Button::WheelRight,
        api::InputButton::Touch => Button::Touch,
    }
}
