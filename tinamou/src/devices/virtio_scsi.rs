//! The SCSI host of virtio, and the bus that it has.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use tinamou_qdev::{BusKind, Category, Kind, Properties, properties};
use tinamou_qmp::{Error, Result};
use tinamou_virtio::Virtio;
use tinamou_virtio::scsi::{Address, Host, Options, spec};

use super::virtio::{self, Core};
use super::virtio_pci::{self, Family, NotifyProperties};
use super::{Class, Made, MadeBus, Plug, Plugged};
use crate::objects::Iothread;
use crate::vm::Vm;

/// As many queues as suit whatever carries the host.
const AUTO_QUEUES: u32 = u32::MAX;
/// Queues for commands at most: a device has 1024, two of which are taken.
const QUEUES_MAX: u32 = 1022;
/// Descriptors of a queue at most.
const QUEUE_SIZE_MAX: u32 = 1024;

properties! {
    /// What a SCSI host takes.
    pub struct ScsiProperties {
        /// Number of queues for commands.
        pub num_queues: u32 = AUTO_QUEUES => "num_queues";
        /// Descriptors of each.
        pub virtqueue_size: u32 = 256 => "virtqueue_size";
        /// The most segments of a request follow from that.
        pub seg_max_adjust: bool = true => "seg_max_adjust";
        /// Sectors of the longest transfer.
        pub max_sectors: u32 = 0xffff => "max_sectors";
        /// How many commands a unit is to have at once.
        pub cmd_per_lun: u32 = 128 => "cmd_per_lun";
        /// Tell of units that come and go.
        pub hotplug: bool = true => "hotplug";
        /// Tell of units that change.
        pub param_change: bool = true => "param_change";
        /// The thread that does its work.
        pub iothread: Option<String> = None => "iothread" as Kind::Link("iothread");
    }
}

/// What SCSI hosts behind virtio have in common.
pub const COMMON: Class = Class::base("virtio-scsi-common", "virtio-device");

/// The device in a slot of the board.
pub const DEVICE: Class = Class {
    properties: &[ScsiProperties::SPECS],
    category: Some(Category::Storage),
    make: Some(|vm, plug| virtio::on_slot(vm, plug, core)),
    interfaces: &["hotplug-handler"],
    ..Class::new("virtio-scsi-device", "virtio-scsi-common")
};

/// The device behind PCI.
const FAMILY: Family = Family {
    inner: &DEVICE,
    core,
    class: 0x0100,
    // One for each queue, and one for the configuration.
    vectors: |_, settings| match settings.fill::<ScsiProperties>().num_queues {
        AUTO_QUEUES => 4,
        queues => queues.saturating_add(3),
    },
};

virtio_pci::classes! {
    "virtio-scsi-pci",
    alias: Some("virtio-scsi"),
    category: Category::Storage,
    properties: &[NotifyProperties::SPECS],
    FAMILY
}

/// The bus of SCSI devices.
pub static SCSI_BUS: BusKind = BusKind {
    name: "SCSI",
    parent: None,
    capacity: None,
};

/// A bus as the devices on it see it.
pub struct ScsiBus {
    /// Who carries commands to them.
    pub host: Arc<Host>,
    /// Who has which address, by its id.
    taken: RefCell<BTreeMap<Address, Option<String>>>,
}

