//! The objects that the command line asks for.

use tinamou_api::{self as api, ObjectOptionsBranch as Branch};
use tinamou_net::Network;

use super::Failure;
use super::machine::main_memory_id;
use crate::objects::Objects;
use crate::options::config::{Config, MachineKind, ObjectConfig};

/// Whether an object refers to a back end that is made after the other objects.
pub(super) fn is_late(object: &ObjectConfig) -> bool {
    matches!(object.options.branch, Branch::FilterDump(_))
}

/// Makes the objects in order but for the late ones, and the main memory unless it is among them.
pub(super) fn make(config: &Config, network: &Network) -> Result<Objects, Failure> {
    let mut objects = Objects::default();
    for object in config.objects.iter().filter(|object| !is_late(object)) {
        objects
            .create(&object.options, network)
            .map_err(Failure::new)?;
    }
    let virt = config.machine.kind == MachineKind::Virt;
    if virt && config.machine.memory_backend.is_none() {
        let memory = main_memory(config);
        objects.create(&memory, network).map_err(Failure::new)?;
    }
    Ok(objects)
}

fn main_memory(config: &Config) -> api::ObjectOptions {
    let memory = api::MemoryBackendProperties {
        dump: config.machine.dump_guest_core,
        host_nodes: None,
        merge: config.machine.mem_merge,
        policy: None,
        prealloc: None,
        prealloc_threads: None,
        share: None,
        reserve: None,
        size: config.memory.size,
    };
    api::ObjectOptions {
        id: main_memory_id(config).to_owned(),
        branch: Branch::MemoryBackendRam(memory),
    }
}
