//! The graphics card.

use tinamou_qdev::{Category, Kind, Properties, properties};
use tinamou_qmp::{Error, Result, Value};
use tinamou_virtio::Virtio;
use tinamou_virtio::gpu::{Gpu, Options, SCANOUTS_MAX};

use super::virtio::{self, Core, Plain};
use super::virtio_pci::{self, Family, Variant};
use super::{Class, Made, Plug};
use crate::vm::Vm;

properties! {
    /// What every graphics card takes.
    pub struct GpuBaseProperties {
        /// How many screens it has.
        pub max_outputs: u32 = 1 => "max_outputs";
        /// Tell what the screens can do.
        pub edid: bool = true => "edid";
        /// How wide the first screen is.
        pub xres: u32 = 1280 => "xres";
        /// How high the first screen is.
        pub yres: u32 = 800 => "yres";
    }
}

properties! {
    /// What a card without 3D takes.
    pub struct GpuProperties {
        /// The most memory of the host for images.
        pub max_hostmem: u64 = 256 << 20 => "max_hostmem" as Kind::Size;
        /// Let the guest share memory instead of copying it.
        pub blob: bool = false => "blob";
        /// Room for shared memory.
        pub hostmem: u64 = 0 => "hostmem" as Kind::Size;
        /// How a snapshot holds the screens.
        pub scanout_vmstate_version: u8 = 2 => "x-scanout-vmstate-version";
    }
}

properties! {
    /// What a card behind PCI takes.
    pub struct GpuPciProperties {
        /// Whether kicks bypass the hart.
        pub ioeventfd: bool = false => "ioeventfd";
        /// MSI-X vectors.
        pub vectors: u32 = 3 => "vectors";
    }
}

/// Every graphics card.
pub const BASE: Class = Class {
    properties: &[GpuBaseProperties::SPECS],
    category: Some(Category::Display),
    hotpluggable: false,
    ..Class::base("virtio-gpu-base", "virtio-device")
};

/// The device in a slot of the board.
pub const DEVICE: Class = Class {
    properties: &[GpuProperties::SPECS],
    make: Some(|vm, plug| virtio::on_slot(vm, plug, core)),
    ..Class::new("virtio-gpu-device", "virtio-gpu-base")
};

/// Every graphics card behind PCI.
pub const PCI_COMMON: Class = Class {
    properties: &[GpuPciProperties::SPECS],
    category: Some(Category::Display),
    hotpluggable: false,
    ..Class::base("virtio-gpu-pci-base", "virtio-pci")
};

/// What the PCI classes have in common.
pub const PCI_BASE: Class = Class {
    inner: Some(DEVICE.name),
    ..Class::base("virtio-gpu-pci-base-type", "virtio-gpu-pci-base")
};

/// The device behind PCI. It has no legacy interface, whatever its properties say.
pub const PCI: Class = Class {
    alias: Some("virtio-gpu"),
    properties: &[virtio_pci::ModeProperties::SPECS],
    interfaces: &["pci-express-device", "conventional-pci-device"],
    make: Some(|vm, plug| virtio_pci::make(vm, plug, &FAMILY, Variant::NonTransitional)),
    ..Class::new("virtio-gpu-pci", "virtio-gpu-pci-base-type")
};

const FAMILY: Family = Family {
    inner: &DEVICE,
    core,
    class: 0x0380,
    vectors: |_, _| 3,
};

/// Makes the device for any transport.
fn core(vm: &mut Vm, plug: &Plug<'_>, transport: u64) -> Result<Core> {
    let base: GpuBaseProperties = plug.settings.fill();
    let own: GpuProperties = plug.settings.fill();
    if base.max_outputs > SCANOUTS_MAX {
        let refused = format!("invalid max_outputs > {SCANOUTS_MAX}");
        return Err(Error::generic(refused));
    }
    if own.blob || own.hostmem != 0 {
        let driver = plug.class.name;
        let refused = format!("Property '{driver}.blob' cannot be on: it is not built");
        return Err(Error::generic(refused));
    }
    let options = Options {
        size: (base.xres, base.yres),
        max_hostmem: own.max_hostmem,
        edid: base.edid,
    };
    let heads = 0..base.max_outputs;
    let screens = heads.map(|head| vm.screens.add(plug.id, head)).collect();
    let rings = virtio::rings(plug.settings);
    let make = |port| Gpu::new(port, screens, options);
    Ok(Core {
        virtio: Virtio::new(virtio::site(vm), &rings, transport, make),
        made: Made::new(Plain, values(plug, &base, &own)),
    })
}

fn values(
    plug: &Plug<'_>,
    base: &GpuBaseProperties,
    own: &GpuProperties,
) -> Vec<(&'static str, Value)> {
    [own.values(), base.values(), virtio::values(plug.settings)].concat()
}
