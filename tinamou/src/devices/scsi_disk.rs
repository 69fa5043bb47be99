//! SCSI disks and CD drives.

use std::rc::Rc;
use std::sync::Arc;

use tinamou_qdev::{Category, Kind, Properties, properties};
use tinamou_qmp::{Error, Result};
use tinamou_virtio::scsi::{self, Address, Unit, UnitOptions};

use super::disks::{self, DiskProperties, GeometryProperties, Held};
use super::virtio_scsi::ScsiBus;
use super::{Class, Made, Plug, Plugged};
use crate::vm::Vm;

/// An address that is free.
const ANY: u32 = u32::MAX;
/// Characters of a serial number at most.
const SERIAL_MAX: usize = 36;
/// Unit of what can be unmapped, unless somebody says otherwise.
const GRANULARITY: u32 = 4096;

properties! {
    /// What every device on a SCSI bus takes.
    pub struct AddressProperties {
        /// The channel.
        pub channel: u32 = 0 => "channel";
        /// The target.
        pub target: u32 = ANY => "scsi-id";
        /// The unit of the target.
        pub lun: u32 = ANY => "lun";
        /// When the firmware tries to boot from it.
        pub bootindex: i32 = -1 => "bootindex" as Kind::BootIndex;
    }
}

properties! {
    /// What every SCSI disk or drive takes.
    pub struct UnitProperties {
        /// Its revision.
        pub ver: Option<String> = None => "ver";
        /// Its serial number.
        pub serial: Option<String> = None => "serial";
        /// Who made it.
        pub vendor: Option<String> = None => "vendor";
        /// What it is called.
        pub product: Option<String> = None => "product";
        /// What tells it apart.
        pub device_id: Option<String> = None => "device_id";
        /// Its world wide name.
        pub wwn: u64 = 0 => "wwn";
        /// Its port's.
        pub port_wwn: u64 = 0 => "port_wwn";
        /// Its port.
        pub port_index: u16 = 0 => "port_index";
        /// Bytes of the longest transfer.
        pub max_io_size: u64 = i32::MAX as u64 => "max_io_size";
        /// The version of SPC.
        pub scsi_version: i32 = 5 => "scsi_version";
    }
}

properties! {
    /// What disks take beside.
    pub struct HdProperties {
        /// The medium can be taken out.
        pub removable: bool = false => "removable";
        /// Writes can be made to bypass the cache.
        pub dpofua: bool = false => "dpofua";
        /// Bytes of the longest range to unmap.
        pub max_unmap_size: u64 = 1 << 30 => "max_unmap_size";
        /// Turns per minute; 1 for none.
        pub rotation_rate: u16 = 0 => "rotation_rate";
    }
}

/// Every device on a SCSI bus.
pub const SCSI_DEVICE: Class = Class {
    properties: &[AddressProperties::SPECS],
    category: Some(Category::Storage),
    bus: Some("SCSI"),
    ..Class::base("scsi-device", "device")
};

/// What disks and drives have in common.
pub const BASE: Class = Class::base("scsi-disk-base", "scsi-device");

/// A disk.
pub const HD: Class = Class {
    properties: &[
        DiskProperties::SPECS,
        UnitProperties::SPECS,
        GeometryProperties::SPECS,
        HdProperties::SPECS,
    ],
    description: Some("virtual SCSI disk"),
    make: Some(|vm, plug| make(vm, plug, scsi::Kind::Disk)),
    ..Class::new("scsi-hd", "scsi-disk-base")
};

/// A CD drive.
pub const CD: Class = Class {
    properties: &[DiskProperties::SPECS, UnitProperties::SPECS],
    description: Some("virtual SCSI CD-ROM"),
    make: Some(|vm, plug| make(vm, plug, scsi::Kind::Cd)),
    ..Class::new("scsi-cd", "scsi-disk-base")
};

