//! `info qtree`

use std::fmt::Write as _;

use tinamou_qdev::{BusId, DeviceId, Topology};
use tinamou_qmp::Value;

use super::{CLASSES, Devices};

/// All buses and devices; only their names if `brief`.
pub fn print(devices: &Devices, brief: bool) -> String {
    let mut text = String::new();
    let printer = Printer { devices, brief };
    printer.bus(&mut text, Topology::MAIN, 0);
    text
}

struct Printer<'a> {
    devices: &'a Devices,
    brief: bool,
}

impl Printer<'_> {
    fn bus(&self, text: &mut String, id: BusId, indent: usize) {
        let bus = self.devices.topology.bus(id);
        let _ = writeln!(text, "{:indent$}bus: {}", "", bus.name);
        let indent = indent + 2;
        let _ = writeln!(text, "{:indent$}type {}", "", bus.kind.name);
        for device in self.devices.topology.devices_on(id) {
            self.device(text, device, indent);
        }
    }

    fn device(&self, text: &mut String, id: DeviceId, indent: usize) {
        let device = self.devices.topology.device(id);
        let name = device.id.as_deref().unwrap_or_default();
        let _ = writeln!(text, "{:indent$}dev: {}, id \"{name}\"", "", device.class);
        let indent = indent + 2;
        if !self.brief {
            for line in self.lines(id) {
                let _ = writeln!(text, "{:indent$}{line}", "");
            }
        }
        for bus in self.devices.topology.buses_of(id) {
            self.bus(text, bus, indent);
        }
    }

    /// What is known of a device: its wires, its properties with those of its
    /// own class first, and the rest.
    fn lines(&self, id: DeviceId) -> Vec<String> {
        let entry = self.devices.entry(id);
        let mut lines = entry.device.wires();
        for spec in CLASSES.properties(entry.class) {
            let set = entry.values.iter().find(|(name, _)| *name == spec.name);
            let value: Value = set.map_or_else(spec.default, |(_, value)| value.clone());
            if let Some(shown) = tinamou_qdev::print(spec.kind, &value) {
                lines.push(format!("{} = {shown}", spec.name));
            }
        }
        lines.extend(entry.device.details());
        lines
    }
}
