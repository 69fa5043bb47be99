//! `info pci`

use std::fmt::Write as _;

use tinamou_api as api;
use tinamou_monitor::hmp::{Arguments, Console};
use tinamou_qmp::Result;

use crate::commands::pci::query_pci;
use crate::vm::Vm;

/// Lists the devices, each bridge before what is behind it.
pub(super) fn info(vm: &mut Vm, console: &mut Console<'_>, _: &Arguments) -> Result<()> {
    for bus in query_pci(vm, console.call(), ())? {
        for device in &bus.devices {
            console.print(&text(device));
        }
    }
    Ok(())
}

fn text(device: &api::PciDeviceInfo) -> String {
    let mut text = format!(
        "  Bus {:2}, device {:3}, function {}:\n    ",
        device.bus, device.slot, device.function
    );
    // Writing to a string cannot fail.
    let _ = describe(&mut text, device);
    for device in device
        .pci_bridge
        .iter()
        .flat_map(|bridge| bridge.devices.iter().flatten())
    {
        text += &self::text(device);
    }
    text
}

fn describe(text: &mut String, device: &api::PciDeviceInfo) -> std::fmt::Result {
    match &device.class_info.desc {
        Some(desc) => text.push_str(desc),
        None => write!(text, "Class {:04}", device.class_info.class)?,
    }
    let id = &device.id;
    writeln!(text, ": PCI device {:04x}:{:04x}", id.vendor, id.device)?;
    if let (Some(vendor), Some(subsystem)) = (id.subsystem_vendor, id.subsystem) {
        writeln!(text, "      PCI subsystem {vendor:04x}:{subsystem:04x}")?;
    }
    if let Some(irq) = device.irq {
        let pin = char::from(b'A'.wrapping_add(device.irq_pin as u8).wrapping_sub(1));
        writeln!(text, "      IRQ {irq}, pin {pin}")?;
    }
    if let Some(bridge) = &device.pci_bridge {
        describe_bridge(text, &bridge.bus)?;
    }
    for region in &device.regions {
        describe_region(text, region)?;
    }
    writeln!(text, "      id \"{}\"", device.qdev_id)
}

fn describe_bridge(text: &mut String, bus: &api::PciBusInfo) -> std::fmt::Result {
    writeln!(text, "      BUS {}.", bus.number)?;
    writeln!(text, "      secondary bus {}.", bus.secondary)?;
    writeln!(text, "      subordinate bus {}.", bus.subordinate)?;
    let api::PciMemoryRange { base, limit } = bus.io_range;
    writeln!(text, "      IO range [{base:#06x}, {limit:#06x}]")?;
    let api::PciMemoryRange { base, limit } = bus.memory_range;
    writeln!(text, "      memory range [{base:#010x}, {limit:#010x}]")?;
    let api::PciMemoryRange { base, limit } = bus.prefetchable_range;
    writeln!(
        text,
        "      prefetchable memory range [{base:#010x}, {limit:#010x}]"
    )
}

fn describe_region(text: &mut String, region: &api::PciMemoryRegion) -> std::fmt::Result {
    write!(text, "      BAR{}: ", region.bar)?;
    let end = region.address.wrapping_add(region.size).wrapping_sub(1);
    let address = region.address;
    let Some(wide) = region.mem_type_64 else {
        return match address {
            -1 => writeln!(text, "I/O (not mapped)"),
            _ => writeln!(text, "I/O at {address:#06x} [{end:#06x}]"),
        };
    };
    let bits = if wide { 64 } else { 32 };
    let prefetchable = if region.prefetch == Some(true) {
        " prefetchable"
    } else {
        ""
    };
    write!(text, "{bits} bit{prefetchable} memory ")?;
    match address {
        -1 => writeln!(text, "(not mapped)"),
        _ => writeln!(text, "at {address:#010x} [{end:#010x}]"),
    }
}
