//! The human monitor's commands, by what they are about.

mod block;
mod completion;
mod control;
mod drives;
mod image;
mod info;
mod memory;
mod mtree;
mod net;
mod pci;
mod registers;
mod ui;
mod virtio;

use tinamou_monitor::Hmp;
use tinamou_monitor::hmp::{Arguments, Command, Console};
use tinamou_qmp::Result;

use crate::options::QEMU_VERSION;
use crate::vm::Vm;

/// All commands.
pub fn commands() -> Hmp<Vm> {
    let [major, minor, micro] = QEMU_VERSION;
    let mut hmp = Hmp::new(format!(
        "QEMU {major}.{minor}.{micro} monitor - type 'help' for more information"
    ));
    control::add(&mut hmp);
    drives::add(&mut hmp);
    info::add(&mut hmp);
    memory::add(&mut hmp);
    net::add(&mut hmp);
    ui::add(&mut hmp);
    virtio::add(&mut hmp);
    hmp.registers(|vm, cpu, name| registers::value(vm, cpu.unwrap_or(0), name));
    hmp
}

/// A command as the tables of this directory describe it: name and aliases,
/// arguments, how help shows these, help, handler.
type Entry = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Handler,
);

type Handler = fn(&mut Vm, &mut Console<'_>, &Arguments) -> Result<()>;

/// What may run before the machine is complete, as in QEMU.
const PRECONFIG: &[&str] = &[
    "closefd",
    "exit_preconfig",
    "getfd",
    "qom-get",
    "qom-list",
    "qom-set",
    "quit|q",
];

/// The same for `info`.
const INFO_PRECONFIG: &[&str] = &["chardev", "name", "qom-tree", "status", "uuid", "version"];

/// Makes the command of an entry. Its errors are shown as text.
fn command(entry: &'static Entry, preconfig: &[&str]) -> Command<Vm> {
    let (names, parameters, usage, help, handler) = entry;
    let run = |vm: &mut Vm, console: &mut Console<'_>, args: &Arguments| {
        if let Err(error) = handler(vm, console, args) {
            console.print(&format!("Error: {}\n", error.desc));
        }
        Ok(())
    };
    let mut command = Command::new(names, parameters, run).usage(usage).help(help);
    for (parameter, candidates) in completion::of(names) {
        command = command.complete(parameter, *candidates);
    }
    match preconfig.contains(names) {
        true => command.preconfig(),
        false => command,
    }
}
