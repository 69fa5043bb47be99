//! The human monitor's commands on keyboards, pointers and screens.

use tinamou_api as api;
use tinamou_display::{Axis, Button, Event, keys};
use tinamou_monitor::Hmp;
use tinamou_monitor::hmp::{Arguments, Console};
use tinamou_qmp::{Error, Result};

use super::Entry;
use crate::commands::ui;
use crate::vm::Vm;

const COMMANDS: &[Entry] = &[
    (
        "screendump",
        "filename:F,format:-fs,device:s?,head:i?",
        "filename [-f format] [device [head]]",
        "write what a screen shows to a file, as ppm or png",
        screendump,
    ),
    (
        "sendkey",
        "keys:s,hold-time:i?",
        "keys [hold_ms]",
        "press keys together, such as ctrl-alt-delete",
        sendkey,
    ),
    (
        "mouse_move",
        "dx_str:s,dy_str:s,dz_str:s?",
        "dx dy [dz]",
        "move the pointer, turn its wheel",
        mouse_move,
    ),
    (
        "mouse_button",
        "button_state:i",
        "state",
        "hold these buttons of the pointer and no others (1=L, 2=R, 4=M)",
        mouse_button,
    ),
    (
        "mouse_set",
        "index:i",
        "index",
        "choose the pointer that gets events",
        |vm, _, args| {
            let chosen = vm.inputs.choose_pointer(args.int("index"));
            chosen.map_err(|error| Error::generic(error.to_string()))
        },
    ),
];

const INFO: Entry = ("mice", "", "", "devices that move pointers", info_mice);

/// Adds the commands of this file.
pub fn add(hmp: &mut Hmp<Vm>) {
    for entry in COMMANDS {
        hmp.add(super::command(entry, &[]));
    }
    hmp.add_info(super::command(&INFO, &[]));
}

fn screendump(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let format = args
        .optional_string("format")
        .map(image_format)
        .transpose()?;
    let device = args.optional_string("device");
    let picture = ui::picture(vm, device, args.optional_int("head"))?;
    ui::save(&picture, args.string("filename"), format)
}

fn image_format(name: &str) -> Result<api::ImageFormat> {
    let mut formats = api::ImageFormat::ALL.iter();
    let known = formats.find(|(known, _)| *known == name);
    let unknown = || Error::generic(format!("invalid parameter value: {name}"));
    Ok(known.ok_or_else(unknown)?.1)
}

fn sendkey(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let names = args.string("keys").split('-');
    let codes: Result<Vec<u16>, &str> = names.map(|name| key(name).ok_or(name)).collect();
    match codes {
        Ok(codes) => ui::press(vm, &codes, args.optional_int("hold-time")),
        Err(name) => console.print(&format!("invalid parameter: {name}\n")),
    }
    Ok(())
}

/// A key by name or by scan code.
fn key(name: &str) -> Option<u16> {
    match name.strip_prefix("0x") {
        Some(digits) => {
            let number = i32::from_str_radix(digits, 16).ok()?;
            Some(keys::by_number(number.into()))
        }
        None if name == "<" => keys::by_name("less"),
        None => keys::by_name(name),
    }
}

fn mouse_move(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let step = |axis, name| Event::Relative {
        axis,
        value: args.optional_string(name).map_or(0, leading_number),
    };
    let mut events = vec![step(Axis::X, "dx_str"), step(Axis::Y, "dy_str")];
    let turn = args.optional_string("dz_str").map_or(0, leading_number);
    if turn != 0 {
        let button = match turn > 0 {
            true => Button::WheelUp,
            false => Button::WheelDown,
        };
        events.push(Event::Button { button, down: true });
        ui::send(vm, None, &events);
        let down = false;
        events = vec![Event::Button { button, down }];
    }
    ui::send(vm, None, &events);
    Ok(())
}

/// The number at the beginning of a text as C reads it: decimal, octal or hexadecimal; 0 if
/// there is none.
fn leading_number(text: &str) -> i64 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match digits.strip_prefix("0x") {
        Some(rest) => (16, rest),
        None if digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    let end = digits.find(|c: char| !c.is_digit(base));
    let digits = &digits[..end.unwrap_or(digits.len())];
    let number = i64::from_str_radix(digits, base).unwrap_or(match digits {
        "" => 0,
        _ => i64::MAX,
    });
    // QEMU's is an int.
    i64::from(if negative { -number } else { number } as i32)
}

fn mouse_button(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    const BUTTONS: [(i64, Button); 3] =
        [(1, Button::Left), (4, Button::Middle), (2, Button::Right)];
    let held = args.int("button_state");
    let changed = held ^ std::mem::replace(&mut vm.mouse_buttons, held);
    let events = BUTTONS.iter().filter(|(bit, _)| changed & bit != 0);
    let events = events.map(|(bit, button)| Event::Button {
        button: *button,
        down: held & bit != 0,
    });
    let events: Vec<_> = events.collect();
    ui::send(vm, None, &events);
    Ok(())
}

fn info_mice(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    let pointers = vm.inputs.pointers();
    if pointers.is_empty() {
        console.print("No mouse devices connected\n");
    }
    for pointer in pointers {
        console.print(&format!(
            "{} Mouse #{}: {}{}\n",
            if pointer.current { '*' } else { ' ' },
            pointer.index,
            pointer.name,
            if pointer.absolute { " (absolute)" } else { "" },
        ));
    }
    Ok(())
}
