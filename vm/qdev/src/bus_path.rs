//! Paths to buses, as `bus=` takes them.
//!
//! A path is the name of a bus anywhere, or begins at the main bus with `/`;
//! from a bus it leads to a device by id or class, from there to a bus.

use std::fmt::Write as _;

use tinamou_qmp::Error;

use crate::topology::{BusId, DeviceId, Topology};

/// A path that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct BusPath {
    /// What is wrong.
    pub error: Error,
    /// What would have been possible, for a person.
    pub hint: Option<String>,
}

impl BusPath {
    fn new(message: String) -> Self {
        Self {
            error: Error::generic(message),
            hint: None,
        }
    }
}

pub(crate) fn find(topology: &Topology, path: &str) -> Result<BusId, BusPath> {
    let bus = follow(topology, path)?;
    if topology.is_full(bus) {
        return Err(BusPath::new(format!("Bus '{path}' is full")));
    }
    Ok(bus)
}

fn follow(topology: &Topology, path: &str) -> Result<BusId, BusPath> {
    let (mut bus, rest) = if path.starts_with('/') {
        (Topology::MAIN, path)
    } else {
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        let found = topology.search(Topology::MAIN, &|bus| bus.name == name);
        (
            found.ok_or_else(|| BusPath::new(format!("Bus '{name}' not found")))?,
            rest,
        )
    };
    let mut names = rest.split('/').filter(|name| !name.is_empty());
    while let Some(name) = names.next() {
        let device = device_on(topology, bus, name)?;
        bus = match names.next() {
            Some(name) => bus_of(topology, device, name)?,
            None => return only_bus(topology, device, name),
        };
    }
    Ok(bus)
}

/// A device on a bus by id, or else by class.
fn device_on(topology: &Topology, bus: BusId, name: &str) -> Result<DeviceId, BusPath> {
    let by_id = topology
        .devices_on(bus)
        .find(|device| topology.device(*device).id.as_deref() == Some(name));
    let by_class = || {
        topology
            .devices_on(bus)
            .find(|device| topology.device(*device).class == name)
    };
    by_id.or_else(by_class).ok_or_else(|| BusPath {
        error: Error::device_not_found(name),
        hint: Some(devices(topology, bus)),
    })
}

fn bus_of(topology: &Topology, device: DeviceId, name: &str) -> Result<BusId, BusPath> {
    topology
        .buses_of(device)
        .find(|bus| topology.bus(*bus).name == name)
        .ok_or_else(|| BusPath {
            error: Error::generic(format!("Bus '{name}' not found")),
            hint: Some(buses(topology, device)),
        })
}

fn only_bus(topology: &Topology, device: DeviceId, name: &str) -> Result<BusId, BusPath> {
    let mut found = topology.buses_of(device);
    match (found.next(), found.next()) {
        (None, _) => Err(BusPath::new(format!("Device '{name}' has no child bus"))),
        (Some(bus), None) => Ok(bus),
        (Some(_), Some(_)) => Err(BusPath {
            error: Error::generic(format!("Device '{name}' has multiple child buses")),
            hint: Some(buses(topology, device)),
        }),
    }
}

fn devices(topology: &Topology, bus: BusId) -> String {
    let mut text = format!("devices at \"{}\":", topology.bus(bus).name);
    let mut separator = " ";
    for device in topology.devices_on(bus) {
        let device = topology.device(device);
        let _ = write!(text, "{separator}\"{}\"", device.class);
        if let Some(id) = &device.id {
            let _ = write!(text, "/\"{id}\"");
        }
        separator = ", ";
    }
    text
}

fn buses(topology: &Topology, device: DeviceId) -> String {
    let owner = topology.device(device);
    let name = owner.id.as_deref().unwrap_or(owner.class);
    let names: Vec<_> = topology
        .buses_of(device)
        .map(|bus| format!("\"{}\"", topology.bus(bus).name))
        .collect();
    format!("child buses at \"{name}\": {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::topology::tests::board;

    fn check(path: &str, expected: Result<&str, &str>) {
        let board = board();
        let found = board.find_bus(path);
        let found = found.map(|bus| board.bus(bus).name.clone());
        let found = found.map_err(|error| match error.hint {
            Some(hint) => format!("{}\n{hint}", error.error.desc),
            None => error.error.desc,
        });
        let found = found.as_deref().map_err(String::as_str);
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn buses_are_found_by_name_and_path() {
        check("pcie.0", Ok("pcie.0"));
        check("rp0", Ok("rp0"));
        check("/", Ok("main-system-bus"));
        check("main-system-bus/gpex-pcihost", Ok("pcie.0"));
        check("/gpex-pcihost/pcie.0", Ok("pcie.0"));
        check("pcie.0/rp0", Ok("rp0"));
        check("pcie.0/pcie-root-port/rp0", Ok("rp0"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        check("nope", Err("Bus 'nope' not found"));
        check("", Err("Bus '' not found"));
        check(
            "pcie.0/foo",
            Err("Device 'foo' not found\ndevices at \"pcie.0\": \"pcie-root-port\"/\"rp0\""),
        );
        check(
            "/gpex-pcihost/foo",
            Err("Bus 'foo' not found\nchild buses at \"gpex-pcihost\": \"pcie.0\""),
        );
        check(
            "/pcie.0",
            Err("Device 'pcie.0' not found\n\
                 devices at \"main-system-bus\": \"gpex-pcihost\", \"virtio-mmio\", \"virtio-mmio\""),
        );
    }
}
