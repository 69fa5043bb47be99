//! Commands that look at memory and ports.

use tinamou_hart::disassemble;
use tinamou_monitor::Hmp;
use tinamou_monitor::hmp::{Arguments, Base, Console, Format};
use tinamou_qmp::Result;

use super::Entry;
use crate::commands::machine::{save_physical, save_virtual};
use crate::vm::Vm;

const COMMANDS: &[Entry] = &[
    ("x", "fmt:/,addr:l", "/fmt addr", "dump virtual memory", x),
    (
        "xp",
        "fmt:/,addr:l",
        "/fmt addr",
        "dump physical memory",
        xp,
    ),
    (
        "sum",
        "start:i,size:i",
        "addr size",
        "checksum a stretch of memory",
        sum,
    ),
    (
        "i",
        "fmt:/,addr:i,index:i.",
        "/fmt addr",
        "read an I/O port",
        port_in,
    ),
    (
        "o",
        "fmt:/,addr:i,val:i",
        "/fmt addr value",
        "write an I/O port",
        |_, _, _| {
            // The board has no port that listens.
            Ok(())
        },
    ),
    (
        "memsave",
        "val:l,size:i,filename:s",
        "addr size file",
        "save virtual memory to a file",
        |vm, console, args| {
            let cpu = vm.cpu_index(console.cpu_index().unwrap_or(0) as i64)?;
            save_virtual(
                vm,
                cpu,
                args.int("val") as u64,
                args.int("size") as u64,
                args.string("filename"),
            )
        },
    ),
    (
        "pmemsave",
        "val:l,size:i,filename:s",
        "addr size file",
        "save physical memory to a file",
        |vm, _, args| {
            save_physical(
                vm,
                args.int("val") as u64,
                args.int("size") as u64,
                args.string("filename"),
            )
        },
    ),
];

/// Adds the commands of this file.
pub fn add(hmp: &mut Hmp<Vm>) {
    for entry in COMMANDS {
        hmp.add(super::command(entry, super::PRECONFIG));
    }
}

fn x(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let cpu = console.cpu_index().unwrap_or(0);
    let address = args.int("addr") as u64;
    let read = |at: u64, bytes: &mut [u8]| vm.machine.read_virtual(cpu, at, bytes).is_ok();
    dump(console, args.format("fmt"), address, read);
    Ok(())
}

fn xp(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let address = args.int("addr") as u64;
    let read = |at: u64, bytes: &mut [u8]| vm.machine.read_physical(at, bytes);
    dump(console, args.format("fmt"), address, read);
    Ok(())
}

/// Shows memory, which `read` reads unless there is none.
fn dump(
    console: &mut Console<'_>,
    format: Format,
    address: u64,
    read: impl FnMut(u64, &mut [u8]) -> bool,
) {
    let text = match format.base {
        Base::Instruction => listing(format.count, address, read),
        _ => format.dump(address, read),
    };
    console.print(&text);
}

/// Memory as instructions, to the first that is not in memory.
fn listing(count: u32, mut address: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) -> String {
    /// More instructions than this are not shown by one command.
    const MAX: u32 = 1 << 16;
    let mut text = String::new();
    for _ in 0..count.min(MAX) {
        // By halfwords: what follows the last instruction may not be memory.
        let mut bytes = [0; 8];
        let mut present = 0;
        while present < bytes.len()
            && read(
                address.wrapping_add(present as u64),
                &mut bytes[present..present + 2],
            )
        {
            present += 2;
        }
        let line = disassemble(address, u64::from_le_bytes(bytes));
        if present < line.length.into() {
            text += &format!("0x{address:08x}:  Address {address:#x} is out of bounds.\n\n");
            break;
        }
        text += &format!("{line}\n");
        address = address.wrapping_add(line.length.into());
    }
    text
}

/// The BSD checksum, of bytes one after the other.
fn sum(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let (start, size) = (args.int("start") as u64, args.int("size"));
    let mut sum = 0u16;
    let mut byte = [0];
    for offset in 0..u64::from(u32::try_from(size).unwrap_or(0)) {
        vm.machine
            .read_physical(start.wrapping_add(offset), &mut byte);
        sum = sum.rotate_right(1).wrapping_add(u16::from(byte[0]));
    }
    console.print(&format!("{sum:05}\n"));
    Ok(())
}

fn port_in(_: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let port = args.int("addr") as u16;
    let (suffix, digits, value) = match args.format("fmt").size {
        1 => ('b', 2, 0xffu32),
        2 => ('w', 4, 0xffff),
        _ => ('l', 8, 0xffff_ffff),
    };
    console.print(&format!(
        "port{suffix}[0x{port:04x}] = 0x{value:0digits$x}\n"
    ));
    Ok(())
}
