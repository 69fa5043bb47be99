//! Configuration space: who the function is, its bars, and where the capabilities say things are
//! (virtio 1.2 §4.1.2, §4.1.4). All of it as QEMU lays it out.

use tinamou_pci::{Bar, ConfigSpace, Express, Identity, MsixLayout, spec};

use super::{Mode, Options};
use crate::DeviceType;

/// QEMU's number for vendor and subsystem vendor.
const VENDOR: u16 = 0x1af4;
/// What a modern device's number adds to.
const MODERN_BASE: u16 = 0x1040;

/// The bar of legacy registers.
pub(super) const LEGACY_BAR: u8 = 0;
/// The bar of MSI-X tables.
const MSIX_BAR: u8 = 1;
/// The bar through which kicks may come as port writes.
pub(super) const PORT_BAR: u8 = 2;
/// The bar of modern structures.
pub(super) const MODERN_BAR: u8 = 4;

/// Bytes of legacy registers without MSI-X vectors.
pub(super) const LEGACY_SIZE: u64 = 20;
/// Bytes with them.
pub(super) const LEGACY_SIZE_MSIX: u64 = 24;

/// Where structures begin in the modern bar; each but the last has a page.
pub(super) const COMMON: u64 = 0x0;
/// Interrupt status.
pub(super) const ISR: u64 = 0x1000;
/// The device's configuration space.
pub(super) const DEVICE: u64 = 0x2000;
/// Kicks.
pub(super) const NOTIFY: u64 = 0x3000;
/// A page, and the size of those structures.
const PAGE: u64 = 0x1000;
/// Queues that can be kicked.
const QUEUES_MAX: u64 = 1024;

/// Capability types (virtio 1.2 §4.1.4).
mod kind {
    pub(super) const COMMON_CFG: u8 = 1;
    pub(super) const NOTIFY_CFG: u8 = 2;
    pub(super) const ISR_CFG: u8 = 3;
    pub(super) const DEVICE_CFG: u8 = 4;
    pub(super) const PCI_CFG: u8 = 5;
}

/// The id of all vendor-specific capabilities.
const VENDOR_CAPABILITY: u8 = 9;

/// The capability through which a guest reaches the modern bar without mapping it
/// (virtio 1.2 §4.1.4.9): offsets of its fields from its beginning.
pub(super) mod window {
    /// Where in the bar.
    pub(crate) const OFFSET: u16 = 8;
    /// How many bytes.
    pub(crate) const LENGTH: u16 = 12;
    /// What is read or written.
    pub(crate) const DATA: u16 = 16;
}

/// A function's configuration space and what the transport must know of it.
pub(super) struct Layout {
    pub(super) config: ConfigSpace,
    pub(super) msix: Option<MsixLayout>,
    /// Where the window capability is.
    pub(super) window: Option<u16>,
    /// Bytes between the places where queues are kicked.
    pub(super) notify_multiplier: u64,
}

impl Layout {
    /// The layout for a device whose own configuration space has `config_size` bytes.
    pub(super) fn new(device: DeviceType, config_size: usize, options: &Options) -> Self {
        let identity = identity(device, options);
        let express = options.express && options.mode.modern;
        let mut config = if express {
            ConfigSpace::express(&identity)
        } else {
            ConfigSpace::conventional(&identity)
        }
        .with_interrupt_pin(1)
        .with_multifunction(options.multifunction);
        if express {
            add_express(&mut config, options);
        }
        let notify_multiplier = if options.page_per_vq { PAGE } else { 4 };
        let window = options
            .mode
            .modern
            .then(|| add_modern(&mut config, options, notify_multiplier));
        let msix = (options.vectors > 0).then(|| {
            let (layout, bar) = MsixLayout::exclusive(MSIX_BAR, options.vectors);
            config.add_bar(MSIX_BAR, bar);
            config.add_msix(None, &layout);
            layout
        });
        if options.mode.legacy {
            let registers = if msix.is_some() {
                LEGACY_SIZE_MSIX
            } else {
                LEGACY_SIZE
            };
            let size = (registers + config_size as u64).next_power_of_two();
            config.add_bar(LEGACY_BAR, Bar::io(size));
        }
        Self {
            config,
            msix,
            window,
            notify_multiplier,
        }
    }
}

fn identity(device: DeviceType, options: &Options) -> Identity {
    let Mode { legacy, .. } = options.mode;
    let transitional = transitional_id(device).filter(|_| legacy);
    let number = transitional.unwrap_or(MODERN_BASE + device as u16);
    let identity = Identity::new(VENDOR, number, options.class);
    if transitional.is_some() {
        return Identity {
            subsystem: (VENDOR, device as u16),
            ..identity
        };
    }
    Identity {
        revision: 1,
        ..identity
    }
}

/// The number of a device that legacy drivers know (virtio 1.2 §4.1.2.1).
pub(super) fn transitional_id(device: DeviceType) -> Option<u16> {
    match device {
        DeviceType::Net => Some(0x1000),
        DeviceType::Block => Some(0x1001),
        DeviceType::Balloon => Some(0x1002),
        DeviceType::Console => Some(0x1003),
        DeviceType::Scsi => Some(0x1004),
        DeviceType::Rng => Some(0x1005),
        _ => None,
    }
}

fn add_express(config: &mut ConfigSpace, options: &Options) {
    let mut express = Express::endpoint();
    if !options.function_reset {
        express.device &= !spec::express::DEVCAP_FLR;
    }
    config.add_express(None, &express);
    config.add_power_management(None, options.power_states);
}

/// Adds the modern bars and capabilities; the result is where the window capability is.
fn add_modern(config: &mut ConfigSpace, options: &Options, multiplier: u64) -> u16 {
    let notify_size = multiplier * QUEUES_MAX;
    let place = |kind, bar, offset: u64, size: u64| {
        let mut contents = vec![0, kind, bar, 0, 0, 0];
        contents.extend((offset as u32).to_le_bytes());
        contents.extend((size as u32).to_le_bytes());
        contents
    };
    let notify = |bar, offset, size, multiplier: u32| {
        let mut contents = place(kind::NOTIFY_CFG, bar, offset, size);
        contents.extend(multiplier.to_le_bytes());
        contents
    };
    let mut structures = vec![
        place(kind::COMMON_CFG, MODERN_BAR, COMMON, PAGE),
        place(kind::ISR_CFG, MODERN_BAR, ISR, PAGE),
        place(kind::DEVICE_CFG, MODERN_BAR, DEVICE, PAGE),
        notify(MODERN_BAR, NOTIFY, notify_size, multiplier as u32),
    ];
    if options.modern_pio_notify {
        config.add_bar(PORT_BAR, Bar::io(4));
        structures.push(notify(PORT_BAR, 0, 4, 0));
    }
    let mut window = place(kind::PCI_CFG, 0, 0, 0);
    window.extend([0; 4]);
    structures.push(window);
    let mut offset = 0;
    for mut structure in structures {
        // Each says how long it is, its header included.
        structure[0] = structure.len() as u8 + 2;
        offset = config.add_capability(VENDOR_CAPABILITY, None, &structure);
    }
    config.set_writable_byte(offset + 4, 0xff);
    for field in [window::OFFSET, window::LENGTH, window::DATA] {
        config.set_writable_long(offset + field, u32::MAX);
    }
    let size = (NOTIFY + notify_size).next_power_of_two();
    config.add_bar(MODERN_BAR, Bar::memory64(size).prefetchable());
    offset
}
