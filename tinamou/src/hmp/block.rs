//! Disks: `info block` and `info blockstats`.

use tinamou_api as api;
use tinamou_block::{block_info, block_stats, node_info};
use tinamou_monitor::hmp::{Arguments, Console};
use tinamou_qmp::Result;

use super::image;
use crate::vm::Vm;

/// `info block`
pub(super) fn info(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let name = args.optional_string("device");
    let verbose = args.flag("verbose");
    if args.flag("nodes") {
        let nodes = vm.blocks.nodes();
        for (index, node) in nodes.iter().rev().enumerate() {
            if name.is_none_or(|name| name == node.name()) {
                separate(console, index);
                print(console, None, Some(&node_info(node, false)), verbose);
            }
        }
        return Ok(());
    }
    let disks = vm.blocks.backends();
    let infos = disks.iter().filter_map(|disk| block_info(disk, false));
    for (index, info) in infos.enumerate() {
        let inserted = info.inserted.as_ref();
        let node_name = inserted.and_then(|node| node.node_name.as_deref());
        if name.is_none_or(|name| name == info.device || Some(name) == node_name) {
            separate(console, index);
            print(console, Some(&info), inserted, verbose);
        }
    }
    Ok(())
}

fn separate(console: &mut Console<'_>, index: usize) {
    if index > 0 {
        console.print("\n");
    }
}

fn print(
    console: &mut Console<'_>,
    disk: Option<&api::BlockInfo>,
    node: Option<&api::BlockDeviceInfo>,
    verbose: bool,
) {
    let node_name = node.and_then(|node| node.node_name.as_deref());
    let device = disk
        .map(|disk| disk.device.as_str())
        .filter(|name| !name.is_empty());
    let qdev = disk.and_then(|disk| disk.qdev.as_deref());
    let mut text = match (device, node_name) {
        (Some(device), Some(node)) => format!("{device} ({node})"),
        (Some(device), None) => device.to_owned(),
        (None, Some(node)) => node.to_owned(),
        (None, None) => qdev.unwrap_or("<anonymous>").to_owned(),
    };
    match node {
        Some(node) => {
            let read_only = if node.ro { ", read-only" } else { "" };
            text += &format!(": {} ({}{read_only})\n", node.file, node.drv);
        }
        None => text += ": [not inserted]\n",
    }
    if let Some(disk) = disk {
        text += &disk_lines(disk);
    }
    if let Some(node) = node {
        text += &node_lines(node);
    }
    if let Some(node) = node.filter(|_| verbose) {
        text += "\nImages:\n";
        text += &image::lines(&node.image);
    }
    console.print(&text);
}

fn disk_lines(disk: &api::BlockInfo) -> String {
    let mut text = String::new();
    if let Some(qdev) = &disk.qdev {
        text += &format!("    Attached to:      {qdev}\n");
    }
    if let Some(status) = disk
        .io_status
        .filter(|status| *status != api::BlockDeviceIoStatus::Ok)
    {
        text += &format!("    I/O status:       {}\n", status.as_str());
    }
    if disk.removable {
        let locked = if disk.locked { "" } else { "not " };
        let tray = if disk.tray_open == Some(true) {
            "open"
        } else {
            "closed"
        };
        text += &format!("    Removable device: {locked}locked, tray {tray}\n");
    }
    text
}

fn node_lines(node: &api::BlockDeviceInfo) -> String {
    let cache = &node.cache;
    let mut text = format!(
        "    Cache mode:       {}{}{}\n",
        if cache.writeback {
            "writeback"
        } else {
            "writethrough"
        },
        if cache.direct { ", direct" } else { "" },
        if cache.no_flush {
            ", ignore flushes"
        } else {
            ""
        },
    );
    if let Some(backing) = &node.backing_file {
        let depth = node.backing_file_depth;
        text += &format!("    Backing file:     {backing} (chain depth: {depth})\n");
    }
    if node.detect_zeroes != api::BlockdevDetectZeroesOptions::Off {
        let detect = node.detect_zeroes.as_str();
        text += &format!("    Detect zeroes:    {detect}\n");
    }
    let averages = [
        node.bps,
        node.bps_rd,
        node.bps_wr,
        node.iops,
        node.iops_rd,
        node.iops_wr,
    ];
    if averages.iter().any(|limit| *limit != 0) {
        text += &limits(node);
    }
    text
}

fn limits(node: &api::BlockDeviceInfo) -> String {
    let or_0 = |limit: Option<i64>| limit.unwrap_or(0);
    format!(
        "    I/O throttling:   bps={} bps_rd={} bps_wr={} bps_max={} bps_rd_max={} \
         bps_wr_max={} iops={} iops_rd={} iops_wr={} iops_max={} iops_rd_max={} iops_wr_max={} \
         iops_size={} group={}\n",
        node.bps,
        node.bps_rd,
        node.bps_wr,
        or_0(node.bps_max),
        or_0(node.bps_rd_max),
        or_0(node.bps_wr_max),
        node.iops,
        node.iops_rd,
        node.iops_wr,
        or_0(node.iops_max),
        or_0(node.iops_rd_max),
        or_0(node.iops_wr_max),
        or_0(node.iops_size),
        node.group.as_deref().unwrap_or_default(),
    )
}

/// `info blockstats`
pub(super) fn stats(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    for disk in vm.blocks.backends() {
        let Some(counted) = block_stats(&disk) else {
            continue;
        };
        let stats = &counted.stats;
        console.print(&format!(
            "{}: rd_bytes={} wr_bytes={} rd_operations={} wr_operations={} flush_operations={} \
             wr_total_time_ns={} rd_total_time_ns={} flush_total_time_ns={} rd_merged={} \
             wr_merged={} idle_time_ns={}\n",
            counted.device.as_deref().unwrap_or_default(),
            stats.rd_bytes,
            stats.wr_bytes,
            stats.rd_operations,
            stats.wr_operations,
            stats.flush_operations,
            stats.wr_total_time_ns,
            stats.rd_total_time_ns,
            stats.flush_total_time_ns,
            stats.rd_merged,
            stats.wr_merged,
            stats.idle_time_ns.unwrap_or(0),
        ));
    }
    Ok(())
}