fn make(vm: &mut Vm, plug: &Plug<'_>, kind: scsi::Kind) -> Result<Made> {
    let bus = plug.bus;
    let bus = bus.and_then(|bus| vm.devices.bus_handle::<Rc<ScsiBus>>(bus).cloned());
    let bus = bus.ok_or_else(|| {
        let name = plug.class.name;
        Error::generic(format!("No 'SCSI' bus found for device '{name}'"))
    })?;
    let wanted: AddressProperties = plug.settings.fill();
    let some = |number| Some(number).filter(|number| *number != ANY);
    let (target, lun) = (some(wanted.target), some(wanted.lun));
    let address = bus.take(plug.id, wanted.channel, target, lun)?;
    let made = put(vm, plug, kind, &bus, address, wanted);
    if made.is_err() {
        bus.give_back(address);
    }
    made
}

fn put(
    vm: &mut Vm,
    plug: &Plug<'_>,
    kind: scsi::Kind,
    bus: &Rc<ScsiBus>,
    address: Address,
    mut at: AddressProperties,
) -> Result<Made> {
    let mut disk: DiskProperties = plug.settings.fill();
    let mut own: UnitProperties = plug.settings.fill();
    let hd: HdProperties = plug.settings.fill();
    let mut shape: GeometryProperties = plug.settings.fill();
    let removable = kind == scsi::Kind::Cd || hd.removable;
    let image = disks::image(vm, plug, plug.path, &disk, removable)?;
    let serial = own.serial.as_deref().unwrap_or_default();
    if serial.chars().count() > SERIAL_MAX {
        let refused = format!("The serial number can't be longer than {SERIAL_MAX} characters");
        return Err(Error::generic(refused));
    }
    (disk.logical_block_size, disk.physical_block_size) = disk.block_sizes(512)?;
    if disk.discard_granularity == u32::MAX {
        disk.discard_granularity = disk.logical_block_size.max(GRANULARITY);
    }
    let defaults = UnitOptions::new(kind, address);
    own.ver.get_or_insert(defaults.version);
    own.vendor.get_or_insert(defaults.vendor);
    own.product.get_or_insert(defaults.product);
    (at.target, at.lun) = (address.target.into(), address.lun.into());
    let unit = Unit::new(
        Arc::clone(&image.backend),
        UnitOptions {
            geometry: shape.as_seen_by_guest(),
            ..options(&disk, &own, &hd, kind, address)
        },
    );
    if kind == scsi::Kind::Disk {
        let (cylinders, heads, sectors) = unit.geometry();
        (shape.cyls, shape.heads, shape.secs) = (cylinders, heads.into(), sectors.into());
    }
    let held = image.attach(Arc::clone(&unit) as _)?;
    bus.host.plug(&unit);
    let device = ScsiDisk {
        held,
        bus: Rc::clone(bus),
        address,
    };
    let mut values = [disk.values(), own.values(), at.values()].concat();
    if kind == scsi::Kind::Disk {
        values.extend([shape.values(), hd.values()].concat());
    }
    Ok(Made::new(device, values))
}

fn options(
    disk: &DiskProperties,
    own: &UnitProperties,
    hd: &HdProperties,
    kind: scsi::Kind,
    address: Address,
) -> UnitOptions {
    UnitOptions {
        logical_block: disk.logical_block_size,
        physical_block: disk.physical_block_size,
        min_io: disk.min_io_size,
        opt_io: disk.opt_io_size,
        max_io: own.max_io_size,
        max_unmap: hd.max_unmap_size,
        discard_granularity: disk.discard_granularity,
        serial: own.serial.clone().filter(|serial| !serial.is_empty()),
        vendor: own.vendor.clone().unwrap_or_default(),
        product: own.product.clone().unwrap_or_default(),
        version: own.ver.clone().unwrap_or_default(),
        device_id: own.device_id.clone(),
        wwn: own.wwn,
        port_wwn: own.port_wwn,
        port_index: own.port_index,
        removable: hd.removable,
        dpofua: hd.dpofua,
        rotation_rate: hd.rotation_rate,
        scsi_version: own.scsi_version as u8,
        ..UnitOptions::new(kind, address)
    }
}

/// A disk or drive as the main loop sees it.
struct ScsiDisk {
    held: Held,
    bus: Rc<ScsiBus>,
    address: Address,
}

impl Plugged for ScsiDisk {
    fn remove(self: Box<Self>, vm: &mut Vm) {
        self.bus.host.unplug(self.address);
        self.bus.give_back(self.address);
        self.held.release(vm);
    }
}
