//! Commands that change what the machine does or what is connected to it.

use tinamou_monitor::Hmp;
use tinamou_monitor::hmp::{Arguments, Console};
use tinamou_qmp::{Error, Result};

use super::Entry;
use crate::devices::virtio_balloon;
use crate::options::process::log_help_with_none;
use crate::options::{self, DeviceArgument};
use crate::vm::Vm;
use crate::{backends, log, objects};

const COMMANDS: &[Entry] = &[
    ("stop|s", "", "", "stop the virtual CPUs", |vm, _, _| {
        vm.stop();
        Ok(())
    }),
    ("cont|c", "", "", "let the virtual CPUs run", |vm, _, _| {
        vm.cont()
    }),
    (
        "exit_preconfig",
        "",
        "",
        "complete the machine (-preconfig)",
        |vm, _, _| vm.exit_preconfig(),
    ),
    ("quit|q", "", "", "end the emulator", |vm, _, _| {
        vm.quit();
        Ok(())
    }),
    ("system_reset", "", "", "reset the machine", |vm, _, _| {
        vm.system_reset();
        Ok(())
    }),
    (
        "system_powerdown",
        "",
        "",
        "ask the guest to power off",
        |vm, _, _| {
            vm.machine.power_down();
            Ok(())
        },
    ),
    (
        "system_wakeup",
        "",
        "",
        "wake the guest from suspend",
        |_, _, _| {
            Err(Error::generic(
                "wake-up from suspend is not supported by this guest",
            ))
        },
    ),
    (
        "nmi",
        "",
        "",
        "inject a non-maskable interrupt",
        |_, _, _| Err(Error::generic("machine does not provide NMIs")),
    ),
    (
        "cpu",
        "index:i",
        "index",
        "choose the CPU that other commands look at",
        cpu,
    ),
    (
        "balloon",
        "value:M",
        "target",
        "ask the guest to keep no more than an amount of memory (in MiB)",
        |vm, _, args| virtio_balloon::set_target(vm, args.int("value")),
    ),
    (
        "object_add",
        "object:S",
        "[qom-type=]type,id=str[,prop=value][,...]",
        "make an object",
        |vm, console, args| {
            let text = args.string("object");
            let help = options::object_help(text);
            if let Some(text) = help.map_err(|error| Error::generic(error.to_string()))? {
                console.print(&text);
                return Ok(());
            }
            vm.add_object(&options::parse_object(text)?)
        },
    ),
    (
        "object_del",
        "id:s",
        "id",
        "remove an object",
        |vm, _, args| vm.remove_object(args.string("id")),
    ),
    (
        "device_add",
        "device:s",
        "driver[,prop=value][,...]",
        "plug a device in",
        device_add,
    ),
    (
        "device_del",
        "id:s",
        "device",
        "take a device out",
        |vm, _, args| vm.unplug(args.string("id")),
    ),
    (
        "chardev-add",
        "args:s",
        "args",
        "add a character device",
        chardev_add,
    ),
    (
        "chardev-change",
        "id:s,args:s",
        "id args",
        "give a character device another back end",
        chardev_change,
    ),
    (
        "chardev-remove",
        "id:s",
        "id",
        "remove a character device",
        |vm, _, args| {
            vm.chardevs
                .remove(args.string("id"))
                .map_err(backends::error)?;
            objects::remove_chardev(&mut vm.qom, args.string("id"));
            Ok(())
        },
    ),
    (
        "chardev-send-break",
        "id:s",
        "id",
        "send a break on a character device",
        |vm, _, args| {
            vm.chardevs
                .send_break(args.string("id"))
                .map_err(backends::error)
        },
    ),
    (
        "ringbuf_write",
        "device:s,data:s",
        "device data",
        "write to a ring buffer",
        |vm, _, args| {
            vm.chardevs
                .ringbuf_write(args.string("device"), args.string("data").as_bytes())
                .map_err(backends::error)
        },
    ),
    (
        "ringbuf_read",
        "device:s,size:i",
        "device size",
        "read from a ring buffer",
        ringbuf_read,
    ),
    (
        "getfd",
        "fdname:s",
        "name",
        "take the descriptor passed in and name it",
        |vm, console, args| {
            let fd = console.call().take_fd();
            let fd =
                fd.ok_or_else(|| Error::generic("No file descriptor supplied via SCM_RIGHTS"))?;
            vm.fds.name(args.string("fdname"), fd)
        },
    ),
    (
        "closefd",
        "fdname:s",
        "name",
        "close a descriptor that was named",
        |vm, _, args| vm.fds.take(args.string("fdname")).map(drop),
    ),
    (
        "dumpdtb",
        "filename:F",
        "filename",
        "write the device tree to a file",
        |vm, console, args| {
            crate::commands::machine::save_device_tree(vm, args.string("filename"))?;
            console.print(&format!("DTB dumped to '{}'\n", args.string("filename")));
            Ok(())
        },
    ),
    (
        "logfile",
        "filename:F",
        "filename",
        "log to a file",
        |_, console, args| {
            if let Err(error) = log::open(args.string("filename").as_ref()) {
                console.print(&format!("{error}\n"));
            }
            Ok(())
        },
    ),
    (
        "qom-list",
        "path:s?",
        "path",
        "list the properties of an object",
        qom_list,
    ),
    (
        "qom-get",
        "path:s,property:s",
        "path property",
        "show a property",
        qom_get,
    ),
    (
        "qom-set",
        "path:s,property:s,value:S",
        "path property value",
        "change a property",
        qom_set,
    ),
    (
        "watchdog_action",
        "action:s",
        "action",
        "choose what a watchdog does",
        watchdog_action,
    ),
];

