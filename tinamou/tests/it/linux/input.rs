//! Keyboards and pointers: what is done at them is what evdev tells in the guest.

use serde_json::{Value, json};

use super::{Boot, Guest, Kernel, Program, on_both};

on_both! {
    every_event_reaches_the_guest
    every_key_has_its_code
    keys_are_typed
    the_human_monitor_moves_the_mouse
    control_alt_delete_resets_the_guest
    a_keyboard_that_is_gone_takes_no_keys
}

const ALL: &str = "-device virtio-keyboard-pci,serial=k1 -device virtio-mouse-pci \
                   -device virtio-tablet-pci -device virtio-multitouch-pci";

fn boot(program: Program, devices: &str) -> Option<Guest> {
    Boot::new(program, Kernel::Small).with(devices).up()
}

/// What evdev calls the device of that name.
fn device(guest: &mut Guest, name: &str) -> String {
    let inputs = guest.run("t inputs");
    let mut lines = inputs.lines().filter_map(|line| line.split_once(" name="));
    let found = lines.find(|(_, known)| *known == name);
    let (input, _) = found.unwrap_or_else(|| panic!("{name} is not among {inputs}"));
    input.trim_start_matches("input=").to_owned()
}

/// Opens a device: from now on it keeps what is done.
fn listen(guest: &mut Guest, name: &str) {
    let device = device(guest, name);
    guest.run(&format!("exec 3</dev/input/{device}"));
}

/// The next reports as "type,code,value", without those that end them.
fn heard(guest: &mut Guest, reports: usize) -> Vec<String> {
    let events = guest.run(&format!("t events {reports} <&3"));
    let events = events.lines().map(|line| line.trim_start_matches("event="));
    let events = events.filter(|event| !event.starts_with("0,"));
    events.map(str::to_owned).collect()
}

fn send(guest: &mut Guest, events: Value) {
    guest.qmp("input-send-event", json!({ "events": events }));
}

fn every_event_reaches_the_guest(program: Program) {
    let Some(mut guest) = boot(program, ALL) else {
        return;
    };
    let button = |button, down| json!({"type": "btn", "data": {"button": button, "down": down}});
    let key = |key| json!({"type": "key", "data": {"down": true, "key": key}});
    let finger = |kind, value| {
        let data = json!({"type": kind, "slot": 1, "tracking-id": 4, "axis": "x", "value": value});
        json!({"type": "mtt", "data": data})
    };
    let axis = |kind, axis, value| json!({"type": kind, "data": {"axis": axis, "value": value}});
    let rows = [
        (
            "Keyboard",
            json!([
                key(json!({"type": "qcode", "data": "z"})),
                key(json!({"type": "number", "data": 0x9c}))
            ]),
            &["1,44,1", "1,96,1"][..],
        ),
        (
            "Tablet",
            json!([axis("abs", "x", 0x4000), axis("abs", "y", 0x7fff)]),
            &["3,0,16384", "3,1,32767"],
        ),
        (
            "Mouse",
            json!([axis("rel", "x", -5), axis("rel", "y", 7)]),
            &["2,0,-5", "2,1,7"],
        ),
        (
            "MultiTouch",
            json!([finger("begin", 0), finger("data", 99)]),
            &["3,47,1", "3,57,4", "3,53,99"],
        ),
    ];
    for (name, events, expected) in rows {
        listen(&mut guest, &format!("QEMU Virtio {name}"));
        send(&mut guest, events);
        assert_eq!(heard(&mut guest, 1), expected, "{name}");
    }
    // The device that was chosen gets buttons; a wheel turns an axis.
    let mice = guest.qmp("query-mice", json!({}));
    let mouse = mice.as_array().and_then(|mice| {
        mice.iter()
            .find(|mouse| mouse["name"] == "QEMU Virtio Mouse")
    });
    let index = &mouse.expect("the mouse")["index"];
    let choose = format!("mouse_set {index}");
    guest.qmp("human-monitor-command", json!({"command-line": choose}));
    listen(&mut guest, "QEMU Virtio Mouse");
    send(
        &mut guest,
        json!([button("wheel-down", true), button("wheel-down", false)]),
    );
    send(&mut guest, json!([button("side", true)]));
    assert_eq!(heard(&mut guest, 2), ["2,8,-1", "1,275,1"]);
    let serial = guest.run("cat /sys/class/input/event*/device/uniq");
    assert_eq!(serial.trim(), "k1");
    guest.power_off();
}

