//! `virtio.json`: how far virtio devices have come with their drivers.

mod names;

use std::any::Any;

use tinamou_api as api;
use tinamou_machine::RunState;
use tinamou_monitor::Call;
use tinamou_qdev::DeviceId;
use tinamou_qmp::{Error, Result, Value};
use tinamou_virtio::spec::status;
use tinamou_virtio::{ElementDescriptor, Unreadable, feature};

use crate::devices::virtio::{Backend, Carrier};
use crate::vm::Vm;

/// Flags of descriptors, in the order they are listed.
const DESCRIPTOR_FLAGS: [(u16, &str); 5] = [
    (1 << 15, "used"),
    (1 << 7, "avail"),
    (4, "indirect"),
    (2, "write"),
    (1, "next"),
];
/// The alignment of rings where the driver cannot choose it.
const ALIGNMENT: u32 = 4096;

/// `x-query-virtio`
pub fn query_virtio(vm: &mut Vm, _: &mut Call, (): ()) -> Result<Vec<api::VirtioInfo>> {
    list(vm)
}

/// The virtio devices.
///
/// # Errors
/// There is none.
pub fn list(vm: &Vm) -> Result<Vec<api::VirtioInfo>> {
    let entries = vm.devices.entries();
    let found = entries.filter_map(|entry| {
        let device: &dyn Any = &*entry.device;
        let backend = device.downcast_ref::<Backend>()?;
        Some(api::VirtioInfo {
            path: vm.qom.path(entry.object),
            name: backend.virtio.device_type().name().to_owned(),
        })
    });
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => Err(Error::generic("No virtio devices found")),
        false => Ok(found),
    }
}

/// `x-query-virtio-status`
pub fn query_virtio_status(
    vm: &mut Vm,
    _: &mut Call,
    args: api::XQueryVirtioStatusArguments,
) -> Result<api::VirtioStatus> {
    device_status(vm, &args.path)
}

/// How far the device at `path` has come.
///
/// # Errors
/// There is no virtio device.
pub fn device_status(vm: &Vm, path: &str) -> Result<api::VirtioStatus> {
    let (id, backend) = find(vm, path, "a realized VirtIODevice")?;
    let virtio = &backend.virtio;
    let (isr, queue_sel) = match &backend.carrier {
        Carrier::Mmio(slot) => (slot.interrupt_status() as u8, slot.queue_sel() as u16),
        Carrier::Pci(function) => (function.interrupt_status(), function.queue_sel()),
    };
    let started = virtio.status() & status::DRIVER_OK != 0;
    let chosen = virtio.features();
    let legacy = chosen != 0 && chosen & feature::VERSION_1 == 0;
    let features = |bits| names::features(virtio.device_type(), bits);
    Ok(api::VirtioStatus {
        name: virtio.device_type().name().to_owned(),
        device_id: virtio.device_type() as u16,
        vhost_started: false,
        device_endian: "little".to_owned(),
        guest_features: features(chosen),
        host_features: features(virtio.offered()),
        backend_features: features(0),
        num_vqs: i64::try_from(virtio.queue_count()).unwrap_or(i64::MAX),
        status: names::status(virtio.status()),
        isr,
        queue_sel,
        vm_running: vm.machine.run_state() == RunState::Running,
        broken: virtio.is_broken(),
        disabled: false,
        use_started: switch(vm, id, "use-started"),
        started,
        start_on_kick: legacy && !started,
        disable_legacy_check: switch(vm, id, "x-disable-legacy-check"),
        bus_name: bus_name(vm, id),
        use_guest_notifier_mask: true,
        vhost_dev: None,
    })
}

/// `x-query-virtio-queue-status`
pub fn query_virtio_queue_status(
    vm: &mut Vm,
    _: &mut Call,
    args: api::XQueryVirtioQueueStatusArguments,
) -> Result<api::VirtQueueStatus> {
    queue_status(vm, &args.path, args.queue)
}