impl ScsiBus {
    /// Gives a device the address it wants, or one that is free where it does not care.
    ///
    /// # Errors
    /// There is no such address, or it is taken.
    pub fn take(
        &self,
        id: Option<&str>,
        channel: u32,
        target: Option<u32>,
        lun: Option<u32>,
    ) -> Result<Address> {
        let refuse = |desc: String| Err(Error::generic(desc));
        let (target_max, lun_max) = (u32::from(spec::TARGET_MAX), u32::from(spec::LUN_MAX));
        if channel != 0 {
            return refuse(format!("bad scsi channel id: {channel}"));
        }
        if let Some(target) = target.filter(|target| *target > target_max) {
            return refuse(format!("bad scsi device id: {target}"));
        }
        if let Some(lun) = lun.filter(|lun| *lun > lun_max) {
            return refuse(format!("bad scsi device lun: {lun}"));
        }
        let mut taken = self.taken.borrow_mut();
        let at = |target: u32, lun: u32| Address {
            target: target as u8,
            lun: lun as u16,
        };
        let (mut candidates, none): (Box<dyn Iterator<Item = Address>>, _) = match (target, lun) {
            (None, lun) => {
                let lun = lun.unwrap_or(0);
                let all = (0..=target_max).map(move |target| at(target, lun));
                (Box::new(all), "no free target".to_owned())
            }
            (Some(target), None) => {
                let all = (0..=lun_max).map(move |lun| at(target, lun));
                (Box::new(all), "no free lun".to_owned())
            }
            (Some(target), Some(lun)) => {
                let place = at(target, lun);
                let owner = taken.get(&place).and_then(Option::as_deref);
                let used = format!("lun already used by '{}'", owner.unwrap_or("(null)"));
                (Box::new(std::iter::once(place)), used)
            }
        };
        let Some(free) = candidates.find(|place| !taken.contains_key(place)) else {
            return refuse(none);
        };
        taken.insert(free, id.map(str::to_owned));
        Ok(free)
    }

    /// The device at that address has gone.
    pub fn give_back(&self, address: Address) {
        self.taken.borrow_mut().remove(&address);
    }
}

/// Makes the device for any transport.
pub fn core(vm: &mut Vm, plug: &Plug<'_>, transport: u64) -> Result<Core> {
    let mut properties: ScsiProperties = plug.settings.fill();
    if properties.num_queues == AUTO_QUEUES {
        properties.num_queues = 1;
    }
    let options = options(&properties)?;
    let mut host = None;
    let rings = virtio::rings(plug.settings);
    let (site, thread) = virtio::site_on(vm, properties.iothread.as_deref());
    let virtio = Virtio::new(site, &rings, transport, |port| {
        Arc::clone(host.insert(Host::new(port, options)))
    });
    let host = host.expect("the device was just made");
    let values = [properties.values(), virtio::values(plug.settings)].concat();
    let mut made = Made::new(VirtioScsi { _thread: thread }, values);
    made.buses.push(MadeBus {
        kind: &SCSI_BUS,
        name: plug.id.map(|id| format!("{id}.0")),
        hotpluggable: true,
        handle: Box::new(Rc::new(ScsiBus {
            host,
            taken: RefCell::default(),
        })),
        inner: None,
    });
    Ok(Core { virtio, made })
}

/// The host as the main loop sees it.
struct VirtioScsi {
    _thread: Option<Rc<Iothread>>,
}

impl Plugged for VirtioScsi {}

fn options(properties: &ScsiProperties) -> Result<Options> {
    let refuse = |desc: String| Err(Error::generic(desc));
    let (queues, size) = (properties.num_queues, properties.virtqueue_size);
    if !(1..QUEUES_MAX).contains(&queues) {
        return refuse(format!(
            "Invalid number of queues (= {queues}), must be a positive integer less than \
             {QUEUES_MAX}."
        ));
    }
    if size <= 2 {
        return refuse(format!(
            "invalid virtqueue_size property (= {size}), must be > 2"
        ));
    }
    // A ring cannot be longer (virtio 1.2 §2.6).
    if size > QUEUE_SIZE_MAX {
        return refuse(format!(
            "invalid virtqueue_size property (= {size}), must be <= {QUEUE_SIZE_MAX}"
        ));
    }
    Ok(Options {
        queues: queues as u16,
        queue_size: size as u16,
        seg_max_adjust: properties.seg_max_adjust,
        max_sectors: properties.max_sectors,
        cmd_per_lun: properties.cmd_per_lun,
        hotplug: properties.hotplug,
        param_change: properties.param_change,
    })
}
