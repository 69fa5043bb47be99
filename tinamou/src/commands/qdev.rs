//! `qdev.json`: devices coming and going.

use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_qmp::{Object, Result};

use crate::devices::Request;
use crate::vm::Vm;

/// `device_add`
pub fn device_add(vm: &mut Vm, _: &mut Call, args: Object) -> Result<api::Empty> {
    vm.plug(&Request::from_object(args), true)
        .map_err(|fault| fault.error)?;
    Ok(api::Empty {})
}

/// `device_del`
pub fn device_del(vm: &mut Vm, _: &mut Call, args: api::DeviceDelArguments) -> Result<api::Empty> {
    vm.unplug(&args.id)?;
    Ok(api::Empty {})
}
