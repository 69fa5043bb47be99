//! Which device sits on which bus.
//!
//! Devices have buses, buses have devices, and the main bus has no device
//! above it. QEMU looks at the youngest first everywhere, and so does this:
//! which of several buses a device gets depends on it.

use crate::BusPath;

/// A kind of bus.
#[derive(Debug, PartialEq, Eq)]
pub struct BusKind {
    /// What QEMU calls it.
    pub name: &'static str,
    /// The kind it is a special case of.
    pub parent: Option<&'static str>,
    /// How many devices fit on one.
    pub capacity: Option<usize>,
}

impl BusKind {
    /// The bus that everything on a board hangs on.
    pub const SYSTEM: Self = Self {
        name: "System",
        parent: None,
        capacity: None,
    };

    /// Whether devices made for `wanted` fit.
    #[must_use]
    pub fn is_a(&self, wanted: &str) -> bool {
        self.name == wanted || self.parent == Some(wanted)
    }
}

/// A bus in a [`Topology`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusId(usize);

/// A device in a [`Topology`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(usize);

/// A bus.
#[derive(Debug)]
pub struct Bus {
    /// What `bus=` calls it.
    pub name: String,
    /// What it is.
    pub kind: &'static BusKind,
    /// Whether devices can come and go while the machine runs.
    pub hotpluggable: bool,
    owner: Option<DeviceId>,
    devices: Vec<DeviceId>,
}

/// A device.
#[derive(Debug)]
pub struct Device {
    /// The name of its class.
    pub class: &'static str,
    /// What the user calls it.
    pub id: Option<String>,
    /// Whether it came while the machine ran.
    pub hotplugged: bool,
    bus: Option<BusId>,
    buses: Vec<BusId>,
}

/// All buses and devices.
#[derive(Debug)]
pub struct Topology {
    buses: Vec<Option<Bus>>,
    devices: Vec<Option<Device>>,
    /// How many buses of each kind were named after it.
    numbered: Vec<(&'static str, usize)>,
}

impl Default for Topology {
    fn default() -> Self {
        Self::new()
    }
}

impl Topology {
    /// The bus at the top.
    pub const MAIN: BusId = BusId(0);

    /// Nothing but the main bus.
    #[must_use]
    pub fn new() -> Self {
        let main = Bus {
            name: "main-system-bus".to_owned(),
            kind: &BusKind::SYSTEM,
            hotpluggable: false,
            owner: None,
            devices: Vec::new(),
        };
        Self {
            buses: vec![Some(main)],
            devices: Vec::new(),
            numbered: Vec::new(),
        }
    }

    /// Adds a device to a bus, or to none.
    pub fn add_device(
        &mut self,
        bus: Option<BusId>,
        class: &'static str,
        id: Option<&str>,
        hotplugged: bool,
    ) -> DeviceId {
        let device = DeviceId(self.devices.len());
        self.devices.push(Some(Device {
            class,
            id: id.map(str::to_owned),
            hotplugged,
            bus,
            buses: Vec::new(),
        }));
        if let Some(bus) = bus {
            self.bus_mut(bus).devices.push(device);
        }
        device
    }

    /// Adds a bus to a device. Without a name it is called after the device's
    /// id, or else after its own kind.
    pub fn add_bus(
        &mut self,
        owner: DeviceId,
        kind: &'static BusKind,
        name: Option<&str>,
        hotpluggable: bool,
    ) -> BusId {
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.bus_name(owner, kind),
        };
        let bus = BusId(self.buses.len());
        self.buses.push(Some(Bus {
            name,
            kind,
            hotpluggable,
            owner: Some(owner),
            devices: Vec::new(),
        }));
        self.device_mut(owner).buses.push(bus);
        bus
    }

    /// Removes a device with everything below it. The devices removed, those
    /// below before those above.
    pub fn remove(&mut self, device: DeviceId) -> Vec<DeviceId> {
        let mut removed = Vec::new();
        self.remove_below(device, &mut removed);
        removed
    }

