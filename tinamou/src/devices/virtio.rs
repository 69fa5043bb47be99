//! What all virtio devices have in common, whatever carries them.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use tinamou_qdev::{BusId, Properties, Settings, properties};
use tinamou_qmp::{Error, Result, Value};
use tinamou_virtio::mmio::VirtioMmio;
use tinamou_virtio::pci::VirtioPci;
use tinamou_virtio::{RingOptions, Site, Virtio};

use super::{Class, Made, Plug, Plugged, Unplug};
use crate::objects::Iothread;
use crate::vm::Vm;

properties! {
    /// What every virtio device takes.
    pub struct VirtioProperties {
        /// Offer indirect descriptors.
        pub indirect_desc: bool = true => "indirect_desc";
        /// Offer event indexes.
        pub event_idx: bool = true => "event_idx";
        /// Offer interrupts on empty rings.
        pub notify_on_empty: bool = true => "notify_on_empty";
        /// Offer any framing.
        pub any_layout: bool = true => "any_layout";
        /// Offer to go through an IOMMU.
        pub iommu_platform: bool = false => "iommu_platform";
        /// Offer packed rings.
        pub packed: bool = false => "packed";
        /// Offer to reset single queues.
        pub queue_reset: bool = true => "queue_reset";
        /// Offer to use buffers in order.
        pub in_order: bool = false => "in_order";
        /// Save whether the device was started.
        pub use_started: bool = true => "use-started";
        /// Save whether the device was disabled.
        pub use_disabled_flag: bool = true => "use-disabled-flag";
        /// Allow the legacy interface where it makes no sense.
        pub disable_legacy_check: bool = false => "x-disable-legacy-check";
    }
}

/// Every virtio device.
pub const DEVICE: Class = Class {
    properties: &[VirtioProperties::SPECS],
    bus: Some("virtio-bus"),
    ..Class::base("virtio-device", "device")
};

/// What a virtio device needs from the machine.
pub fn site(vm: &Vm) -> Site {
    Site {
        memory: vm.machine.dma(),
        gate: Arc::clone(vm.machine.gate()),
        runtime: vm.device_thread.clone(),
        clock: Arc::clone(vm.machine.clock()),
    }
}

/// The same with a thread of its own for the device's work, if `iothread` says so. Whoever has the
/// thread keeps it running, even when its object is deleted.
pub fn site_on(vm: &Vm, iothread: Option<&str>) -> (Site, Option<Rc<Iothread>>) {
    let thread = iothread.and_then(|path| vm.objects.iothread(&vm.qom, path));
    let site = site(vm);
    let runtime = match &thread {
        Some(thread) => thread.handle().clone(),
        None => site.runtime.clone(),
    };
    (Site { runtime, ..site }, thread)
}

/// What the rings of a device can do.
pub fn rings(settings: &Settings) -> RingOptions {
    let properties: VirtioProperties = settings.fill();
    RingOptions {
        indirect_desc: properties.indirect_desc,
        event_idx: properties.event_idx,
        notify_on_empty: properties.notify_on_empty,
        any_layout: properties.any_layout,
        iommu_platform: properties.iommu_platform,
        packed: properties.packed,
        queue_reset: properties.queue_reset,
        in_order: properties.in_order,
    }
}

/// The values of the properties that every virtio device has.
pub fn values(settings: &Settings) -> Vec<(&'static str, Value)> {
    settings.fill::<VirtioProperties>().values()
}

/// Where the device itself is in the object tree: inside of its transport, if that is a device of
/// its own.
pub fn core_path(plug: &Plug<'_>) -> String {
    match plug.class.name.ends_with("-device") {
        true => plug.path.to_owned(),
        false => format!("{}/virtio-backend", plug.path),
    }
}

/// A device that is to be put behind a transport.
pub struct Core {
    /// The device.
    pub virtio: Arc<Virtio>,
    /// What the main loop knows of it.
    pub made: Made,
}

/// Makes a device for a transport that adds these feature bits.
pub type MakeCore = fn(&mut Vm, &Plug<'_>, u64) -> Result<Core>;

/// Puts a device into a memory-mapped slot of the board.
///
/// # Errors
/// It cannot be made, or there is no slot.
pub fn on_slot(vm: &mut Vm, plug: &Plug<'_>, make: MakeCore) -> Result<Made> {
    let slot = slot(vm, plug.bus).ok_or_else(|| {
        let name = plug.class.name;
        Error::generic(format!("No 'virtio-bus' bus found for device '{name}'"))
    })?;
    let Core { virtio, made } = make(vm, plug, slot.features())?;
    slot.plug(Arc::clone(&virtio));
    Ok(behind(virtio, Carrier::Mmio(slot), made))
}

/// A device that was made, with what carries it.
pub(super) fn behind(virtio: Arc<Virtio>, carrier: Carrier, made: Made) -> Made {
    Made {
        device: Box::new(Backend {
            virtio,
            carrier,
            device: made.device,
        }),
        ..made
    }
}

/// A virtio device behind its transport.
pub struct Backend {
    /// What all virtio devices share.
    pub virtio: Arc<Virtio>,
    /// What carries it.
    pub carrier: Carrier,
    device: Box<dyn Plugged>,
}

/// What carries a virtio device.
pub enum Carrier {
    /// A slot of the board.
    Mmio(Arc<VirtioMmio>),
    /// A PCI function.
    Pci(Arc<VirtioPci>),
}

impl Plugged for Backend {
    fn wires(&self) -> Vec<String> {
        self.device.wires()
    }

    fn details(&self) -> Vec<String> {
        self.device.details()
    }

    fn check_unplug(&self) -> Result<()> {
        self.device.check_unplug()
    }

    fn unplug(&mut self) -> Result<Unplug> {
        self.device.unplug()
    }

    fn remove(self: Box<Self>, vm: &mut Vm) {
        self.device.remove(vm);
    }
}

/// The devices of one kind that are behind some transport.
pub fn devices<T: Plugged>(vm: &Vm) -> impl Iterator<Item = &T> {
    vm.devices.entries().filter_map(|entry| {
        let device: &dyn Any = &*entry.device;
        let inner: &dyn Any = &*device.downcast_ref::<Backend>()?.device;
        inner.downcast_ref()
    })
}

fn slot(vm: &Vm, bus: Option<BusId>) -> Option<Arc<VirtioMmio>> {
    vm.devices.bus_handle::<Arc<VirtioMmio>>(bus?).cloned()
}

/// A virtio device that needs nothing from the main loop.
pub struct Plain;

impl Plugged for Plain {}
