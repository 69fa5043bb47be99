//! The human monitor's commands, by what they are about.

mod control;
mod info;
mod memory;
mod registers;

use tinamou_monitor::Hmp;
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
    info::add(&mut hmp);
    memory::add(&mut hmp);
    hmp.registers(|vm, cpu, name| registers::value(vm, cpu.unwrap_or(0), name));
    hmp
}

/// Shows an error the way the human monitor does, as text.
fn report(console: &mut tinamou_monitor::hmp::Console<'_>, result: Result<()>) -> Result<()> {
    if let Err(error) = result {
        console.print(&format!("Error: {}\n", error.desc));
    }
    Ok(())
}
