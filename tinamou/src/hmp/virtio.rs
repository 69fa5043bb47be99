//! `info virtio` and what belongs to it.

use std::fmt::Write as _;

use tinamou_api as api;
use tinamou_monitor::Hmp;
use tinamou_monitor::hmp::{Arguments, Console};
use tinamou_qmp::Result;

use super::Entry;
use crate::commands::virtio;
use crate::vm::Vm;

const INFO: &[Entry] = &[
    ("virtio", "", "", "the virtio devices", list),
    (
        "virtio-status",
        "path:s",
        "path",
        "how far a virtio device has come with its driver",
        status,
    ),
    (
        "virtio-queue-status",
        "path:s,queue:i",
        "path queue",
        "where a queue of a virtio device stands",
        queue_status,
    ),
    (
        "virtio-vhost-queue-status",
        "path:s,queue:i",
        "path queue",
        "where a queue stands that a vhost back end works on",
        |vm, _, args| virtio::vhost_queue_status(vm, args.string("path")).map(|_| ()),
    ),
    (
        "virtio-queue-element",
        "path:s,queue:i,index:i?",
        "path queue [index]",
        "a chain of buffers in a queue of a virtio device",
        queue_element,
    ),
];

/// Adds the commands of this file.
pub fn add(hmp: &mut Hmp<Vm>) {
    for entry in INFO {
        hmp.add_info(super::command(entry, &[]));
    }
}

fn list(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    for device in virtio::list(vm)? {
        console.print(&format!("{} [{}]\n", device.path, device.name));
    }
    Ok(())
}

fn status(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let path = args.string("path");
    let status = virtio::device_status(vm, path)?;
    let mut text = format!("{path}:\n");
    // Writing to a string cannot fail.
    let _ = write_status(&mut text, &status);
    console.print(&text);
    Ok(())
}

fn write_status(text: &mut String, status: &api::VirtioStatus) -> std::fmt::Result {
    let bus = match status.bus_name.as_str() {
        "" => "(null)",
        name => name,
    };
    writeln!(text, "  device_name:             {} ", status.name)?;
    let rows: [(&str, &dyn std::fmt::Display); 15] = [
        ("device_id", &status.device_id),
        ("vhost_started", &status.vhost_started),
        ("bus_name", &bus),
        ("broken", &status.broken),
        ("disabled", &status.disabled),
        ("disable_legacy_check", &status.disable_legacy_check),
        ("started", &status.started),
        ("use_started", &status.use_started),
        ("start_on_kick", &status.start_on_kick),
        ("use_guest_notifier_mask", &status.use_guest_notifier_mask),
        ("vm_running", &status.vm_running),
        ("num_vqs", &status.num_vqs),
        ("queue_sel", &status.queue_sel),
        ("isr", &status.isr),
        ("endianness", &status.device_endian),
    ];
    for (name, value) in rows {
        writeln!(text, "  {:<24} {value}", format!("{name}:"))?;
    }
    writeln!(text, "  status:\n{}", items(&status.status.statuses))?;
    if let Some(unknown) = status.status.unknown_statuses {
        writeln!(text, "  unknown-statuses({unknown:#018x})")?;
    }
    write_features(text, "Guest", &status.guest_features)?;
    write_features(text, "Host", &status.host_features)?;
    write_features(text, "Backend", &status.backend_features)
}

fn write_features(
    text: &mut String,
    whose: &str,
    features: &api::VirtioDeviceFeatures,
) -> std::fmt::Result {
    writeln!(text, "  {whose} features:\n{}", items(&features.transports))?;
    match features.dev_features.as_deref() {
        None | Some([]) => {}
        Some(named) => writeln!(text, "{}", items(named))?,
    }
    match features.unknown_dev_features {
        Some(unknown) => writeln!(text, "  unknown-features({unknown:#018x})"),
        None => Ok(()),
    }
}

fn items(texts: &[String]) -> String {
    let lines: Vec<_> = texts.iter().map(|text| format!("\t{text}")).collect();
    lines.join(",\n")
}

fn queue_status(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let path = args.string("path");
    let queue = virtio::queue_status(vm, path, args.int("queue") as u16)?;
    console.print(&format!(
        "{path}:\n  device_name:          {}\n  queue_index:          {}\n  \
         inuse:                {}\n  used_idx:             {}\n  \
         signalled_used:       {}\n  signalled_used_valid: {}\n  \
         last_avail_idx:       {}\n  shadow_avail_idx:     {}\n",
        queue.name,
        queue.queue_index,
        queue.inuse,
        queue.used_idx,
        queue.signalled_used,
        queue.signalled_used_valid,
        queue.last_avail_idx.unwrap_or(0),
        queue.shadow_avail_idx.unwrap_or(0),
    ));
    console.print(&format!(
        "  VRing:\n    num:          {}\n    num_default:  {}\n    align:        {}\n    \
         desc:         {:#018x}\n    avail:        {:#018x}\n    used:         {:#018x}\n",
        queue.vring_num,
        queue.vring_num_default,
        queue.vring_align,
        queue.vring_desc,
        queue.vring_avail,
        queue.vring_used,
    ));
    Ok(())
}

fn queue_element(vm: &mut Vm, console: &mut Console<'_>, args: &Arguments) -> Result<()> {
    let path = args.string("path");
    let index = args.optional_int("index").map(|index| index as u16);
    let element = virtio::queue_element(vm, path, args.int("queue") as u16, index)?;
    let buffers: Vec<_> = element.descs.iter().map(buffer).collect();
    console.print(&format!(
        "{path}:\n  device_name: {}\n  index:   {}\n  desc:\n    descs:\n{}\n",
        element.name,
        element.index,
        buffers.join(",\n")
    ));
    console.print(&format!(
        "  avail:\n    flags: {}\n    idx:   {}\n    ring:  {}\n  \
         used:\n    flags: {}\n    idx:   {}\n",
        element.avail.flags,
        element.avail.idx,
        element.avail.ring,
        element.used.flags,
        element.used.idx,
    ));
    Ok(())
}

fn buffer(descriptor: &api::VirtioRingDesc) -> String {
    let (address, length) = (descriptor.addr, descriptor.len);
    let flags = match descriptor.flags.is_empty() {
        true => String::new(),
        false => format!(" ({})", descriptor.flags.join(", ")),
    };
    format!("        addr {address:#x} len {length}{flags}")
}
