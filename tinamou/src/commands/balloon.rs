//! The balloon's part of `machine.json`.

use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_qmp::Result;

use crate::devices::virtio_balloon::{active, set_target};
use crate::vm::Vm;

/// `balloon`
pub fn balloon(vm: &mut Vm, _: &mut Call, args: api::BalloonArguments) -> Result<api::Empty> {
    set_target(vm, args.value)?;
    Ok(api::Empty {})
}

/// `query-balloon`
pub fn query_balloon(vm: &mut Vm, _: &mut Call, (): ()) -> Result<api::BalloonInfo> {
    let actual = active(vm)?.actual();
    Ok(api::BalloonInfo {
        actual: actual.try_into().unwrap_or(i64::MAX),
    })
}
