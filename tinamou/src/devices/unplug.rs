//! The way of a device out of the machine.

use tinamou_api as api;
use tinamou_qdev::DeviceId;
use tinamou_qmp::{Error, Result};

use super::plug::no_hotplug;
use super::{CLASSES, Unplug};
use crate::vm::Vm;

impl Vm {
    /// Begins to take the device out that an id or path names.
    ///
    /// # Errors
    /// There is none, or it cannot be taken out.
    pub fn unplug(&mut self, name: &str) -> Result<()> {
        let device = self.find_device(name)?;
        let topology = &self.devices.topology;
        if let Some(bus) = topology.bus_of(device).map(|bus| topology.bus(bus))
            && !bus.hotpluggable
        {
            return Err(no_hotplug(&bus.name));
        }
        let class = self.devices.entry(device).class;
        if !CLASSES.is_hotpluggable(class) {
            let desc = format!("Device '{}' does not support hotplugging", class.name);
            return Err(Error::generic(desc));
        }
        self.devices.check_unplug(device)?;
        match self.devices.entry_mut(device).device.unplug()? {
            Unplug::Done => self.remove_device(device),
            // The guest may have had nothing to let go of.
            Unplug::Asked => self.take_out_ejected(),
        }
        Ok(())
    }

    /// Takes out what guests have let go of, and says what is gone.
    pub fn remove_ejected(&mut self) {
        self.take_out_ejected();
        for (device, path) in self.devices.take_gone() {
            self.events.emit(&api::DeviceDeletedEvent { device, path });
        }
    }

    fn take_out_ejected(&mut self) {
        for ticket in self.devices.ejections.take() {
            if let Some(device) = self.devices.find_ticket(ticket) {
                self.remove_device(device);
            }
        }
    }

    /// Takes a device out with everything below it. That is said a little
    /// later, so that it follows the reply to a command that did it, as with
    /// QEMU.
    fn remove_device(&mut self, device: DeviceId) {
        for removed in self.devices.remove(&mut self.qom, device) {
            removed.device.remove(self);
            self.devices.add_gone(removed.id, removed.path);
        }
        self.update_boot_order();
    }

    /// The device that an id, or a path in the object tree, names.
    ///
    /// # Errors
    /// There is none.
    pub fn find_device(&self, name: &str) -> Result<DeviceId> {
        let path = if name.starts_with('/') {
            name.to_owned()
        } else {
            format!("/machine/peripheral/{name}")
        };
        let object = self
            .qom
            .resolve(&path)
            .map_err(|_| Error::device_not_found(name))?;
        let device = self.devices.find_object(object);
        device.ok_or_else(|| Error::generic(format!("{name} is not a device")))
    }
}
