//! `run-state.json`: whether the machine runs, and what happens when it ends.

use tinamou_api as api;
use tinamou_machine::run_state::{
    PanicAction, RebootAction, RunState, ShutdownAction, WatchdogAction,
};
use tinamou_monitor::Call;
use tinamou_qmp::{Error, Result};

use crate::vm::{Shared, Vm};

/// `query-status`
pub fn query_status(shared: &Shared, (): ()) -> Result<api::StatusInfo> {
    let state = shared.run_state.load();
    Ok(api::StatusInfo {
        running: state == RunState::Running,
        status: by_name(api::RunState::ALL, state.name())?,
    })
}

/// `watchdog-set-action`
pub fn watchdog_set_action(
    vm: &mut Vm,
    _: &mut Call,
    args: api::WatchdogSetActionArguments,
) -> Result<api::Empty> {
    vm.machine.actions_mut().watchdog = watchdog(args.action)?;
    Ok(api::Empty {})
}

/// `set-action`
pub fn set_action(vm: &mut Vm, _: &mut Call, args: api::SetActionArguments) -> Result<api::Empty> {
    let actions = vm.machine.actions_mut();
    if let Some(action) = args.reboot {
        actions.reboot = find(RebootAction::from_name, action.as_str())?;
    }
    if let Some(action) = args.panic {
        actions.panic = find(PanicAction::from_name, action.as_str())?;
    }
    if let Some(action) = args.shutdown {
        actions.shutdown = find(ShutdownAction::from_name, action.as_str())?;
    }
    if let Some(action) = args.watchdog {
        actions.watchdog = watchdog(action)?;
    }
    Ok(api::Empty {})
}

fn watchdog(action: api::WatchdogAction) -> Result<WatchdogAction> {
    find(WatchdogAction::from_name, action.as_str())
}

/// The schema's value of that name.
pub fn by_name<T: Copy>(all: &[(&str, T)], name: &str) -> Result<T> {
    let found = all.iter().find(|(other, _)| *other == name);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| Error::value_not_accepted(None, name))
}

/// The machine's value of that name.
fn find<T>(from_name: fn(&str) -> Option<T>, name: &str) -> Result<T> {
    from_name(name).ok_or_else(|| Error::value_not_accepted(None, name))
}
