//! Bridges: root ports, the ports of a switch, and bridges to conventional PCI.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::bus::{BusKind, PciBus};
use crate::config::{
    ConfigSpace, EXPRESS_SIZE, Express, Identity, MsiLayout, MsixLayout, PortType,
};
use crate::slot::SlotConfig;
use crate::spec::{acs, aer, bridge, capability, express, extended, header, status};
use crate::{Error, Function, Interface, PciFunction, Slot};

const CLASS_BRIDGE: u16 = 0x0604;
const REDHAT: u16 = 0x1b36;
const TEXAS_INSTRUMENTS: u16 = 0x104c;

/// What `pcie-root-port` and `xio3130-downstream` can be told. The defaults are QEMU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// The number of the port.
    pub port: u8,
    /// The chassis that the slot is in.
    pub chassis: u8,
    /// The slot's number in there.
    pub slot: u16,
    /// Devices can come and go.
    pub hotplug: bool,
    /// The guest switches the slot's power.
    pub power_controller: bool,
    /// Further functions follow in the port's own slot.
    pub multifunction: bool,
    /// Without access control services.
    pub disable_acs: bool,
    /// How many errors the log of advanced error reporting holds.
    pub aer_log_max: u16,
    /// The link's greatest speed.
    pub speed: LinkSpeed,
    /// The link's greatest width.
    pub width: LinkWidth,
    /// What the firmware is to set aside for devices to come.
    pub reserve: Reserve,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            port: 0,
            chassis: 0,
            slot: 0,
            hotplug: true,
            power_controller: true,
            multifunction: false,
            disable_acs: false,
            aer_log_max: 8,
            speed: LinkSpeed::Gt16,
            width: LinkWidth(32),
            reserve: Reserve::default(),
        }
    }
}

/// The speed of a link, by its number in the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkSpeed {
    /// 2.5 GT/s
    Gt2_5 = 1,
    /// 5 GT/s
    Gt5,
    /// 8 GT/s
    Gt8,
    /// 16 GT/s
    Gt16,
    /// 32 GT/s
    Gt32,
    /// 64 GT/s
    Gt64,
}

/// The lanes of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkWidth(pub u8);

/// What the firmware is asked to set aside behind a port; `None` leaves it to the firmware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve {
    /// Bus numbers.
    pub buses: Option<u32>,
    /// Bytes of I/O space.
    pub io: Option<u64>,
    /// Bytes of memory below 4 GiB.
    pub memory: Option<u64>,
    /// Bytes of prefetchable memory below 4 GiB.
    pub prefetch32: Option<u64>,
    /// Bytes of prefetchable memory anywhere.
    pub prefetch64: Option<u64>,
}

impl Reserve {
    /// Adds the vendor-specific capability by which firmware reads it.
    fn install(&self, config: &mut ConfigSpace) -> Result<(), Error> {
        if self.prefetch32.is_some() && self.prefetch64.is_some() {
            return Err(Error::ReserveConflict);
        }
        if *self == Self::default() {
            return Ok(());
        }
        const LENGTH: u8 = 32;
        const RESERVE: u8 = 1;
        let mut contents = vec![LENGTH, RESERVE];
        contents.extend(self.buses.unwrap_or(u32::MAX).to_le_bytes());
        contents.extend(self.io.unwrap_or(u64::MAX).to_le_bytes());
        let below_4g = |size: Option<u64>| size.map_or(u32::MAX, |size| size as u32).to_le_bytes();
        contents.extend(below_4g(self.memory));
        contents.extend(below_4g(self.prefetch32));
        contents.extend(self.prefetch64.unwrap_or(u64::MAX).to_le_bytes());
        config.add_capability(capability::VENDOR, None, &contents);
        Ok(())
    }
}

