//! `control.json`: what the monitor says of itself.

use tinamou_api as api;
use tinamou_monitor::Call;
use tinamou_qmp::introspect::{Entry, EntryShape};
use tinamou_qmp::session::QMP_CAPABILITIES;
use tinamou_qmp::{Result, Value};

use crate::events::EVENTS;
use crate::options::QEMU_VERSION;
use crate::vm::{Shared, Vm};

/// Who packaged the emulator, as the greeting and `query-version` say.
pub const PACKAGE: &str = concat!("Tinamou ", env!("CARGO_PKG_VERSION"));

/// `query-version`
pub fn query_version(_: &Shared, (): ()) -> Result<api::VersionInfo> {
    let [major, minor, micro] = QEMU_VERSION.map(i64::from);
    Ok(api::VersionInfo {
        qemu: api::VersionTriple {
            major,
            minor,
            micro,
        },
        package: PACKAGE.into(),
    })
}

/// `query-commands`, the last of the schema first, as QEMU lists them.
pub fn query_commands(names: &[&'static str]) -> Vec<api::CommandInfo> {
    let served = api::SCHEMA
        .entries
        .iter()
        .rev()
        .filter(|entry| is_command(entry) && serves(names, entry.name));
    served
        .map(|entry| api::CommandInfo {
            name: entry.name.into(),
        })
        .collect()
}

/// `query-qmp-schema`: the commands there are, the events that are sent, and
/// the types that these reach.
pub fn query_qmp_schema(names: &[&'static str]) -> Value {
    api::SCHEMA.introspect(|entry| match is_command(entry) {
        true => serves(names, entry.name),
        false => EVENTS.contains(&entry.name),
    })
}

fn is_command(entry: &Entry) -> bool {
    matches!(entry.shape, EntryShape::Command { .. })
}

/// Whether a command is in the table, or is the session's own.
fn serves(names: &[&'static str], name: &str) -> bool {
    names.contains(&name) || name == QMP_CAPABILITIES.name
}

/// `quit`
pub fn quit(vm: &mut Vm, _: &mut Call, (): ()) -> Result<api::Empty> {
    vm.quit();
    Ok(api::Empty {})
}
