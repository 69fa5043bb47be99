//! Commands that make drives, change what is in them, and take them away.

use std::sync::mpsc;
use std::time::Duration;

use tinamou_api as api;
use tinamou_monitor::Hmp;
use tinamou_monitor::hmp::{Arguments, Console};
use tinamou_qmp::{Error, Result};

use super::Entry;
use crate::blocks::{self, wire};
use crate::commands::block;
use crate::options::config::{BlockdevConfig, DriveInterface};
use crate::options::{self, Config};
use crate::vm::Vm;

const COMMANDS: &[Entry] = &[
    (
        "eject",
        "force:-f,device:B",
        "[-f] device",
        "take the medium out of a drive (use -f to force it)",
        |vm, _, args| block::eject_drive(vm, args.string("device"), args.flag("force")),
    ),
    (
        "change",
        "device:B,force:-f,target:F,arg:s?,read-only-mode:s?",
        "device [-f] filename [format [read-only-mode]]",
        "put another medium into a drive (use -f to force the tray open)",
        change,
    ),
    (
        "block_resize",
        "device:B,size:o",
        "device size",
        "change the size of a drive's image",
        resize,
    ),
    (
        "drive_add",
        "node:-n,pci_addr:s,opts:s",
        "[-n] dummy [options]",
        "make a drive without a device, as -drive if=none does, or with -n a node",
        |vm, console, args| report(add_drive(vm, args).map(|done| done.to_owned()), console),
    ),
    (
        "drive_del",
        "id:B",
        "device",
        "take a drive away; a device that shows it is left without a medium",
        |vm, console, args| {
            let deleted = delete(vm, args.string("id"));
            report(deleted.map(|()| String::new()), console)
        },
    ),
];

/// How long the monitor waits for the host's files.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn add(hmp: &mut Hmp<Vm>) {
    for entry in COMMANDS {
        hmp.add(super::command(entry, &[]));
    }
}

/// Errors of some commands are shown without a word before them.
fn report(done: Result<String>, console: &mut Console<'_>) -> Result<()> {
    match done {
        Ok(text) => console.print(&text),
        Err(error) => console.print(&format!("{}\n", error.desc)),
    }
    Ok(())
}

fn change(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    use api::BlockdevChangeReadOnlyMode as Mode;
    let modes = [Mode::Retain, Mode::ReadOnly, Mode::ReadWrite];
    let mode = |text: &str| {
        let found = modes.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| Error::generic(format!("invalid parameter value: {text}")))
    };
    let mode = args
        .optional_string("read-only-mode")
        .map(mode)
        .transpose()?;
    let change = block::change_drive(
        vm,
        api::BlockdevChangeMediumArguments {
            device: Some(args.string("device").to_owned()),
            id: None,
            filename: args.string("target").to_owned(),
            format: args.optional_string("arg").map(str::to_owned),
            force: Some(args.flag("force")),
            read_only_mode: mode,
        },
    )?;
    finish(vm, change)
}

fn resize(vm: &mut Vm, _: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let node = vm.blocks.lookup(Some(args.string("device")), None);
    let node = node.map_err(wire)?;
    let size = args.optional_int("size").unwrap_or(0);
    let size = u64::try_from(size).map_err(|_| Error::expects(Some("size"), "a >0 size"))?;
    let blocks = vm.blocks.clone();
    finish(
        vm,
        async move { blocks.resize(&node, size).await.map_err(wire) },
    )
}

fn add_drive(vm: &Vm, args: &Arguments) -> Result<&'static str> {
    let text = args.string("opts");
    if args.flag("node") {
        return add_node(vm, text).map(|()| "");
    }
    let refused = |error: options::Error| Error::generic(error.to_string());
    let config: &Config = &vm.config;
    let drive = options::parse_drive(text, &config.drives).map_err(refused)?;
    if drive.interface != DriveInterface::None {
        return Err(Error::generic("Can't hot-add drive to type 7"));
    }
    if vm.blocks.drive(&drive.id).is_some() {
        let id = &drive.id;
        return Err(Error::generic(format!("Duplicate ID '{id}' for drive")));
    }
    let blocks = vm.blocks.clone();
    finish(vm, async move {
        // The one who types is warned by whatever the image does to him.
        blocks::add_drive(&blocks, &drive, drop).await.map(drop)
    })?;
    Ok("OK\n")
}

fn add_node(vm: &Vm, text: &str) -> Result<()> {
    let members = tinamou_qmp::keyval::parse(text, None)?.members;
    if !members.contains_key("node-name") {
        return Err(Error::generic("'node-name' needs to be specified"));
    }
    let config = BlockdevConfig {
        members,
        json: false,
        origin: Default::default(),
    };
    let blocks = vm.blocks.clone();
    finish(
        vm,
        async move { blocks::add_blockdev(&blocks, &config).await },
    )
}

fn delete(vm: &Vm, name: &str) -> Result<()> {
    if let Some(drive) = vm.blocks.drive(name) {
        drive.abandon();
        vm.blocks.forget(&drive);
        return Ok(());
    }
    if vm.blocks.find(name).is_none() {
        return Err(Error::generic(format!("Device '{name}' not found")));
    }
    let (blocks, name) = (vm.blocks.clone(), name.to_owned());
    finish(vm, async move { blocks.delete(&name).await.map_err(wire) })
}

/// Waits for work on the device thread. The human monitor's lines are carried out one after the
/// other, so there is nobody else to serve.
fn finish(vm: &Vm, work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let (tell, told) = mpsc::channel();
    vm.device_thread.spawn(async move {
        // Nobody may be waiting any more.
        let _ = tell.send(work.await);
    });
    let slow = |_| Error::generic("The host takes too long; it may still be done");
    told.recv_timeout(PATIENCE).map_err(slow)?
}
