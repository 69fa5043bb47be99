//! What the command line plugs into the machine.

use super::{Failure, Start};
use crate::vm::Vm;
use crate::{devices, log};

impl Start<'_> {
    /// Plugs in the devices in order.
    pub(super) fn plug_devices(&self, vm: &mut Vm) -> Result<(), Failure> {
        let board = vm.devices.classes();
        let warnings =
            devices::check_globals(&self.config.globals, &board).map_err(Failure::new)?;
        for warning in warnings {
            log::tell(self.program, format_args!("warning: {warning}"));
        }
        for device in &self.config.devices {
            vm.plug(&device.request, false).map_err(|fault| {
                let hint = fault.hint.map(|hint| format!("\n{hint}"));
                let text = format!("{}{}", fault.error, hint.unwrap_or_default());
                Failure::at(&device.origin, text)
            })?;
        }
        Ok(())
    }
}