    /// A bus.
    #[must_use]
    pub fn bus(&self, id: BusId) -> &Bus {
        let bus = self.buses.get(id.0).and_then(Option::as_ref);
        bus.expect("a BusId is used only while its bus is there")
    }

    /// A device.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> &Device {
        let device = self.devices.get(id.0).and_then(Option::as_ref);
        device.expect("a DeviceId is used only while its device is there")
    }

    /// All devices, the oldest first.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> {
        let all = self.devices.iter().enumerate();
        all.filter_map(|(index, device)| device.as_ref().map(|_| DeviceId(index)))
    }

    /// The device with that id.
    #[must_use]
    pub fn find_id(&self, id: &str) -> Option<DeviceId> {
        self.devices()
            .find(|device| self.device(*device).id.as_deref() == Some(id))
    }

    /// The bus a device sits on.
    #[must_use]
    pub fn bus_of(&self, device: DeviceId) -> Option<BusId> {
        self.device(device).bus
    }

    /// The device a bus belongs to.
    #[must_use]
    pub fn owner_of(&self, bus: BusId) -> Option<DeviceId> {
        self.bus(bus).owner
    }

    /// The devices on a bus, the youngest first.
    pub fn devices_on(&self, bus: BusId) -> impl Iterator<Item = DeviceId> {
        self.bus(bus).devices.iter().rev().copied()
    }

    /// The buses of a device, the youngest first.
    pub fn buses_of(&self, device: DeviceId) -> impl Iterator<Item = BusId> {
        self.device(device).buses.iter().rev().copied()
    }

    /// Whether no further device fits on a bus.
    #[must_use]
    pub fn is_full(&self, bus: BusId) -> bool {
        let bus = self.bus(bus);
        bus.kind
            .capacity
            .is_some_and(|capacity| bus.devices.len() >= capacity)
    }

    /// The bus for a device that is made for buses of kind `wanted`: the first
    /// that is not full.
    #[must_use]
    pub fn free_bus(&self, wanted: &str) -> Option<BusId> {
        let found = self.search(Self::MAIN, &|bus| bus.kind.is_a(wanted));
        found.filter(|bus| !self.is_full(*bus))
    }

    /// The bus that a path of `bus=` leads to.
    ///
    /// # Errors
    /// It leads nowhere, or to a bus that is full.
    pub fn find_bus(&self, path: &str) -> Result<BusId, BusPath> {
        crate::bus_path::find(self, path)
    }

    /// The first bus at or below `from` that `suits` and is not full, or else
    /// the first that suits.
    pub(crate) fn search(&self, from: BusId, suits: &dyn Fn(&Bus) -> bool) -> Option<BusId> {
        let mut pick = suits(self.bus(from)).then_some(from);
        if pick.is_some_and(|bus| !self.is_full(bus)) {
            return pick;
        }
        for device in self.devices_on(from) {
            for below in self.buses_of(device) {
                let Some(found) = self.search(below, suits) else {
                    continue;
                };
                if !self.is_full(found) {
                    return Some(found);
                }
                pick = pick.or(Some(found));
            }
        }
        pick
    }

    fn bus_name(&mut self, owner: DeviceId, kind: &'static BusKind) -> String {
        let device = self.device(owner);
        if let Some(id) = &device.id {
            return format!("{id}.{}", device.buses.len());
        }
        let known = self
            .numbered
            .iter()
            .position(|(name, _)| *name == kind.name);
        let place = known.unwrap_or_else(|| {
            self.numbered.push((kind.name, 0));
            self.numbered.len() - 1
        });
        let number = self.numbered[place].1;
        self.numbered[place].1 += 1;
        format!("{}.{number}", kind.name.to_ascii_lowercase())
    }

    fn remove_below(&mut self, id: DeviceId, removed: &mut Vec<DeviceId>) {
        for bus in self.device(id).buses.clone() {
            for device in self.bus(bus).devices.clone() {
                self.remove_below(device, removed);
            }
            self.buses[bus.0] = None;
        }
        if let Some(bus) = self.device(id).bus {
            self.bus_mut(bus).devices.retain(|device| *device != id);
        }
        self.devices[id.0] = None;
        removed.push(id);
    }

    fn bus_mut(&mut self, id: BusId) -> &mut Bus {
        let bus = self.buses.get_mut(id.0).and_then(Option::as_mut);
        bus.expect("a BusId is used only while its bus is there")
    }

    fn device_mut(&mut self, id: DeviceId) -> &mut Device {
        let device = self.devices.get_mut(id.0).and_then(Option::as_mut);
        device.expect("a DeviceId is used only while its device is there")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const PCIE: BusKind = BusKind {
        name: "PCIE",
        parent: Some("PCI"),
        capacity: None,
    };
    const VIRTIO: BusKind = BusKind {
        name: "virtio-mmio-bus",
        parent: Some("virtio-bus"),
        capacity: Some(1),
    };
    const SCSI: BusKind = BusKind {
        name: "SCSI",
        parent: None,
        capacity: None,
    };

    const HOST: &str = "gpex-pcihost";
    const SLOT: &str = "virtio-mmio";
    const PORT: &str = "pcie-root-port";
    const SCSI_HOST: &str = "virtio-scsi-device";
    const RNG: &str = "virtio-rng-device";

    /// Two virtio slots, then a host bridge with a port.
    pub(crate) fn board() -> Topology {
        let mut board = Topology::new();
        for number in 0..2 {
            let slot = board.add_device(Some(Topology::MAIN), SLOT, None, false);
            let name = format!("virtio-mmio-bus.{number}");
            board.add_bus(slot, &VIRTIO, Some(&name), false);
        }
        let host = board.add_device(Some(Topology::MAIN), HOST, None, false);
        let pcie = board.add_bus(host, &PCIE, Some("pcie.0"), false);
        let port = board.add_device(Some(pcie), PORT, Some("rp0"), false);
        board.add_bus(port, &PCIE, Some("rp0"), true);
        board
    }

    fn free(board: &Topology, kind: &str) -> Option<String> {
        board.free_bus(kind).map(|bus| board.bus(bus).name.clone())
    }

    #[test]
    fn the_youngest_free_bus_is_taken() {
        let mut board = board();
        assert_eq!(free(&board, "PCI").as_deref(), Some("pcie.0"));
        assert_eq!(free(&board, "SCSI"), None);
        assert_eq!(
            free(&board, "virtio-bus").as_deref(),
            Some("virtio-mmio-bus.1")
        );
        for expected in [Some("virtio-mmio-bus.0"), None] {
            let bus = board.free_bus("virtio-bus");
            board.add_device(bus, RNG, None, false);
            assert_eq!(free(&board, "virtio-bus").as_deref(), expected);
        }
    }

    #[test]
    fn buses_are_named_after_the_device_or_their_kind() {
        let mut board = board();
        let mut name = |id: Option<&str>| {
            let device = board.add_device(None, SCSI_HOST, id, false);
            let bus = board.add_bus(device, &SCSI, None, true);
            board.bus(bus).name.clone()
        };
        assert_eq!(name(Some("s")), "s.0");
        assert_eq!(name(None), "scsi.0");
        assert_eq!(name(Some("t")), "t.0");
        assert_eq!(name(None), "scsi.1");
    }

    #[test]
    fn removal_takes_what_is_below() {
        let mut board = board();
        let port = board.find_id("rp0").expect("there");
        let bus = board.buses_of(port).next();
        let below = board.add_device(bus, RNG, Some("r"), true);
        assert_eq!(board.remove(port), [below, port]);
        assert_eq!((board.find_id("rp0"), board.find_id("r")), (None, None));
        assert!(board.find_bus("rp0").is_err());
    }
}
