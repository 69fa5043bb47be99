//! Memory that the guest takes and gives back.

use std::rc::Rc;
use std::sync::Arc;

use tinamou_api as api;
use tinamou_machine::{NewMemory, PlacedMemory, ResetHook};
use tinamou_memory::Ram;
use tinamou_qdev::{Category, Kind, OnOffAuto, Properties, properties};
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::Property;
use tinamou_virtio::Virtio;
use tinamou_virtio::mem::spec::{BLOCK_SIZE, BLOCK_SIZE_MIN};
use tinamou_virtio::mem::{Mem, Observer, Options};

use super::virtio::{self, Core};
use super::virtio_pci::{self, Family, ModeProperties, NotifyProperties, Variant};
use super::{Class, Made, Plug, Plugged};
use crate::objects::{Lease, MemoryBackend};
use crate::vm::{Vm, machine_error};

properties! {
    /// What a memory device takes.
    pub struct MemProperties {
        /// Where its memory is; anywhere if 0.
        pub memaddr: u64 = 0 => "memaddr";
        /// Its NUMA node, of which the machine has one.
        pub node: u32 = 0 => "node";
        /// Take memory from the host when the guest plugs it.
        pub prealloc: bool = false => "prealloc";
        /// Whether the guest must leave alone what it has not plugged.
        pub unplugged_inaccessible: OnOffAuto = OnOffAuto::On => "unplugged-inaccessible";
        /// Save it ahead of the rest in a snapshot.
        pub early_migration: bool = true => "x-early-migration";
        /// Map memory in parts as it is plugged.
        pub dynamic_memslots: bool = false => "dynamic-memslots";
        /// The memory.
        pub memdev: Option<String> = None => "memdev" as Kind::Link("memory-backend");
    }
}

properties! {
    /// The sizes that it takes; what they become is a matter of its life.
    pub struct SizeProperties {
        /// The unit in which memory comes and goes.
        pub block_size: Option<u64> = None => "block-size";
        /// How much the guest is asked to use.
        pub requested_size: Option<u64> = None => "requested-size";
    }
}

/// The device itself, which only a PCI function carries.
pub const DEVICE: Class = Class {
    properties: &[MemProperties::SPECS, SizeProperties::SPECS],
    live: &[("size", "size")],
    category: Some(Category::Misc),
    user_creatable: false,
    ..Class::new("virtio-mem", "virtio-device")
};

/// What the PCI classes have in common.
pub const PCI_BASE: Class = Class {
    properties: &[NotifyProperties::SPECS],
    interfaces: &["memory-device"],
    inner: Some(DEVICE.name),
    category: Some(Category::Misc),
    ..Class::base("virtio-mem-pci-base", "virtio-pci")
};

/// The device behind PCI.
pub const PCI: Class = Class {
    properties: &[ModeProperties::SPECS],
    interfaces: &["pci-express-device", "conventional-pci-device"],
    make: Some(|vm, plug| virtio_pci::make(vm, plug, &FAMILY, Variant::Plain)),
    ..Class::new("virtio-mem-pci", "virtio-mem-pci-base")
};

const FAMILY: Family = Family {
    inner: &DEVICE,
    core,
    class: 0x00ff,
    vectors: |_, _| 2,
};