/// Makes a `pcie-root-port`.
///
/// # Errors
/// Another port has the chassis and slot, or what is to be reserved contradicts itself.
pub fn root_port(
    parent: &Arc<PciBus>,
    id: &str,
    port: &PortConfig,
) -> Result<Arc<Function>, Error> {
    let identity = Identity::new(REDHAT, 0x000c, CLASS_BRIDGE);
    let (layout, bar) = MsixLayout::exclusive(0, 1);
    let mut config = express_bridge(&identity, port.multifunction).with_interrupt_pin(1);
    close_windows(&mut config);
    config.add_bar(0, bar);
    subsystem(&mut config, 0x40, REDHAT);
    config.add_msix(Some(0x48), &layout);
    let speed = port.speed as u32;
    let reporting = if speed > LinkSpeed::Gt2_5 as u32 {
        express::LNKCAP_ACTIVE_REPORTING | express::LNKCAP_BANDWIDTH
    } else {
        0
    };
    let capability = Express {
        link: u32::from(port.port) << 24
            | reporting
            | express::LNKCAP_L0S
            | u32::from(port.width.0) << 4
            | speed,
        device_control: express::DEVCTL_ERRORS,
        ..port_capability(PortType::RootPort)
    };
    let at = config.add_express(Some(0x54), &capability);
    // The slowest link needs no target, and slow ones no list of speeds.
    if speed > LinkSpeed::Gt2_5 as u32 {
        config.set_word(at + express::LNKCTL2, speed as u16);
    }
    if speed > LinkSpeed::Gt5 as u32 {
        config.set_long(at + express::LNKCAP2, (2 << speed) - 2);
    }
    config.set_writable_word(at + express::RTCTL, express::RTCTL_ERRORS);
    let slot = slot_config(port);
    slot.install(&mut config, at);
    error_reporting(&mut config, port.aer_log_max, true);
    if !port.disable_acs {
        access_control(&mut config);
    }
    port.reserve.install(&mut config)?;
    with_slot("pcie-root-port", id, parent, config, Some(layout), slot)
}

/// Makes an `xio3130-downstream`, a switch's port for a device.
///
/// # Errors
/// Another port has the chassis and slot.
pub fn downstream_port(
    parent: &Arc<PciBus>,
    id: &str,
    port: &PortConfig,
) -> Result<Arc<Function>, Error> {
    let mut identity = Identity::new(TEXAS_INSTRUMENTS, 0x8233, CLASS_BRIDGE);
    identity.revision = 1;
    let mut config = express_bridge(&identity, port.multifunction);
    let capability = Express {
        device: express::DEVCAP_EXT_TAG | express::DEVCAP_RBER | express::DEVCAP_FLR,
        link: u32::from(port.port) << 24 | express::LNKCAP_L0S,
        ..port_capability(PortType::DownstreamPort)
    };
    let at = switch_capabilities(&mut config, &capability);
    let slot = slot_config(port);
    slot.install(&mut config, at);
    error_reporting(&mut config, port.aer_log_max, false);
    with_slot("xio3130-downstream", id, parent, config, None, slot)
}

/// Makes an `x3130-upstream`, a switch's port towards the root.
#[must_use]
pub fn upstream_port(
    parent: &Arc<PciBus>,
    id: &str,
    port: u8,
    aer_log_max: u16,
    multifunction: bool,
) -> Arc<Function> {
    let mut identity = Identity::new(TEXAS_INSTRUMENTS, 0x8232, CLASS_BRIDGE);
    identity.revision = 2;
    let mut config = express_bridge(&identity, multifunction);
    let capability = Express {
        port_type: PortType::UpstreamPort,
        device: express::DEVCAP_EXT_TAG | express::DEVCAP_RBER | express::DEVCAP_FLR,
        link: u32::from(port) << 24 | express::LINK_X1_2_5GT,
        device2: express::DEVCAP2_PREFIXES,
        device_control: 0,
        link_control: 0,
        device_control2: express::DEVCTL2_PREFIX_BLOCKING,
    };
    switch_capabilities(&mut config, &capability);
    error_reporting(&mut config, aer_log_max, false);
    plain("x3130-upstream", id, parent, config, BusKind::Express)
}

/// Makes a `pcie-pci-bridge`: conventional PCI behind a port.
#[must_use]
pub fn pcie_pci_bridge(
    parent: &Arc<PciBus>,
    id: &str,
    msi: bool,
    multifunction: bool,
) -> Arc<Function> {
    let identity = Identity::new(REDHAT, 0x000e, CLASS_BRIDGE);
    let mut config = express_bridge(&identity, multifunction).with_interrupt_pin(1);
    conventional_behind(&mut config);
    let capability = Express {
        port_type: PortType::PciBridge,
        device: express::DEVCAP_EXT_TAG | express::DEVCAP_RBER,
        link: express::LINK_X1_2_5GT,
        device2: express::DEVCAP2_PREFIXES | express::DEVCAP2_ARI,
        device_control: express::DEVCTL_ERRORS,
        link_control: 0,
        device_control2: express::DEVCTL2_PREFIX_BLOCKING | express::DEVCTL2_ARI,
    };
    config.add_express(Some(0x48), &capability);
    config.add_power_management(Some(0x84), false);
    if msi {
        let layout = MsiLayout {
            vectors_log2: 0,
            maskable: true,
        };
        config.add_msi(Some(0x8c), &layout);
    }
    error_reporting(&mut config, 0, false);
    plain("pcie-pci-bridge", id, parent, config, BusKind::Conventional)
}

