//! What the command line plugs into the machine.

use super::{Failure, Start, objects};
use crate::options::config::DriveInterface;
use crate::vm::Vm;
use crate::{commands, devices, log};

impl Start<'_> {
    /// Plugs in the devices in order.
    pub(super) fn plug_devices(&self, vm: &mut Vm) -> Result<(), Failure> {
        let board = vm.devices.classes();
        let warnings =
            devices::check_globals(&self.config.globals, &board).map_err(Failure::new)?;
        for warning in warnings {
            log::tell(self.program, format_args!("warning: {warning}"));
        }
        self.open_netdevs(vm)?;
        for object in self.config.objects.iter().filter(|o| objects::is_late(o)) {
            vm.add_object(&object.options).map_err(Failure::new)?;
        }
        self.plug_drives(vm)?;
        for device in &self.config.devices {
            vm.plug(&device.request, false).map_err(|fault| {
                let hint = fault.hint.map(|hint| format!("\n{hint}"));
                let text = format!("{}{}", fault.error, hint.unwrap_or_default());
                Failure::at(&device.origin, text)
            })?;
        }
        for loose in vm.network.loose_ends() {
            log::tell(self.program, format_args!("warning: {loose}"));
        }
        Ok(())
    }

    /// Makes the network back ends in order, and the cards of `-nic`.
    fn open_netdevs(&self, vm: &mut Vm) -> Result<(), Failure> {
        for config in &self.config.netdevs {
            let netdev = config.netdev();
            netdev
                .and_then(|netdev| commands::net::add(vm, netdev))
                .map_err(|error| Failure::at(&config.origin, error))?;
        }
        for card in &self.config.nics {
            devices::add_nic(vm, card).map_err(|error| Failure::at(&card.origin, error))?;
        }
        Ok(())
    }

    /// Makes disks for the drives that want one.
    fn plug_drives(&self, vm: &mut Vm) -> Result<(), Failure> {
        let mut drives: Vec<_> = self.config.drives.iter().collect();
        drives.retain(|drive| drive.interface == DriveInterface::Virtio);
        drives.sort_by_key(|drive| drive.index);
        for drive in drives {
            let request = devices::virtio_blk::automatic(&drive.id);
            let plugged = vm.plug(&request, false);
            plugged.map_err(|fault| Failure::at(&drive.origin, fault.error))?;
        }
        Ok(())
    }
}