/// Where a queue stands.
///
/// # Errors
/// There is no virtio device, or no such queue.
pub fn queue_status(vm: &Vm, path: &str, number: u16) -> Result<api::VirtQueueStatus> {
    let (_, backend) = find(vm, path, "a VirtIODevice")?;
    let (virtio, queue) = (&backend.virtio, usize::from(number));
    let (Some(setup), Some(position)) = (virtio.setup(queue), virtio.position(queue)) else {
        return Err(unreadable(Unreadable::Queue(queue)));
    };
    Ok(api::VirtQueueStatus {
        name: virtio.device_type().name().to_owned(),
        queue_index: number,
        inuse: position.in_use.into(),
        vring_num: setup.size.into(),
        vring_num_default: virtio.size_max(queue).into(),
        vring_align: match &backend.carrier {
            Carrier::Mmio(slot) => slot.alignment(queue),
            Carrier::Pci(_) => ALIGNMENT,
        },
        vring_desc: setup.descriptors,
        vring_avail: setup.driver,
        vring_used: setup.device,
        last_avail_idx: Some(position.last_available),
        shadow_avail_idx: Some(position.shadow_available),
        used_idx: position.used,
        signalled_used: position.signalled_used,
        signalled_used_valid: position.signalled_used_valid,
    })
}

/// `x-query-virtio-vhost-queue-status`: no device has its queues worked on elsewhere.
pub fn query_virtio_vhost_queue_status(
    vm: &mut Vm,
    _: &mut Call,
    args: api::XQueryVirtioVhostQueueStatusArguments,
) -> Result<api::VirtVhostQueueStatus> {
    vhost_queue_status(vm, &args.path)
}

/// The same for the human monitor.
///
/// # Errors
/// Always.
pub fn vhost_queue_status(vm: &Vm, path: &str) -> Result<api::VirtVhostQueueStatus> {
    find(vm, path, "a VirtIODevice")?;
    Err(Error::generic("Error: vhost device has not started yet"))
}

/// `x-query-virtio-queue-element`
pub fn query_virtio_queue_element(
    vm: &mut Vm,
    _: &mut Call,
    args: api::XQueryVirtioQueueElementArguments,
) -> Result<api::VirtioQueueElement> {
    queue_element(vm, &args.path, args.queue, args.index)
}

/// A chain in a queue.
///
/// # Errors
/// There is no virtio device, or nothing in the queue that can be looked at.
pub fn queue_element(
    vm: &Vm,
    path: &str,
    queue: u16,
    index: Option<u16>,
) -> Result<api::VirtioQueueElement> {
    let (_, backend) = find(vm, path, "a VirtIO device")?;
    let element = backend.virtio.element(queue.into(), index);
    let element = element.map_err(unreadable)?;
    let (avail_flags, avail_idx) = element.available;
    let (used_flags, used_idx) = element.used;
    Ok(api::VirtioQueueElement {
        name: backend.virtio.device_type().name().to_owned(),
        index: element.head.into(),
        // QEMU lists the last one first.
        descs: element.descriptors.iter().rev().map(describe).collect(),
        avail: api::VirtioRingAvail {
            flags: avail_flags,
            idx: avail_idx,
            ring: element.head,
        },
        used: api::VirtioRingUsed {
            flags: used_flags,
            idx: used_idx,
        },
    })
}

fn describe(descriptor: &ElementDescriptor) -> api::VirtioRingDesc {
    let set = |(bit, _): &&(u16, &str)| descriptor.flags & bit != 0;
    let flags = DESCRIPTOR_FLAGS.iter().filter(set);
    api::VirtioRingDesc {
        addr: descriptor.address,
        len: descriptor.length,
        flags: flags.map(|(_, name)| (*name).to_owned()).collect(),
    }
}

fn find<'a>(vm: &'a Vm, path: &str, wanted: &str) -> Result<(DeviceId, &'a Backend)> {
    let found = vm.qom.resolve(path).ok().and_then(|object| {
        let id = vm.devices.find_object(object)?;
        let device: &dyn Any = &*vm.devices.entry(id).device;
        Some((id, device.downcast_ref::<Backend>()?))
    });
    found.ok_or_else(|| Error::generic(format!("Path {path} is not {wanted}")))
}

fn unreadable(error: Unreadable) -> Error {
    Error::generic(error.to_string())
}

/// Whether a property of the device is on.
fn switch(vm: &Vm, device: DeviceId, name: &str) -> bool {
    let mut values = vm.devices.entry(device).values.iter();
    values.any(|(property, value)| *property == name && *value == Value::Bool(true))
}

/// The bus that the device itself has, if any.
fn bus_name(vm: &Vm, device: DeviceId) -> String {
    let topology = &vm.devices.topology;
    let bus = topology.buses_of(device).next();
    bus.map_or_else(String::new, |bus| topology.bus(bus).name.clone())
}