/// The configuration space of a bridge with a PCI Express link.
fn express_bridge(identity: &Identity, multifunction: bool) -> ConfigSpace {
    let mut config = ConfigSpace::bridge(identity, EXPRESS_SIZE).with_multifunction(multifunction);
    config.set_writable_word(bridge::CONTROL, bridge::CONTROL_EXPRESS);
    config
}

/// What a bridge to conventional PCI says of the bus behind it.
fn conventional_behind(config: &mut ConfigSpace) {
    config.set_writable_word(bridge::CONTROL, bridge::CONTROL_CONVENTIONAL);
    config.set_writable_byte(bridge::SECONDARY_LATENCY, 0xff);
    let able = status::MHZ66 | status::FAST_BACK;
    config.set_word(header::STATUS, able);
    config.set_word(bridge::SECONDARY_STATUS, able);
}

/// Windows that let nothing through until the guest sets them.
fn close_windows(config: &mut ConfigSpace) {
    config.set_byte(bridge::IO_BASE, 0xf0);
    config.set_word(bridge::MEMORY_BASE, 0xfff0);
    config.set_word(bridge::PREF_MEMORY_BASE, 0xfff1);
}

/// The capability of a port that has a slot.
const fn port_capability(port_type: PortType) -> Express {
    Express {
        port_type,
        device: express::DEVCAP_EXT_TAG | express::DEVCAP_RBER,
        link: 0,
        device2: express::DEVCAP2_PREFIXES | express::DEVCAP2_ARI,
        device_control: 0,
        link_control: 0,
        device_control2: express::DEVCTL2_PREFIX_BLOCKING | express::DEVCTL2_ARI,
    }
}

/// What both kinds of a switch's ports have, in their order; where PCI Express is.
fn switch_capabilities(config: &mut ConfigSpace, capability: &Express) -> u16 {
    config.add_msi(
        Some(0x70),
        &MsiLayout {
            vectors_log2: 0,
            maskable: false,
        },
    );
    subsystem(config, 0x80, 0);
    config.add_express(Some(0x90), capability)
}

fn subsystem(config: &mut ConfigSpace, at: u16, vendor: u16) {
    let [low, high] = vendor.to_le_bytes();
    config.add_capability(capability::SSVID, Some(at), &[0, 0, low, high, 0, 0]);
}

/// Adds advanced error reporting (PCIe 5.0 §7.8.4). Errors are never reported; the guest can
/// set what would be.
fn error_reporting(config: &mut ConfigSpace, log_max: u16, root: bool) {
    config.add_extended_capability(extended::AER, 2, 0x100, aer::SIZE);
    let at = 0x100;
    config.set_long(at + aer::UNCORRECTABLE_MASK, 0x0240_0000);
    config.set_long(at + aer::UNCORRECTABLE_SEVERITY, 0x0046_2030);
    config.set_long(at + aer::CORRECTABLE_MASK, 0x0000_e000);
    config.set_writable_long(at + aer::UNCORRECTABLE_MASK, aer::UNCORRECTABLE);
    config.set_writable_long(at + aer::UNCORRECTABLE_SEVERITY, aer::UNCORRECTABLE);
    config.set_writable_long(at + aer::CORRECTABLE_MASK, aer::CORRECTABLE);
    let many = log_max > 0;
    let able = aer::CONTROL_CHECKSUMS_ABLE | if many { aer::CONTROL_MANY_ABLE } else { 0 };
    // Each ability is followed by the bit that turns it on.
    config.set_long(at + aer::CONTROL, able);
    config.set_writable_long(at + aer::CONTROL, able << 1);
    if root {
        config.set_writable_long(at + aer::ROOT_COMMAND, aer::ROOT_REPORTS);
    }
}