const LOG: Entry = (
    "log",
    "items:s",
    "item1[,...]",
    "choose what is logged",
    log_items,
);

/// Adds the commands of this file.
pub fn add(hmp: &mut Hmp<Vm>) {
    for entry in COMMANDS {
        hmp.add(super::command(entry, super::PRECONFIG));
    }
    hmp.add(super::command(&LOG, super::PRECONFIG).details(log_help_with_none()));
}

fn log_items(_: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let items = args.string("items");
    let known = |item: &str| log::ITEMS.iter().any(|(name, _)| *name == item);
    match items == "none" || items.split(',').all(known) {
        true => log::choose(items.split(',')),
        false => console.print(&log_help_with_none()),
    }
    Ok(())
}

fn cpu(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    match vm.cpu_index(args.int("index")) {
        Ok(index) => console.set_cpu_index(index),
        Err(_) => console.print("invalid CPU index\n"),
    }
    Ok(())
}

fn device_add(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let mut warnings = Vec::new();
    let parsed = options::parse_device(args.string("device"), &mut warnings);
    for warning in warnings {
        console.print(&format!("{warning}\n"));
    }
    let parsed = parsed.map_err(|error| Error::generic(error.to_string()))?;
    let request = match parsed {
        DeviceArgument::Help(text) => {
            console.print(&text);
            return Ok(());
        }
        DeviceArgument::Device(request) => request,
    };
    vm.plug(&request, true).map_err(|fault| {
        let hint = fault.hint.map(|hint| format!("\n{hint}"));
        let desc = format!("{}{}", fault.error.desc, hint.unwrap_or_default());
        Error {
            desc,
            ..fault.error
        }
    })
}

fn chardev_add(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let config = parse_chardev(args.string("args"))?;
    let backend = backends::from_options(&config, &vm.objects)?;
    let chardev = vm
        .chardevs
        .add(&config.id, backend)
        .map_err(backends::error)?;
    objects::add_chardev(&mut vm.qom, chardev.label(), &chardev.filename())
}

fn chardev_change(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let config = parse_chardev(&format!("{},id={}", args.string("args"), args.string("id")))?;
    let backend = backends::from_options(&config, &vm.objects)?;
    vm.chardevs
        .change(&config.id, backend)
        .map_err(backends::error)?;
    Ok(())
}

fn parse_chardev(text: &str) -> Result<crate::options::config::ChardevConfig> {
    crate::options::parse_chardev(text).map_err(|error| Error::generic(error.message().to_owned()))
}

fn ringbuf_read(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let bytes = vm
        .chardevs
        .ringbuf_read(args.string("device"), args.int("size"))
        .map_err(backends::error)?;
    for c in String::from_utf8_lossy(&bytes).chars() {
        match c {
            '\\' => console.print("\\\\"),
            c if (c < ' ' && c != '\n') || c == '\x7f' => {
                console.print(&format!("\\u{:04X}", u32::from(c)))
            }
            c => console.print(c.encode_utf8(&mut [0; 4])),
        }
    }
    console.print("\n");
    Ok(())
}

fn qom_list(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let Some(path) = args.optional_string("path") else {
        console.print("/\n");
        return Ok(());
    };
    let mut properties = vm.qom.list(vm.qom.resolve(path)?);
    properties.sort_by(|a, b| a.name.cmp(&b.name));
    for property in properties {
        console.print(&format!("{} ({})\n", property.name, property.kind));
    }
    Ok(())
}

fn qom_get(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let value = vm.qom.get(
        vm.qom.resolve(args.string("path"))?,
        args.string("property"),
    )?;
    let text = tinamou_qmp::json::to_vec(&value, tinamou_qmp::json::Style::Pretty)?;
    console.print(&format!(
        "{}\n",
        String::from_utf8_lossy(&text).replace("\r\n", "\n")
    ));
    Ok(())
}

fn qom_set(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let text = args.string("value");
    let value = tinamou_qmp::json::parse(text.as_bytes());
    let value = value.unwrap_or_else(|_| tinamou_qmp::Value::String(text.to_owned()));
    vm.qom.set(
        vm.qom.resolve(args.string("path"))?,
        args.string("property"),
        value,
    )
}

fn watchdog_action(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    use tinamou_machine::run_state::WatchdogAction;
    let name = args.string("action");
    let action = WatchdogAction::from_name(name)
        .ok_or_else(|| Error::generic(format!("invalid parameter value: {name}")))?;
    vm.machine.actions_mut().watchdog = action;
    Ok(())
}
