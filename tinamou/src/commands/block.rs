//! `block.json`: media, trays and limits of disks.

use std::sync::Arc;

use tinamou_api as api;
use tinamou_block::throttle::Limits;
use tinamou_block::{BlockBackend, Graph, Operation, filename};
use tinamou_monitor::{Call, Responder};
use tinamou_qmp::{Error, Result};

use super::block_core::answer;
use crate::blocks::wire;
use crate::vm::Vm;

/// A disk, and how the client called it.
struct Named {
    disk: Arc<BlockBackend>,
    name: String,
}

/// `eject`
pub fn eject(vm: &mut Vm, _: &mut Call, args: api::EjectArguments) -> Result<api::Empty> {
    let named = named(vm, args.device.as_deref(), args.id.as_deref())?;
    take_out(vm, &named, args.force.unwrap_or(false))?;
    Ok(api::Empty {})
}

/// `eject` of HMP: takes the medium out of a drive.
///
/// # Errors
/// There is no such drive, it has no tray, or the guest keeps that in.
pub fn eject_drive(vm: &Vm, drive: &str, force: bool) -> Result<()> {
    take_out(vm, &named(vm, Some(drive), None)?, force)
}

fn take_out(vm: &Vm, named: &Named, force: bool) -> Result<()> {
    if open_tray(named, force)? == Opened::Asked {
        return Err(locked(&named.name));
    }
    remove_medium(&vm.blocks, named)
}

/// `blockdev-open-tray`
pub fn blockdev_open_tray(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockdevOpenTrayArguments,
) -> Result<api::Empty> {
    let named = named(vm, args.device.as_deref(), args.id.as_deref())?;
    open_tray(&named, args.force.unwrap_or(false))?;
    Ok(api::Empty {})
}

/// `blockdev-close-tray`
pub fn blockdev_close_tray(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockdevCloseTrayArguments,
) -> Result<api::Empty> {
    close_tray(&named(vm, args.device.as_deref(), args.id.as_deref())?)?;
    Ok(api::Empty {})
}

/// `blockdev-remove-medium`
pub fn blockdev_remove_medium(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockdevRemoveMediumArguments,
) -> Result<api::Empty> {
    let named = named(vm, None, Some(&args.id))?;
    remove_medium(&vm.blocks, &named)?;
    Ok(api::Empty {})
}

/// `blockdev-insert-medium`
pub fn blockdev_insert_medium(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockdevInsertMediumArguments,
) -> Result<api::Empty> {
    let named = named(vm, None, Some(&args.id))?;
    let node_name = &args.node_name;
    let not_found = || Error::generic(format!("Node '{node_name}' not found"));
    let node = vm.blocks.find(node_name).ok_or_else(not_found)?;
    if node.has_disk() {
        return Err(Error::generic(format!(
            "Node '{node_name}' is already in use"
        )));
    }
    insert_medium(&named, &node)?;
    Ok(api::Empty {})
}

/// `blockdev-change-medium`
pub fn blockdev_change_medium(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockdevChangeMediumArguments,
    responder: Responder<api::Empty>,
) {
    let named = match named(vm, args.device.as_deref(), args.id.as_deref()) {
        Ok(named) => named,
        Err(error) => return responder.respond(Err(error)),
    };
    answer(vm, responder, async move |blocks| {
        change_medium(&blocks, &named, &args).await
    });
}

/// `change` of HMP: puts another medium into a drive.
///
/// # Errors
/// There is no such drive, its tray cannot be moved, or the image cannot be opened.
pub fn change_drive(
    vm: &Vm,
    args: api::BlockdevChangeMediumArguments,
) -> Result<impl Future<Output = Result<()>> + Send + use<>> {
    let named = named(vm, args.device.as_deref(), args.id.as_deref())?;
    let blocks = vm.blocks.clone();
    Ok(async move { change_medium(&blocks, &named, &args).await })
}