/// One after the other, as the guest's kernel prints them.
fn every_key_has_its_code(program: Program) {
    let Some(mut guest) = boot(program, "-device virtio-keyboard-pci") else {
        return;
    };
    let schema = guest.qmp("query-qmp-schema", json!({}));
    let schema = schema.as_array().expect("a schema");
    let keys = schema
        .iter()
        .filter_map(|entity| entity["values"].as_array());
    let keys = keys
        .into_iter()
        .find(|values| values.contains(&json!("shift_r")));
    let keys: Vec<&str> = keys
        .expect("QKeyCode")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(keys.len() > 140);
    listen(&mut guest, "QEMU Virtio Keyboard");
    // Without those that the kernel itself acts upon: it says which lights to switch.
    let acted_upon = [
        "unmapped",
        "sysrq",
        "print",
        "caps_lock",
        "num_lock",
        "scroll_lock",
    ];
    let keys: Vec<_> = keys
        .into_iter()
        .filter(|key| !acted_upon.contains(key))
        .collect();
    let mut codes = String::new();
    for chunk in keys.chunks(8) {
        for key in chunk {
            for down in [true, false] {
                let key = json!({"type": "qcode", "data": key});
                send(
                    &mut guest,
                    json!([{"type": "key", "data": {"down": down, "key": key}}]),
                );
            }
        }
        let events = heard(&mut guest, 2 * chunk.len());
        let down = events.iter().filter_map(|event| event.strip_suffix(",1"));
        for (key, event) in chunk.iter().zip(down) {
            codes += &format!("{key} {}\n", event.trim_start_matches("1,"));
        }
    }
    assert_eq!(codes, include_str!("keys.txt"));
    guest.power_off();
}

fn keys_are_typed(program: Program) {
    let Some(mut guest) = boot(
        program,
        "-global virtio-mmio.force-legacy=false -device virtio-keyboard-device",
    ) else {
        return;
    };
    listen(&mut guest, "QEMU Virtio Keyboard");
    let key = |key: &str| json!({"type": "qcode", "data": key});
    guest.qmp("send-key", json!({"keys": [key("ctrl"), key("c")]}));
    assert_eq!(
        heard(&mut guest, 4),
        ["1,29,1", "1,46,1", "1,46,0", "1,29,0"]
    );
    let typed = "human-monitor-command";
    guest.qmp(typed, json!({"command-line": "sendkey shift-0x1e 1"}));
    assert_eq!(
        heard(&mut guest, 4),
        ["1,42,1", "1,30,1", "1,30,0", "1,42,0"]
    );
    // A stopped guest has nobody at the keyboard.
    guest.qmp("stop", json!({}));
    guest.qmp("send-key", json!({"keys": [key("a")]}));
    guest.qmp("cont", json!({}));
    guest.qmp("send-key", json!({"keys": [key("b")]}));
    assert_eq!(heard(&mut guest, 2), ["1,48,1", "1,48,0"]);
    guest.power_off();
}

fn the_human_monitor_moves_the_mouse(program: Program) {
    let Some(mut guest) = boot(program, "-device virtio-mouse-pci") else {
        return;
    };
    listen(&mut guest, "QEMU Virtio Mouse");
    let mut check = |line: &str, reports, expected: &[&str]| {
        guest.qmp("human-monitor-command", json!({"command-line": line}));
        assert_eq!(heard(&mut guest, reports), expected, "{line}");
    };
    check("mouse_move 3 -4", 1, &["2,0,3", "2,1,-4"]);
    check("mouse_move 0x10 07 1", 1, &["2,0,16", "2,1,7", "2,8,1"]);
    check("mouse_button 3", 1, &["1,272,1", "1,273,1"]);
    check("mouse_button 4", 1, &["1,272,0", "1,274,1", "1,273,0"]);
    check("mouse_button 0", 1, &["1,274,0"]);
    guest.power_off();
}

fn control_alt_delete_resets_the_guest(program: Program) {
    let Some(mut guest) = boot(program, "-device virtio-keyboard-pci") else {
        return;
    };
    let chord = json!({"command-line": "sendkey ctrl-alt-delete"});
    guest.qmp("human-monitor-command", chord);
    let reset = json!({"guest": true, "reason": "guest-reset"});
    assert_eq!(guest.event("RESET"), reset);
    guest.prompt();
    guest.power_off();
}

fn a_keyboard_that_is_gone_takes_no_keys(program: Program) {
    let boot = Boot::new(program, Kernel::Small).machine("virt,aia=aplic-imsic");
    let Some(mut guest) = boot.with("-device pcie-root-port,id=rp1,chassis=1").up() else {
        return;
    };
    let key = json!({"type": "key", "data": {"down": true, "key": {"type": "qcode", "data": "a"}}});
    let missing =
        json!({"class": "GenericError", "desc": "Input handler not found for event type key"});
    assert_eq!(
        guest.refused("input-send-event", json!({"events": [key]})),
        missing
    );
    guest.qmp(
        "device_add",
        json!({"driver": "virtio-keyboard-pci", "id": "k", "bus": "rp1"}),
    );
    guest.run("t until t bound virtio_input");
    listen(&mut guest, "QEMU Virtio Keyboard");
    send(&mut guest, json!([key]));
    assert_eq!(heard(&mut guest, 1), ["1,30,1"]);
    guest.run("exec 3<&-");
    guest.qmp("device_del", json!({"id": "k"}));
    guest.event("DEVICE_DELETED");
    guest.event("DEVICE_DELETED");
    assert_eq!(
        guest.refused("input-send-event", json!({"events": [key]})),
        missing
    );
    guest.power_off();
}
