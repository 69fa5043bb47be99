//! The devices in the machine: where each one sits, what is behind it, and
//! where it is in the object tree.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use tinamou_qdev::{BusId, BusKind, DeviceId, Topology};
use tinamou_qmp::{Result, Value};
use tinamou_qom::{ObjectId, Tree};

use super::ejections::{Ejections, Ticket};
use super::{CLASSES, Class, Made, MadeBus, Plugged, tree};

/// Where a device goes in the object tree.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// `/machine/peripheral/ID`
    Named(&'a str),
    /// `/machine/peripheral-anon/device[N]`
    Anonymous(usize),
    /// `/machine/unattached/device[N]`
    Unattached(usize),
    /// Under another object.
    Child(ObjectId, &'a str),
}

/// What is known of a device beside its place among buses.
pub struct Entry {
    /// What it is.
    pub class: &'static Class,
    /// Where it is in the object tree.
    pub object: ObjectId,
    /// The values of its properties.
    pub values: Vec<(&'static str, Value)>,
    /// The device itself.
    pub device: Box<dyn Plugged>,
    /// The number by which its threads speak of it.
    ticket: Option<u64>,
}

/// All devices of a machine.
#[derive(Default)]
pub struct Devices {
    /// Who sits where.
    pub topology: Topology,
    /// Devices that guests have let go of.
    pub ejections: Ejections,
    entries: BTreeMap<DeviceId, Entry>,
    handles: HashMap<BusId, Box<dyn Any>>,
    pub(super) bus_objects: HashMap<BusId, ObjectId>,
    anonymous: usize,
    tickets: u64,
    /// Ids and paths of devices that are out, until that is said.
    gone: Vec<(Option<String>, String)>,
}

impl Devices {
    /// None yet; the main bus gets its place in the object tree.
    ///
    /// # Errors
    /// There is no machine in the object tree.
    pub fn new(qom: &mut Tree) -> Result<Self> {
        let mut devices = Self::default();
        let parent = qom.resolve("/machine/unattached")?;
        let main = tree::add_bus(qom, parent, "sysbus", &BusKind::SYSTEM)?;
        devices.bus_objects.insert(Topology::MAIN, main);
        Ok(devices)
    }

    /// What is known of a device.
    pub fn entry(&self, device: DeviceId) -> &Entry {
        let entry = self.entries.get(&device);
        entry.expect("every device in the topology has an entry")
    }

    /// The same, to change it.
    pub fn entry_mut(&mut self, device: DeviceId) -> &mut Entry {
        let entry = self.entries.get_mut(&device);
        entry.expect("every device in the topology has an entry")
    }

    /// What is known of every device.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The classes of which there are devices.
    pub fn classes(&self) -> Vec<&'static Class> {
        let mut classes: Vec<_> = self.entries.values().map(|entry| entry.class).collect();
        classes.dedup_by_key(|class| class.name);
        classes
    }

    /// What a bus offers to devices on it, if it is of the type asked for.
    pub fn bus_handle<T: 'static>(&self, bus: BusId) -> Option<&T> {
        self.handles.get(&bus)?.downcast_ref()
    }

    /// The device at that object.
    pub fn find_object(&self, object: ObjectId) -> Option<DeviceId> {
        let found = self
            .entries
            .iter()
            .find(|(_, entry)| entry.object == object);
        found.map(|(device, _)| *device)
    }

    /// The device with that ticket.
    pub fn find_ticket(&self, ticket: u64) -> Option<DeviceId> {
        let found = self
            .entries
            .iter()
            .find(|(_, entry)| entry.ticket == Some(ticket));
        found.map(|(device, _)| *device)
    }

    /// A ticket that no device has had.
    pub fn new_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.ejections.ticket(self.tickets)
    }

    /// Notes that a device is out, and has the main loop say so.
    pub fn add_gone(&mut self, id: Option<String>, path: String) {
        self.gone.push((id, path));
        self.ejections.ring();
    }

    /// The devices that are out and not spoken of yet.
    pub fn take_gone(&mut self) -> Vec<(Option<String>, String)> {
        std::mem::take(&mut self.gone)
    }

    /// The number of the next device without an id.
    pub fn next_anonymous(&mut self) -> usize {
        let number = self.anonymous;
        self.anonymous += 1;
        number
    }

    /// Adds a device that was made, with its buses and the devices inside.
    ///
    /// # Errors
    /// Something of its name is in the object tree already.
    pub fn insert(
        &mut self,
        qom: &mut Tree,
        place: Place<'_>,
        class: &'static Class,
        bus: Option<BusId>,
        hotplugged: bool,
        made: Made,
    ) -> Result<DeviceId> {
        let parent = bus.and_then(|bus| self.bus_objects.get(&bus).copied());
        let id = match place {
            Place::Named(id) => Some(id),
            _ => None,
        };
        let object = tree::Object {
            class,
            id,
            hotplugged,
            values: &made.values,
        };
        let object = object.add(qom, place, parent, made.live)?;
        let device = self.topology.add_device(bus, class.name, id, hotplugged);
        let entry = Entry {
            class,
            object,
            values: made.values,
            device: made.device,
            ticket: None,
        };
        self.entries.insert(device, entry);
        for bus in made.buses {
            self.insert_bus(qom, device, bus)?;
        }
        Ok(device)
    }

    /// Notes the ticket that a device was made with.
    pub fn set_ticket(&mut self, device: DeviceId, ticket: &Ticket) {
        self.entry_mut(device).ticket = Some(ticket.number());
    }

    /// Whether a device may be taken out now, with the one that is built into it.
    ///
    /// # Errors
    /// It may not.
    pub fn check_unplug(&self, device: DeviceId) -> Result<()> {
        let entry = self.entry(device);
        entry.device.check_unplug()?;
        if CLASSES.inner(entry.class).is_none() {
            return Ok(());
        }
        let buses = self.topology.buses_of(device);
        let mut inner = buses.flat_map(|bus| self.topology.devices_on(bus));
        inner.try_for_each(|device| self.entry(device).device.check_unplug())
    }

    /// Takes a device out with everything below it: what is to be told of, the
    /// innermost first.
    pub fn remove(&mut self, qom: &mut Tree, device: DeviceId) -> Vec<Removed> {
        let ids: HashMap<_, _> = self
            .topology
            .devices()
            .map(|device| (device, self.topology.device(device).id.clone()))
            .collect();
        let mut removed = Vec::new();
        let above = self.topology.bus_of(device);
        let above = above.and_then(|bus| self.bus_objects.get(&bus).copied());
        for device in self.topology.remove(device) {
            let Some(entry) = self.entries.remove(&device) else {
                continue;
            };
            removed.push(Removed {
                id: ids.get(&device).cloned().flatten(),
                path: qom.path(entry.object),
                device: entry.device,
                object: entry.object,
            });
        }
        self.forget_buses();
        if let Some(outermost) = removed.last() {
            tree::remove(qom, above, outermost.object);
        }
        removed
    }

    fn insert_bus(&mut self, qom: &mut Tree, owner: DeviceId, made: MadeBus) -> Result<()> {
        let MadeBus {
            kind,
            name,
            hotpluggable,
            handle,
            inner,
        } = made;
        let bus = self
            .topology
            .add_bus(owner, kind, name.as_deref(), hotpluggable);
        let name = self.topology.bus(bus).name.clone();
        let parent = self.entry(owner).object;
        let object = tree::add_bus(qom, parent, &name, kind)?;
        self.bus_objects.insert(bus, object);
        self.handles.insert(bus, handle);
        if let Some((class, name, made)) = inner {
            let hotplugged = self.topology.device(owner).hotplugged;
            let place = Place::Child(parent, name);
            let inner = self.insert(qom, place, class, Some(bus), hotplugged, made)?;
            if CLASSES.inner(self.entry(owner).class).is_some() {
                tree::add_aliases(qom, parent, self.entry(inner).object)?;
            }
        }
        Ok(())
    }

    fn forget_buses(&mut self) {
        let alive: std::collections::HashSet<_> = self
            .topology
            .devices()
            .flat_map(|device| self.topology.buses_of(device))
            .collect();
        self.handles.retain(|bus, _| alive.contains(bus));
        self.bus_objects.retain(|bus, _| alive.contains(bus));
    }
}

/// A device that is out of the machine.
pub struct Removed {
    /// What the user called it.
    pub id: Option<String>,
    /// Where it was in the object tree.
    pub path: String,
    /// The device itself.
    pub device: Box<dyn Plugged>,
    object: ObjectId,
}