/// `block_set_io_throttle`
pub fn block_set_io_throttle(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockIOThrottle,
) -> Result<api::Empty> {
    let named = named(vm, args.device.as_deref(), args.id.as_deref())?;
    if named.disk.medium().is_none() {
        return Err(Error::generic(format!(
            "Device '{}' has no medium",
            named.name
        )));
    }
    let limits = limits(&args)?;
    if !limits.is_enabled() {
        named.disk.set_throttle_group(None);
        return Ok(api::Empty {});
    }
    let current = named.disk.throttle_group();
    let group = match (args.group.as_deref(), current) {
        (None, Some(group)) => group,
        (name, _) => vm.blocks.group(name.unwrap_or(&named.name)),
    };
    let set = group.set_limits(limits);
    set.map_err(|error| Error::generic(error.to_string()))?;
    named.disk.set_throttle_group(Some(group));
    Ok(api::Empty {})
}

/// `block-latency-histogram-set`
pub fn block_latency_histogram_set(
    vm: &mut Vm,
    _: &mut Call,
    args: api::BlockLatencyHistogramSetArguments,
) -> Result<api::Empty> {
    let named = named(vm, None, Some(&args.id))?;
    let stats = named.disk.stats();
    let all = args.boundaries.as_deref();
    let rows = [
        (Operation::Read, args.boundaries_read.as_deref(), "read"),
        (Operation::Write, args.boundaries_write.as_deref(), "write"),
        (Operation::Flush, args.boundaries_flush.as_deref(), "flush"),
    ];
    let none = all.is_none() && args.boundaries_zap.is_none();
    if none && rows.iter().all(|(_, own, _)| own.is_none()) {
        for operation in Operation::ALL {
            // To remove a histogram cannot fail.
            let _ = stats.set_histogram(operation, None);
        }
        let _ = stats.set_zone_append_histogram(None);
        return Ok(api::Empty {});
    }
    for (operation, own, name) in rows {
        let Some(boundaries) = own.or(all) else {
            continue;
        };
        stats
            .set_histogram(operation, Some(boundaries))
            .map_err(|_| {
                let id = &args.id;
                Error::generic(format!("Device '{id}' set {name} boundaries fail"))
            })?;
    }
    if let Some(boundaries) = args.boundaries_zap.as_deref().or(all) {
        let set = stats.set_zone_append_histogram(Some(boundaries));
        let id = &args.id;
        set.map_err(|_| Error::generic(format!("Device '{id}' set zap boundaries fail")))?;
    }
    Ok(api::Empty {})
}

/// The disk that a client means.
fn named(vm: &Vm, device: Option<&str>, id: Option<&str>) -> Result<Named> {
    let (disk, name) = match (device, id) {
        (Some(device), None) => {
            let disk = vm.blocks.drive(device);
            (disk.ok_or_else(|| Error::device_not_found(device))?, device)
        }
        (None, Some(id)) => (disk_of(vm, id)?, id),
        _ => return Err(Error::generic("Need exactly one of 'device' and 'id'")),
    };
    let name = name.to_owned();
    Ok(Named { disk, name })
}

/// The disk of the device that an id or a path names.
pub fn disk_of(vm: &Vm, id: &str) -> Result<Arc<BlockBackend>> {
    let device = vm.find_device(id)?;
    let path = vm.qom.path(vm.devices.entry(device).object);
    let none = || Error::generic("Device does not have a block device backend");
    vm.blocks.disk_at(&path).ok_or_else(none)
}

/// How the opening of a tray went.
#[derive(PartialEq, Eq)]
enum Opened {
    Open,
    NoTray,
    /// The guest was asked.
    Asked,
}

