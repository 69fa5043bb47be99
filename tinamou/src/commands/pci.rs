//! The commands of `schema/pci.json`.

use std::sync::Arc;

use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_pci::spec::{bridge, header};
use tinamou_pci::{Bar, ConfigSpace, Devfn, Function, PciBus};
use tinamou_qmp::Result;

use crate::vm::Vm;

/// `query-pci`
pub fn query_pci(vm: &mut Vm, _: &mut Call, (): ()) -> Result<Vec<api::PciInfo>> {
    let info = |bus: &Arc<PciBus>| api::PciInfo {
        bus: bus.number().into(),
        devices: devices(bus),
    };
    Ok(vm
        .machine
        .virt()
        .map(|virt| info(virt.pci.root()))
        .into_iter()
        .collect())
}

fn devices(bus: &Arc<PciBus>) -> Vec<api::PciDeviceInfo> {
    let functions = bus.functions().into_iter();
    let placed = functions.filter_map(|function| {
        let devfn = function.interface().devfn()?;
        Some(device(bus, devfn, &function))
    });
    placed.collect()
}

fn device(bus: &PciBus, devfn: Devfn, function: &Function) -> api::PciDeviceInfo {
    let number = bus.number();
    let mut info = function
        .interface()
        .config(|config| own_registers(config, number, devfn, function.id()));
    if let Some(bridge) = &mut info.pci_bridge
        && let Some(behind) = function.secondary().filter(|bus| bus.number() != 0)
    {
        bridge.devices = Some(devices(behind));
    }
    info
}

/// All that a function's own configuration space tells.
fn own_registers(config: &ConfigSpace, bus: u8, devfn: Devfn, id: &str) -> api::PciDeviceInfo {
    let word = |register| i64::from(config.word(register));
    let pin = config.byte(header::INTERRUPT_PIN);
    let class = config.word(header::CLASS_DEVICE);
    let is_bridge = config.is_bridge();
    let subsystem = |register| (!is_bridge).then(|| word(register));
    api::PciDeviceInfo {
        bus: bus.into(),
        slot: devfn.slot().into(),
        function: devfn.function().into(),
        class_info: api::PciDeviceClass {
            desc: class_name(class).map(str::to_owned),
            class: class.into(),
        },
        id: api::PciDeviceId {
            device: word(header::DEVICE_ID),
            vendor: word(header::VENDOR_ID),
            subsystem: subsystem(header::SUBSYSTEM_ID),
            subsystem_vendor: subsystem(header::SUBSYSTEM_VENDOR_ID),
        },
        irq: (pin != 0).then(|| config.byte(header::INTERRUPT_LINE).into()),
        irq_pin: pin.into(),
        qdev_id: id.into(),
        pci_bridge: is_bridge.then(|| api::PciBridgeInfo {
            bus: bridge_registers(config),
            devices: None,
        }),
        regions: config
            .bars()
            .map(|(index, bar)| region(config, index, bar))
            .collect(),
    }
}

fn bridge_registers(config: &ConfigSpace) -> api::PciBusInfo {
    let byte = |register| i64::from(config.byte(register));
    let range = |(base, limit): (u64, u64)| api::PciMemoryRange {
        base: base as i64,
        limit: limit as i64,
    };
    api::PciBusInfo {
        number: byte(bridge::PRIMARY_BUS),
        secondary: byte(bridge::SECONDARY_BUS),
        subordinate: byte(bridge::SUBORDINATE_BUS),
        io_range: range(config.io_window()),
        memory_range: range(config.memory_window()),
        prefetchable_range: range(config.prefetch_window()),
    }
}

fn region(config: &ConfigSpace, index: u8, bar: Bar) -> api::PciMemoryRegion {
    let address = config.bar_range(index).map(|range| range.start as i64);
    let kind = if bar.io { "io" } else { "memory" };
    api::PciMemoryRegion {
        bar: index.into(),
        r#type: kind.into(),
        address: address.unwrap_or(-1),
        size: bar.size as i64,
        prefetch: (!bar.io).then_some(bar.prefetch),
        mem_type_64: (!bar.io).then_some(bar.wide),
    }
}

/// A class in words (PCI Code and ID Assignment 1.11 §1).
#[must_use]
pub fn class_name(class: u16) -> Option<&'static str> {
    let found = CLASS_NAMES.binary_search_by_key(&class, |(class, _)| *class);
    Some(CLASS_NAMES.get(found.ok()?)?.1)
}

/// The classes that QEMU has words for, in order.
const CLASS_NAMES: &[(u16, &str)] = &[
    (0x0001, "VGA controller"),
    (0x0100, "SCSI controller"),
    (0x0101, "IDE controller"),
    (0x0102, "Floppy controller"),
    (0x0103, "IPI controller"),
    (0x0104, "RAID controller"),
    (0x0106, "SATA controller"),
    (0x0107, "SAS controller"),
    (0x0180, "Storage controller"),
    (0x0200, "Ethernet controller"),
    (0x0201, "Token Ring controller"),
    (0x0202, "FDDI controller"),
    (0x0203, "ATM controller"),
    (0x0280, "Network controller"),
    (0x0300, "VGA controller"),
    (0x0301, "XGA controller"),
    (0x0302, "3D controller"),
    (0x0380, "Display controller"),
    (0x0400, "Video controller"),
    (0x0401, "Audio controller"),
    (0x0402, "Phone"),
    (0x0403, "Audio controller"),
    (0x0480, "Multimedia controller"),
    (0x0500, "RAM controller"),
    (0x0501, "Flash controller"),
    (0x0580, "Memory controller"),
    (0x0600, "Host bridge"),
    (0x0601, "ISA bridge"),
    (0x0602, "EISA bridge"),
    (0x0603, "MC bridge"),
    (0x0604, "PCI bridge"),
    (0x0605, "PCMCIA bridge"),
    (0x0606, "NUBUS bridge"),
    (0x0607, "CARDBUS bridge"),
    (0x0608, "RACEWAY bridge"),
    (0x0680, "Bridge"),
    (0x0700, "Serial port"),
    (0x0701, "Parallel port"),
    (0x0800, "Interrupt controller"),
    (0x0801, "DMA controller"),
    (0x0802, "Timer"),
    (0x0803, "RTC"),
    (0x0900, "Keyboard"),
    (0x0901, "Pen"),
    (0x0902, "Mouse"),
    (0x0a00, "Dock station"),
    (0x0b00, "i386 cpu"),
    (0x0c00, "Firewire controller"),
    (0x0c01, "Access bus controller"),
    (0x0c02, "SSA controller"),
    (0x0c03, "USB controller"),
    (0x0c04, "Fibre channel controller"),
    (0x0c05, "SMBus"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found() {
        assert!(CLASS_NAMES.is_sorted_by_key(|(class, _)| *class));
        assert_eq!(class_name(0x0604), Some("PCI bridge"));
        assert_eq!(class_name(0x00ff), None);
    }
}
