//! The memory devices' part of `machine.json`.

use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_qmp::Result;

use crate::devices::virtio_mem::{list, plugged_size};
use crate::vm::Vm;

/// `query-memory-devices`
pub fn query_memory_devices(
    vm: &mut Vm,
    _: &mut Call,
    (): (),
) -> Result<Vec<api::MemoryDeviceInfo>> {
    let info = |data| {
        let wrapper = api::VirtioMEMDeviceInfoWrapper { data };
        api::MemoryDeviceInfo {
            branch: api::MemoryDeviceInfoBranch::VirtioMem(wrapper),
        }
    };
    Ok(list(vm).into_iter().map(info).collect())
}

/// `query-memory-size-summary`
pub fn query_memory_size_summary(vm: &mut Vm, _: &mut Call, (): ()) -> Result<api::MemoryInfo> {
    Ok(memory_size_summary(vm))
}

/// How much memory the guest has.
pub fn memory_size_summary(vm: &Vm) -> api::MemoryInfo {
    api::MemoryInfo {
        base_memory: vm.config.memory.size,
        plugged_memory: plugged_size(vm),
    }
}