fn open_tray(named: &Named, force: bool) -> Result<Opened> {
    let Some(disk) = named.disk.disk() else {
        return Ok(Opened::NoTray);
    };
    let Some(tray) = disk.tray() else {
        return Err(not_removable(&named.name));
    };
    if tray.open {
        return Ok(Opened::Open);
    }
    if tray.locked {
        disk.eject_request(force);
    }
    if tray.locked && !force {
        return Ok(Opened::Asked);
    }
    disk.medium_changed(false);
    Ok(Opened::Open)
}

fn close_tray(named: &Named) -> Result<()> {
    let Some(disk) = named.disk.disk() else {
        return Ok(());
    };
    let Some(tray) = disk.tray() else {
        return Err(not_removable(&named.name));
    };
    if tray.open {
        disk.medium_changed(true);
    }
    Ok(())
}

fn check_open(named: &Named) -> Result<()> {
    let Some(disk) = named.disk.disk() else {
        return Ok(());
    };
    match disk.tray() {
        None => Err(not_removable(&named.name)),
        Some(tray) if !tray.open => {
            let desc = format!("Tray of device '{}' is not open", named.name);
            Err(Error::generic(desc))
        }
        Some(_) => Ok(()),
    }
}

fn remove_medium(blocks: &Graph, named: &Named) -> Result<()> {
    check_open(named)?;
    if let Some(medium) = named.disk.remove() {
        blocks.release(medium);
    }
    Ok(())
}

fn insert_medium(named: &Named, node: &Arc<tinamou_block::Node>) -> Result<()> {
    let refuse = |desc: &str| Err(Error::generic(desc));
    if let Some(disk) = named.disk.disk() {
        match disk.tray() {
            None => return refuse("Device is not removable"),
            Some(tray) if !tray.open => return refuse("Tray of the device is not open"),
            Some(_) => {}
        }
    }
    if named.disk.medium().is_some() {
        return refuse("There already is a medium in the device");
    }
    named.disk.insert(node).map_err(wire)
}

async fn change_medium(
    blocks: &Graph,
    named: &Named,
    args: &api::BlockdevChangeMediumArguments,
) -> Result<()> {
    use api::BlockdevChangeReadOnlyMode as Mode;
    let format = match &args.format {
        Some(format) => format.clone(),
        None => blocks.probe(&args.filename).await.map_err(wire)?.to_owned(),
    };
    let mut options = filename::with_format(&args.filename, &format).map_err(wire)?;
    options.read_only = Some(match args.read_only_mode.unwrap_or(Mode::Retain) {
        Mode::Retain => named.disk.is_read_only(),
        Mode::ReadOnly => true,
        Mode::ReadWrite => false,
    });
    let medium = blocks.open(options).await.map_err(wire)?;
    if open_tray(named, args.force.unwrap_or(false))? == Opened::Asked {
        return Err(locked(&named.name));
    }
    remove_medium(blocks, named)?;
    insert_medium(named, &medium)?;
    close_tray(named)
}

fn limits(args: &api::BlockIOThrottle) -> Result<Limits> {
    let a = args;
    let given = [
        (Some(a.bps), a.bps_max, a.bps_max_length),
        (Some(a.bps_rd), a.bps_rd_max, a.bps_rd_max_length),
        (Some(a.bps_wr), a.bps_wr_max, a.bps_wr_max_length),
        (Some(a.iops), a.iops_max, a.iops_max_length),
        (Some(a.iops_rd), a.iops_rd_max, a.iops_rd_max_length),
        (Some(a.iops_wr), a.iops_wr_max, a.iops_wr_max_length),
    ];
    let limits = Limits::default().with(&given, args.iops_size);
    let limits = limits.and_then(|limits| limits.check().map(|()| limits));
    limits.map_err(|error| Error::generic(error.to_string()))
}

fn not_removable(name: &str) -> Error {
    Error::generic(format!("Device '{name}' is not removable"))
}

fn locked(name: &str) -> Error {
    Error::generic(format!(
        "Device '{name}' is locked and force was not specified, wait for tray to open and try again"
    ))
}
