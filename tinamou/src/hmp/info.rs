//! `info`: what there is to know.

use tinamou_machine::RunState;
use tinamou_monitor::Hmp;
use tinamou_monitor::hmp::{Arguments, Console};
use tinamou_qmp::Result;
use tinamou_qom::ObjectId;

use super::Entry;
use super::{block, mtree, pci, registers};
use crate::commands::memory_devices::memory_size_summary as summary;
use crate::commands::{PACKAGE, machine::uuid_text};
use crate::devices::{self, virtio_balloon, virtio_mem};
use crate::options::QEMU_VERSION;
use crate::vm::Vm;

const COMMANDS: &[Entry] = &[
    (
        "version",
        "",
        "",
        "the version of the emulator",
        |_, console, _| {
            let [major, minor, micro] = QEMU_VERSION;
            console.print(&format!("{major}.{minor}.{micro}{PACKAGE}\n"));
            Ok(())
        },
    ),
    ("status", "", "", "whether the machine runs", status),
    (
        "name",
        "",
        "",
        "the name of the machine",
        |vm, console, _| {
            if let Some(name) = &vm.config.name {
                console.print(&format!("{name}\n"));
            }
            Ok(())
        },
    ),
    (
        "uuid",
        "",
        "",
        "the UUID of the machine",
        |vm, console, _| {
            console.print(&format!(
                "{}\n",
                uuid_text(&vm.config.uuid.unwrap_or_default())
            ));
            Ok(())
        },
    ),
    ("kvm", "", "", "whether KVM is in use", |_, console, _| {
        console.print("kvm support: not compiled\n");
        Ok(())
    }),
    ("cpus", "", "", "the virtual CPUs", cpus),
    (
        "registers",
        "all:-a,vcpu:i?",
        "[-a|vcpu]",
        "the registers of a virtual CPU",
        info_registers,
    ),
    ("pci", "", "", "the PCI devices", pci::info),
    (
        "block",
        "nodes:-n,verbose:-v,device:B?",
        "[-n] [-v] [device]",
        "the disks, or with -n the block nodes; -v tells of their images",
        block::info,
    ),
    (
        "blockstats",
        "",
        "",
        "the counters of the disks",
        block::stats,
    ),
    (
        "chardev",
        "",
        "",
        "the character devices",
        |vm, console, _| {
            for chardev in vm.chardevs.list() {
                console.print(&format!(
                    "{}: filename={}\n",
                    chardev.label, chardev.filename
                ));
            }
            Ok(())
        },
    ),
    ("memdev", "", "", "memory that was made as objects", memdev),
    ("iothreads", "", "", "the iothreads", iothreads),
    (
        "balloon",
        "",
        "",
        "how much memory the balloon has left to the guest",
        |vm, console, _| {
            let actual = virtio_balloon::active(vm)?.actual();
            console.print(&format!("balloon: actual={}\n", actual >> 20));
            Ok(())
        },
    ),
    (
        "memory-devices",
        "",
        "",
        "the devices that add memory",
        memory_devices,
    ),
    (
        "memory_size_summary",
        "",
        "",
        "how much memory the guest has",
        memory_size_summary,
    ),
    (
        "qtree",
        "brief:-b",
        "[-b]",
        "the tree of buses and devices",
        |vm, console, args| {
            console.print(&devices::qtree(&vm.devices, args.flag("brief")));
            Ok(())
        },
    ),
    ("qdm", "", "", "the models of devices", |_, console, _| {
        console.print(&devices::help::models(true));
        Ok(())
    }),
    ("mem", "", "", "the guest's page tables in use", mem),
    (
        "mtree",
        "flatview:-f,dispatch_tree:-d,owner:-o,disabled:-D",
        "[-f][-d][-o][-D]",
        "the map of physical memory: as seen, with its lookup table (with -f), with owners",
        mtree::mtree,
    ),
    ("roms", "", "", "what was loaded into memory", roms),
    (
        "qom-tree",
        "path:s?",
        "[path]",
        "the tree of objects",
        qom_tree,
    ),
];

/// Adds the commands of this file.
pub fn add(hmp: &mut Hmp<Vm>) {
    for entry in COMMANDS {
        hmp.add_info(super::command(entry, super::INFO_PRECONFIG));
    }
}

fn status(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    let state = vm.machine.run_state();
    let line = match state {
        RunState::Running => "VM status: running\n".to_owned(),
        RunState::Paused => "VM status: paused\n".to_owned(),
        other => format!("VM status: paused ({})\n", other.name()),
    };
    console.print(&line);
    Ok(())
}

