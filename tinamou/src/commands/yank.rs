//! `yank.json`: getting rid of connections that hang.

use tinamou_api as api;
use tinamou_chardev::Chardev;
use tinamou_qmp::{Error, ErrorClass, Result};

use crate::vm::Shared;

/// `query-yank`
pub fn query_yank(shared: &Shared, (): ()) -> Result<Vec<api::YankInstance>> {
    let instance = |id| api::YankInstance {
        branch: api::YankInstanceBranch::Chardev(api::YankInstanceChardev { id }),
    };
    Ok(shared
        .chardevs
        .yank_instances()
        .into_iter()
        .map(instance)
        .collect())
}

/// `yank`: all instances exist, or nothing is done.
pub fn yank(shared: &Shared, args: api::YankArguments) -> Result<api::Empty> {
    let chardevs: Vec<Chardev> = args
        .instances
        .iter()
        .map(|instance| find(shared, instance))
        .collect::<Result<_>>()?;
    chardevs.iter().for_each(Chardev::yank);
    Ok(api::Empty {})
}

fn find(shared: &Shared, instance: &api::YankInstance) -> Result<Chardev> {
    let found = match &instance.branch {
        api::YankInstanceBranch::Chardev(chardev) => shared.chardevs.find(&chardev.id),
        // There are no block nodes and no migration that could hang.
        _ => None,
    };
    found
        .filter(Chardev::is_socket)
        .ok_or_else(|| Error::new(ErrorClass::DeviceNotFound, "Instance not found"))
}
