//! `misc.json`: names, descriptors, and the human monitor.

use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_qmp::{Error, Result};

use crate::fds::Listed;
use crate::options::params;
use crate::options::table::groups;
use crate::vm::{Shared, Vm};

/// `query-name`
pub fn query_name(shared: &Shared, (): ()) -> Result<api::NameInfo> {
    Ok(api::NameInfo {
        name: shared.name.clone(),
    })
}

/// `stop`
pub fn stop(vm: &mut Vm, _: &mut Call, (): ()) -> Result<api::Empty> {
    vm.stop();
    Ok(api::Empty {})
}

/// `x-exit-preconfig`
pub fn exit_preconfig(vm: &mut Vm, _: &mut Call, (): ()) -> Result<api::Empty> {
    vm.exit_preconfig()?;
    Ok(api::Empty {})
}

/// `cont`
pub fn cont(vm: &mut Vm, _: &mut Call, (): ()) -> Result<api::Empty> {
    vm.cont()?;
    Ok(api::Empty {})
}

/// `human-monitor-command`
pub fn human_monitor_command(
    vm: &mut Vm,
    call: &mut Call,
    args: api::HumanMonitorCommandArguments,
) -> Result<String> {
    let cpu = match args.cpu_index {
        Some(index) => Some(vm.cpu_index(index)?),
        None => None,
    };
    Ok(vm.execute_hmp(call, &args.command_line, cpu))
}

/// `getfd`
pub fn getfd(vm: &mut Vm, call: &mut Call, args: api::GetfdArguments) -> Result<api::Empty> {
    let fd = call.take_fd().ok_or_else(no_descriptor)?;
    vm.fds.name(&args.fdname, fd)?;
    Ok(api::Empty {})
}

/// `closefd`
pub fn closefd(vm: &mut Vm, _: &mut Call, args: api::ClosefdArguments) -> Result<api::Empty> {
    vm.fds.take(&args.fdname)?;
    Ok(api::Empty {})
}

/// `add-fd`
pub fn add_fd(vm: &mut Vm, call: &mut Call, args: api::AddFdArguments) -> Result<api::AddfdInfo> {
    let fd = call.take_fd().ok_or_else(no_descriptor)?;
    let (fdset_id, fd) = vm.fds.sets().add(args.fdset_id, fd, args.opaque)?;
    Ok(api::AddfdInfo {
        fdset_id,
        fd: i64::from(fd),
    })
}

/// `remove-fd`
pub fn remove_fd(vm: &mut Vm, _: &mut Call, args: api::RemoveFdArguments) -> Result<api::Empty> {
    vm.fds.sets().remove(args.fdset_id, args.fd)?;
    Ok(api::Empty {})
}

/// `query-fdsets`
pub fn query_fdsets(vm: &mut Vm, _: &mut Call, (): ()) -> Result<Vec<api::FdsetInfo>> {
    let sets = vm.fds.sets().list().into_iter();
    let member = |listed: Listed| api::FdsetFdInfo {
        fd: i64::from(listed.fd),
        opaque: listed.opaque,
    };
    let info = |(fdset_id, members): (i64, Vec<Listed>)| api::FdsetInfo {
        fdset_id,
        fds: members.into_iter().map(member).collect(),
    };
    Ok(sets.map(info).collect())
}

/// `query-command-line-options`
pub fn query_command_line_options(
    _: &Shared,
    args: api::QueryCommandLineOptionsArguments,
) -> Result<Vec<api::CommandLineOptionInfo>> {
    let wanted = |name: &str| args.option.as_deref().is_none_or(|option| option == name);
    let options: Vec<_> = groups()
        .filter(|group| wanted(group.name))
        .map(group_info)
        .collect();
    match args.option {
        Some(option) if options.is_empty() => {
            Err(Error::generic(format!("invalid option name: {option}")))
        }
        _ => Ok(options),
    }
}

fn group_info(group: &params::Group) -> api::CommandLineOptionInfo {
    api::CommandLineOptionInfo {
        option: group.name.into(),
        parameters: group
            .params
            .iter()
            .map(|param| api::CommandLineParameterInfo {
                name: param.name.into(),
                r#type: match param.kind {
                    params::Kind::Boolean => api::CommandLineParameterType::Boolean,
                    params::Kind::Number => api::CommandLineParameterType::Number,
                    params::Kind::Size => api::CommandLineParameterType::Size,
                    params::Kind::String => api::CommandLineParameterType::String,
                },
                help: None,
                default: None,
            })
            .collect(),
    }
}

fn no_descriptor() -> Error {
    Error::generic("No file descriptor supplied via SCM_RIGHTS")
}
