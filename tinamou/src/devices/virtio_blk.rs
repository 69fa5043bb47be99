//! The virtio disk.

use std::rc::Rc;
use std::sync::Arc;

use tinamou_qdev::{Category, Kind, Properties, properties};
use tinamou_qmp::{Error, Result};
use tinamou_virtio::Virtio;
use tinamou_virtio::blk::{Blk, MAX_SECTORS, Options};

use super::disks::{self, DiskProperties, GeometryProperties, Held};
use super::virtio::{self, Core};
use super::virtio_pci::{self, Family, NotifyProperties};
use super::{CLASSES, Class, Made, Plug, Plugged, Request};
use crate::objects::Iothread;
use crate::vm::Vm;

/// As many queues as suit whatever carries the disk.
const AUTO_QUEUES: u16 = u16::MAX;
/// Descriptors of a queue at most.
const QUEUE_SIZE_MAX: u16 = 1024;

properties! {
    /// What a virtio disk takes.
    pub struct BlkProperties {
        /// What it says to who asks for its serial number.
        pub serial: Option<String> = None => "serial";
        /// Number of queues.
        pub num_queues: u16 = AUTO_QUEUES => "num-queues";
        /// Descriptors of each.
        pub queue_size: u16 = 256 => "queue-size";
        /// The most segments of a request follow from that.
        pub seg_max_adjust: bool = true => "seg-max-adjust";
        /// The guest may turn the write cache on and off.
        pub config_wce: bool = true => "config-wce";
        /// Offer flushes whenever the switch of the cache is offered.
        pub enable_wce: bool = true => "x-enable-wce-if-config-wce";
        /// Join requests that follow each other.
        pub request_merging: bool = true => "request-merging";
        /// Offer discards.
        pub discard: bool = true => "discard";
        /// Tell the unit of discards.
        pub report_discard_granularity: bool = true => "report-discard-granularity";
        /// Sectors of the longest discard.
        pub max_discard_sectors: u32 = MAX_SECTORS => "max-discard-sectors";
        /// Offer writes of zeros.
        pub write_zeroes: bool = true => "write-zeroes";
        /// Sectors of the longest write of zeros.
        pub max_write_zeroes_sectors: u32 = MAX_SECTORS => "max-write-zeroes-sectors";
        /// When the firmware tries to boot from it.
        pub bootindex: i32 = -1 => "bootindex" as Kind::BootIndex;
        /// The thread that does its work.
        pub iothread: Option<String> = None => "iothread" as Kind::Link("iothread");
    }
}

/// The device in a slot of the board.
pub const DEVICE: Class = Class {
    properties: &[
        DiskProperties::SPECS,
        GeometryProperties::SPECS,
        BlkProperties::SPECS,
    ],
    category: Some(Category::Storage),
    make: Some(|vm, plug| virtio::on_slot(vm, plug, core)),
    ..Class::new("virtio-blk-device", "virtio-device")
};

/// The device behind PCI.
const FAMILY: Family = Family {
    inner: &DEVICE,
    core,
    class: 0x0100,
    // One for each queue, and one for the configuration.
    vectors: |_, settings| match settings.fill::<BlkProperties>().num_queues {
        AUTO_QUEUES => 2,
        queues => u32::from(queues) + 1,
    },
};

virtio_pci::classes! {
    "virtio-blk-pci",
    alias: Some("virtio-blk"),
    category: Category::Storage,
    properties: &[NotifyProperties::SPECS],
    FAMILY
}

/// The disk that a drive with `if=virtio` asks for.
pub fn automatic(drive: &str) -> Request {
    let model = ["virtio-blk-pci", "virtio-blk-device"];
    let model = model.iter().find(|model| CLASSES.model(model).is_some());
    let pairs = [
        ("driver", model.copied().unwrap_or_default()),
        ("drive", drive),
    ];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Request::from_pairs(None, &pairs)
}

/// Makes the device for any transport.
pub fn core(vm: &mut Vm, plug: &Plug<'_>, transport: u64) -> Result<Core> {
    let disk: DiskProperties = plug.settings.fill();
    let own: BlkProperties = plug.settings.fill();
    let shape: GeometryProperties = plug.settings.fill();
    let path = virtio::core_path(plug);
    let image = disks::image(vm, plug, &path, &disk, false)?;
    let options = Options {
        geometry: shape.as_seen_by_guest(),
        ..options(&disk, &own)?
    };
    let backend = Arc::clone(&image.backend);
    let mut blk = None;
    let rings = virtio::rings(plug.settings);
    let (site, thread) = virtio::site_on(vm, own.iothread.as_deref());
    let virtio = Virtio::new(site, &rings, transport, |port| {
        Arc::clone(blk.insert(Blk::new(port, backend, options)))
    });
    let blk = blk.expect("the device was just made");
    let held = image.attach(blk)?;
    let common = virtio::values(plug.settings);
    let values = [disk.values(), shape.values(), own.values(), common].concat();
    let made = Made::new(
        VirtioDisk {
            held: Some(held),
            _thread: thread,
        },
        values,
    );
    Ok(Core { virtio, made })
}

fn options(disk: &DiskProperties, own: &BlkProperties) -> Result<Options> {
    let refuse = |desc: String| Err(Error::generic(desc));
    let queues = match own.num_queues {
        AUTO_QUEUES => 1,
        0 => return refuse("num-queues property must be larger than 0".into()),
        queues => queues,
    };
    let size = own.queue_size;
    if own.seg_max_adjust && size <= 2 {
        return refuse(format!("invalid queue-size property ({size}), must be > 2"));
    }
    if !size.is_power_of_two() || size > QUEUE_SIZE_MAX {
        return refuse(format!(
            "invalid queue-size property ({size}), must be a power of 2 (max {QUEUE_SIZE_MAX})"
        ));
    }
    for (name, on, sectors) in [
        ("max-discard-sectors", own.discard, own.max_discard_sectors),
        (
            "max-write-zeroes-sectors",
            own.write_zeroes,
            own.max_write_zeroes_sectors,
        ),
    ] {
        if on && !(1..=MAX_SECTORS).contains(&sectors) {
            return refuse(format!(
                "invalid {name} property ({sectors}), must be between 1 and {MAX_SECTORS}"
            ));
        }
    }
    let (logical_block, physical_block) = disk.block_sizes(512)?;
    let granularity = disk.discard_granularity;
    Ok(Options {
        serial: own.serial.clone().unwrap_or_default(),
        logical_block,
        physical_block,
        min_io: disk.min_io_size,
        opt_io: disk.opt_io_size,
        discard_granularity: (granularity != u32::MAX && granularity != 0).then_some(granularity),
        queues,
        queue_size: size,
        seg_max_adjust: own.seg_max_adjust,
        config_wce: own.config_wce,
        discard: own.discard,
        report_discard_granularity: own.report_discard_granularity,
        max_discard: own.max_discard_sectors,
        write_zeroes: own.write_zeroes,
        max_write_zeroes: own.max_write_zeroes_sectors,
        ..Options::default()
    })
}

/// The disk as the main loop sees it.
struct VirtioDisk {
    held: Option<Held>,
    _thread: Option<Rc<Iothread>>,
}

impl Plugged for VirtioDisk {
    fn remove(mut self: Box<Self>, vm: &mut Vm) {
        if let Some(held) = self.held.take() {
            held.release(vm);
        }
    }
}