/// Makes the device for any transport.
fn core(vm: &mut Vm, plug: &Plug<'_>, transport: u64) -> Result<Core> {
    let own: MemProperties = plug.settings.fill();
    let sizes: SizeProperties = plug.settings.fill();
    check_block_size(sizes.block_size)?;
    let (name, backend) = memdev(vm, &own)?;
    let new = NewMemory {
        id: plug.id,
        name: &name,
        ram: backend.ram(),
        address: own.memaddr,
        align: sizes.block_size.unwrap_or(BLOCK_SIZE),
    };
    let place = vm.machine.plug_memory(&new).map_err(machine_error)?;
    let busy = || {
        let refused = format!("'memdev' property specifies a busy memdev: {name}");
        Error::generic(refused)
    };
    let lease = MemoryBackend::lease(&backend).ok_or_else(busy)?;
    let options = Options {
        address: place.address(),
        ..options(plug, &own, &sizes, &backend)?
    };
    clear(backend.ram())?;
    let rings = virtio::rings(plug.settings);
    let (ram, observer) = (Arc::clone(backend.ram()), observer(vm, plug));
    let mut mem = None;
    let virtio = Virtio::new(virtio::site(vm), &rings, transport, |port| {
        Arc::clone(mem.insert(Mem::new(port, options, ram, observer)))
    });
    let mem = mem.expect("the device was just made");
    let reset: Arc<ResetHook> = {
        let mem = Arc::clone(&mem);
        Arc::new(move || mem.system_reset())
    };
    vm.machine.on_reset(Arc::downgrade(&reset));
    let own = MemProperties {
        memaddr: options.address,
        unplugged_inaccessible: match options.unplugged_inaccessible {
            true => OnOffAuto::On,
            false => OnOffAuto::Off,
        },
        ..own
    };
    let live = live(&mem);
    let device = MemoryDevice {
        mem,
        id: plug.id.map(str::to_owned),
        memdev: format!("/objects/{name}"),
        _place: place,
        _lease: lease,
        _reset: reset,
    };
    let values = [own.values(), virtio::values(plug.settings)].concat();
    let made = Made {
        live,
        ..Made::new(device, values)
    };
    Ok(Core { virtio, made })
}

fn check_block_size(size: Option<u64>) -> Result<()> {
    let refused = match size {
        Some(size) if size < BLOCK_SIZE_MIN => {
            format!("'block-size' property has to be at least {BLOCK_SIZE_MIN:#x}")
        }
        Some(size) if !size.is_power_of_two() => {
            "'block-size' property has to be a power of two".to_owned()
        }
        _ => return Ok(()),
    };
    Err(Error::generic(refused))
}

/// The memory that was named, with its id.
fn memdev(vm: &Vm, own: &MemProperties) -> Result<(String, Rc<MemoryBackend>)> {
    if vm.machine.config().device_memory().is_none() {
        return Err(machine_error(tinamou_machine::Error::NoDeviceMemory));
    }
    let path = own.memdev.as_deref().filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| Error::generic("'memdev' property must be set"))?;
    let backend = vm.objects.memory_backend(&vm.qom, path);
    backend.ok_or_else(|| Error::device_not_found(path))
}

/// What the device is told beside its address, if that makes sense.
fn options(
    plug: &Plug<'_>,
    own: &MemProperties,
    sizes: &SizeProperties,
    backend: &MemoryBackend,
) -> Result<Options> {
    let options = Options {
        address: 0,
        block_size: sizes.block_size.unwrap_or(BLOCK_SIZE),
        requested_size: sizes.requested_size.unwrap_or(0),
        unplugged_inaccessible: own
            .unplugged_inaccessible
            .unwrap_or(!backend.shares_zeroes()),
        prealloc: own.prealloc,
    };
    if let Some(refused) = refusal(plug, own, &options, backend) {
        return Err(Error::generic(refused));
    }
    if options.block_size < BLOCK_SIZE {
        tracing::warn!(
            "'block-size' property is smaller than the default block size ({} MiB)",
            BLOCK_SIZE >> 20
        );
    }
    Ok(options)
}

/// What is wrong with the properties; where words run together, QEMU's do.
fn refusal(
    plug: &Plug<'_>,
    own: &MemProperties,
    options: &Options,
    backend: &MemoryBackend,
) -> Option<String> {
    let block_size = options.block_size;
    if own.node != 0 {
        return Some(format!(
            "'node' property has value '{}', which exceedsthe number of numa nodes: 1",
            own.node
        ));
    }
    if own.dynamic_memslots && !options.unplugged_inaccessible {
        let on = "'dynamic-memslots' property set to 'on' requires 'unplugged-inaccessible' to \
                  be 'on'";
        return Some(on.to_owned());
    }
    if own.dynamic_memslots {
        let driver = plug.class.name;
        return Some(format!(
            "Property '{driver}.dynamic-memslots' cannot be on: it is not built"
        ));
    }
    if !options.requested_size.is_multiple_of(block_size) {
        return Some(format!(
            "'requested-size' property has to be multiples of 'block-size' ({block_size:#x})"
        ));
    }
    if !backend.ram().size().is_multiple_of(block_size) {
        return Some(format!(
            "'memdev' property memdev size has to be multiples of'block-size' ({block_size:#x})"
        ));
    }
    None
}