fn memory_devices(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    for device in virtio_mem::list(vm) {
        let id = device.id.as_deref().unwrap_or_default();
        console.print(&format!(
            "Memory device [virtio-mem]: \"{id}\"\n  memaddr: {:#x}\n  node: {}\n  \
             requested-size: {}\n  size: {}\n  max-size: {}\n  block-size: {}\n  memdev: {}\n",
            device.memaddr,
            device.node,
            device.requested_size,
            device.size,
            device.max_size,
            device.block_size,
            device.memdev,
        ));
    }
    Ok(())
}

fn memory_size_summary(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    let summary = summary(vm);
    console.print(&format!("base memory: {}\n", summary.base_memory));
    if let Some(plugged) = summary.plugged_memory {
        console.print(&format!("plugged memory: {plugged}\n"));
    }
    Ok(())
}

fn cpus(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    let current = console.cpu_index().unwrap_or(0);
    for (index, thread) in vm.machine.thread_ids().enumerate() {
        let mark = if index == current { '*' } else { ' ' };
        console.print(&format!("{mark} CPU #{index}: thread_id={thread}\n"));
    }
    Ok(())
}

fn info_registers(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let count = vm.machine.cpu_count();
    if args.flag("all") {
        for cpu in 0..count {
            console.print(&format!("\nCPU#{cpu}\n{}", registers::dump(vm, cpu)));
        }
        return Ok(());
    }
    let wanted = match args.optional_int("vcpu") {
        Some(index) => usize::try_from(index).unwrap_or(usize::MAX),
        None => console.cpu_index().unwrap_or(0),
    };
    match wanted < count {
        true => console.print(&format!("\nCPU#{wanted}\n{}", registers::dump(vm, wanted))),
        false if args.optional_int("vcpu").is_some() => {
            console.print(&format!("CPU#{wanted} not available\n"))
        }
        false => console.print("No CPU available\n"),
    }
    Ok(())
}

fn mem(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    let cpu = console.cpu_index().unwrap_or(0);
    match vm.machine.with_hart(cpu, |hart| hart.mappings()) {
        Err(_) => console.print("No CPU available\n"),
        Ok(None) => console.print("No translation or protection\n"),
        Ok(Some(mappings)) => console.print(&mappings.to_string()),
    }
    Ok(())
}

fn roms(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    for rom in vm.machine.virt().into_iter().flat_map(|virt| virt.roms()) {
        let memory = if rom.name.starts_with("mrom") {
            "rom"
        } else {
            "ram"
        };
        console.print(&format!(
            "addr={:016x} size=0x{:06x} mem={memory} name=\"{}\"\n",
            rom.address,
            rom.content.len(),
            rom.name
        ));
    }
    Ok(())
}

fn qom_tree(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let path = args.optional_string("path").unwrap_or("/machine");
    match vm.qom.resolve(path) {
        Ok(id) => print_tree(vm, console, path, id, 0),
        Err(_) => console.print(&format!("Path '{path}' could not be resolved.\n")),
    }
    Ok(())
}

fn print_tree(vm: &Vm, console: &mut Console<'_>, name: &str, id: ObjectId, depth: usize) {
    let name = name.rsplit('/').next().unwrap_or(name);
    console.print(&format!(
        "{:1$}/{name} ({2})\n",
        "",
        2 * depth,
        vm.qom.kind(id)
    ));
    let mut children: Vec<_> = vm.qom.children(id).collect();
    children.sort();
    for (name, child) in children {
        print_tree(vm, console, name, child, depth + 1);
    }
}

fn memdev(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    for (id, memory) in vm.objects.memory() {
        let info = memory.info(id);
        let reserve = info.reserve.unwrap_or(true);
        console.print(&format!(
            "memory backend: {id}\n  size:  {}\n  merge: {}\n  dump: {}\n  prealloc: {}\n  \
             share: {}\n  reserve: {reserve}\n  policy: {}\n  host nodes: \n",
            info.size,
            info.merge,
            info.dump,
            info.prealloc,
            info.share,
            info.policy.as_str(),
        ));
    }
    console.print("\n");
    Ok(())
}

fn iothreads(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    for (id, thread) in vm.objects.iothreads() {
        console.print(&format!(
            "{id}:\n  thread_id={}\n  poll-max-ns={}\n  poll-grow={}\n  poll-shrink={}\n  \
             aio-max-batch={}\n",
            thread.thread_id(),
            thread.poll_max_ns.get(),
            thread.poll_grow.get(),
            thread.poll_shrink.get(),
            thread.aio_max_batch.get(),
        ));
    }
    Ok(())
}