/// Adds access control services (PCIe 5.0 §7.7.8).
fn access_control(config: &mut ConfigSpace) {
    let at = 0x100 + aer::SIZE as u16;
    config.add_extended_capability(extended::ACS, 1, at, acs::SIZE);
    config.set_word(at + acs::CAPABILITIES, acs::ROOT_PORT);
    config.set_writable_word(at + acs::CONTROL, acs::ROOT_PORT);
}

fn slot_config(port: &PortConfig) -> SlotConfig {
    SlotConfig {
        chassis: port.chassis,
        number: port.slot,
        hotplug: port.hotplug,
        power_controller: port.power_controller,
    }
}

/// A bridge with a hot-plug slot behind it.
fn with_slot(
    kind: &str,
    id: &str,
    parent: &Arc<PciBus>,
    config: ConfigSpace,
    msix: Option<MsixLayout>,
    slot: SlotConfig,
) -> Result<Arc<Function>, Error> {
    let fabric = parent.fabric();
    fabric.claim_slot(slot.chassis, slot.number)?;
    let function = Function::new_bridge(kind, id, config, msix, |interface, function| {
        let name = secondary_name(id, parent, BusKind::Express);
        let bus = PciBus::behind(
            &name,
            BusKind::Express,
            Arc::clone(fabric),
            function.clone(),
        );
        let express = interface.config(|config| config.express_offset());
        let slot = Slot::new(interface.clone(), express.unwrap_or_default(), slot);
        bus.set_slot(Arc::clone(&slot));
        (Arc::new(Bridge::new(interface, &bus, Some(slot))), bus)
    });
    Ok(function)
}

/// A bridge without one.
fn plain(
    kind: &str,
    id: &str,
    parent: &Arc<PciBus>,
    config: ConfigSpace,
    behind: BusKind,
) -> Arc<Function> {
    let fabric = Arc::clone(parent.fabric());
    Function::new_bridge(kind, id, config, None, |interface, function| {
        let name = secondary_name(id, parent, behind);
        let bus = PciBus::behind(&name, behind, fabric, function.clone());
        (Arc::new(Bridge::new(interface, &bus, None)), bus)
    })
}

/// The bus has its bridge's name; without one a name is made up.
fn secondary_name(id: &str, parent: &PciBus, kind: BusKind) -> String {
    if id.is_empty() {
        parent.fabric().bus_name(kind)
    } else {
        id.into()
    }
}

/// What is behind a bridge's registers.
struct Bridge {
    interface: Interface,
    /// The bus behind it, which belongs to the function that this is part of.
    bus: Weak<PciBus>,
    slot: Option<Arc<Slot>>,
    /// Whether the guest holds the secondary bus in reset.
    in_reset: AtomicBool,
}

impl Bridge {
    fn new(interface: Interface, bus: &Arc<PciBus>, slot: Option<Arc<Slot>>) -> Self {
        Self {
            interface,
            bus: Arc::downgrade(bus),
            slot,
            in_reset: AtomicBool::new(false),
        }
    }

    /// Resets the secondary bus when the guest begins to hold it in reset.
    fn follow_control(&self, bus: &PciBus) {
        let control = self.interface.config(|config| config.word(bridge::CONTROL));
        let held = control & bridge::CONTROL_BUS_RESET != 0;
        if held && !self.in_reset.swap(held, Ordering::AcqRel) {
            bus.reset();
        } else {
            self.in_reset.store(held, Ordering::Release);
        }
    }
}

impl PciFunction for Bridge {
    fn bar_read(&self, _: u8, _: u64, _: u8) -> u64 {
        0
    }

    fn bar_write(&self, _: u8, _: u64, _: u8, _: u64) {}

    fn config_read(&self, _: u16, _: u8) {
        if let (Some(slot), Some(bus)) = (&self.slot, self.bus.upgrade()) {
            slot.refresh_link(&bus);
        }
    }

    fn config_written(&self, offset: u16, size: u8, value: u32) {
        let Some(bus) = self.bus.upgrade() else {
            return;
        };
        self.follow_control(&bus);
        if let Some(slot) = &self.slot {
            slot.config_written(&bus, offset, size, value);
        }
    }

    fn reset(&self) {
        self.in_reset.store(false, Ordering::Release);
        if let (Some(slot), Some(bus)) = (&self.slot, self.bus.upgrade()) {
            slot.reset(&bus);
        }
    }

    fn removed(&self) {
        if let (Some(slot), Some(bus)) = (&self.slot, self.bus.upgrade()) {
            let config = slot.config();
            bus.fabric().free_slot(config.chassis, config.number);
        }
    }
}