/// Gives the host back what the memory holds already.
fn clear(ram: &Ram) -> Result<()> {
    let cleared = ram.discard(0, ram.size());
    cleared.map_err(|error| Error::generic(format!("Unexpected error discarding RAM: {error}")))
}

/// What tells of a new size.
fn observer(vm: &Vm, plug: &Plug<'_>) -> Observer {
    let events = vm.events.clone();
    let id = plug.id.map(str::to_owned);
    let qom_path = plug.path.to_owned();
    Box::new(move |size| {
        events.emit(&api::MemoryDeviceSizeChangeEvent {
            id: id.clone(),
            size,
            qom_path: qom_path.clone(),
        });
    })
}

/// The properties about sizes.
fn live(mem: &Arc<Mem>) -> Vec<(&'static str, Property)> {
    let number = |size: u64| i64::try_from(size).map_or(Value::Uint(size), Value::Int);
    let [sized, asked, told] = [(); 3].map(|()| Arc::clone(mem));
    let block_size = mem.block_size();
    let block_size = Property::writable::<Value>(
        "block-size",
        "size",
        move || number(block_size),
        |_| Err(Error::generic("'block-size' cannot be changed")),
    );
    let size = Property::read_only("size", move || number(sized.size()));
    let requested_size = Property::writable::<u64>(
        "requested-size",
        "size",
        move || number(asked.requested_size()),
        move |size| {
            let set = told.set_requested_size(size);
            set.map_err(|error| Error::generic(error.to_string()))
        },
    );
    vec![
        ("block-size", block_size),
        ("size", size),
        ("requested-size", requested_size),
    ]
}

/// A memory device as the main loop sees it. Dropping it takes its memory out.
struct MemoryDevice {
    mem: Arc<Mem>,
    id: Option<String>,
    memdev: String,
    _place: PlacedMemory,
    _lease: Lease,
    _reset: Arc<ResetHook>,
}

impl Plugged for MemoryDevice {
    fn check_unplug(&self) -> Result<()> {
        let reason = if !self.mem.is_unplugged_inaccessible() {
            "'unplugged-inaccessible' != 'on'"
        } else if self.mem.size() != 0 {
            "some of its memory is still plugged"
        } else if self.mem.requested_size() != 0 {
            "'requested-size' != '0'"
        } else {
            return Ok(());
        };
        Err(Error::generic(format!(
            "virtio-mem device cannot get unplugged while {reason}"
        )))
    }
}

/// What `query-memory-devices` says of all memory devices, in the order of their addresses.
pub fn list(vm: &Vm) -> Vec<api::VirtioMEMDeviceInfo> {
    let info = |device: &MemoryDevice| api::VirtioMEMDeviceInfo {
        id: device.id.clone(),
        memaddr: device.mem.address(),
        requested_size: device.mem.requested_size(),
        size: device.mem.size(),
        max_size: device.mem.max_size(),
        block_size: device.mem.block_size(),
        node: 0,
        memdev: device.memdev.clone(),
    };
    let mut devices: Vec<_> = virtio::devices(vm).map(info).collect();
    devices.sort_by_key(|device| device.memaddr);
    devices
}

/// How much memory was added to the machine, if it can have any.
pub fn plugged_size(vm: &Vm) -> Option<u64> {
    vm.machine.config().device_memory()?;
    Some(list(vm).iter().map(|device| device.size).sum())
}
