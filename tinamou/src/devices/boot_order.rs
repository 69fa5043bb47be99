//! From which devices the guest shall be started: `bootindex`, as Open Firmware's names of devices
//! in the file that firmware looks for.

use tinamou_qdev::{BusId, Category, DeviceId, Kind};
use tinamou_qmp::Value;

use super::{CLASSES, Devices};
use crate::vm::Vm;

/// The file.
pub const FILE: &str = "bootorder";

impl Vm {
    /// Tells firmware anew. QEMU does so at every reset, which is when it matters.
    pub fn update_boot_order(&self) {
        if let Some(virt) = self.machine.virt() {
            let strict = self.config.boot.strict == Some(true);
            virt.fw_cfg.replace_file(FILE, list(&self.devices, strict));
        }
    }
}

/// The devices in order, one a line; the end's mark stands in for the last line's.
fn list(devices: &Devices, strict: bool) -> Vec<u8> {
    let mut chosen: Vec<_> = devices
        .topology
        .devices()
        .filter_map(|device| Some((boot_index(devices, device)?, device)))
        .collect();
    chosen.sort_by_key(|(index, _)| *index);
    let mut lines: Vec<_> = chosen
        .into_iter()
        .map(|(_, device)| path(devices, device))
        .collect();
    if strict && !lines.is_empty() {
        lines.push("HALT".into());
    }
    if lines.is_empty() {
        return Vec::new();
    }
    let mut text = lines.join("\n").into_bytes();
    text.push(0);
    text
}

fn boot_index(devices: &Devices, device: DeviceId) -> Option<i64> {
    let entry = devices.entry(device);
    let mut specs = CLASSES.properties(entry.class);
    let spec = specs.find(|spec| spec.kind == Kind::BootIndex)?;
    number(devices, device, spec.name).filter(|index| *index >= 0)
}

fn number(devices: &Devices, device: DeviceId, name: &str) -> Option<i64> {
    let values = &devices.entry(device).values;
    match values.iter().find(|(known, _)| *known == name)?.1 {
        Value::Int(number) => Some(number),
        _ => None,
    }
}

/// The way to a device, and at its end what it is there.
fn path(devices: &Devices, device: DeviceId) -> String {
    let what = match CLASSES.category(devices.entry(device).class) {
        Some(Category::Network) => "/ethernet-phy@0",
        _ if on_scsi(devices, device) => "",
        _ => "/disk@0,0",
    };
    format!("{}{what}", way(devices, device))
}

fn on_scsi(devices: &Devices, device: DeviceId) -> bool {
    let bus = devices.topology.bus_of(device);
    bus.is_some_and(|bus| is_a(devices, bus, "SCSI"))
}

fn is_a(devices: &Devices, bus: BusId, kind: &str) -> bool {
    devices.topology.bus(bus).kind.is_a(kind)
}

fn way(devices: &Devices, device: DeviceId) -> String {
    let Some(bus) = devices.topology.bus_of(device) else {
        return String::new();
    };
    let before = devices.topology.owner_of(bus);
    let before = before.map_or_else(String::new, |owner| way(devices, owner));
    let number = |name| number(devices, device, name).unwrap_or_default();
    let class = devices.entry(device).class;
    let here = if is_a(devices, bus, "PCI") {
        let (slot, function) = (number("addr") >> 3, number("addr") & 7);
        let name = match CLASSES.category(class) {
            Some(Category::Network) => "ethernet",
            Some(Category::Bridge) => "pci-bridge",
            _ => "scsi",
        };
        match function {
            0 => format!("/{name}@{slot:x}"),
            _ => format!("/{name}@{slot:x},{function:x}"),
        }
    } else if is_a(devices, bus, "SCSI") {
        let (channel, id, lun) = (number("channel"), number("scsi-id"), number("lun"));
        format!("/channel@{channel:x}/disk@{id:x},{lun:x}")
    } else if is_a(devices, bus, "System") {
        main_bus(devices, device)
    } else {
        String::new()
    };
    before + &here
}

/// What is on the main bus is called by its registers' place.
fn main_bus(devices: &Devices, device: DeviceId) -> String {
    let entry = devices.entry(device);
    let name = match entry.class.name {
        "gpex-pcihost" => "pci",
        name => name,
    };
    let details = entry.device.details();
    let mut places = details.iter().filter_map(|line| {
        let range = line.strip_prefix("mmio ")?;
        Some(range.split_once('/')?.0)
    });
    format!("/{name}@{}", places.next().unwrap_or_default())
}
