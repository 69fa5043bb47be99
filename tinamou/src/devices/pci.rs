//! What all PCI devices have in common, and the host bridge they hang on.

use std::sync::Arc;

use tinamou_machine::{Machine, PciWindows};
use tinamou_pci::spec::header;
use tinamou_pci::{ConfigSpace, Devfn, Function, PciBus, ROM_BAR};
use tinamou_qdev::{BusKind, Category, DevFn, Kind, Properties, Topology, properties};
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::Tree;

use super::registry::Place;
use super::{Class, Devices, Made, MadeBus, Plug, Plugged, Unplug};
use crate::commands::pci::class_name;
use crate::vm::Vm;

/// An option ROM has fewer bytes than this.
const ROM_LIMIT: u64 = 2 << 30;

properties! {
    /// What every PCI device can be told.
    pub struct PciProperties {
        /// The place on the bus.
        pub addr: DevFn = DevFn(None) => "addr";
        /// A file with an option ROM.
        pub romfile: Option<String> = None => "romfile";
        /// Bytes of the option ROM.
        pub romsize: u32 = u32::MAX => "romsize";
        /// Whether the option ROM is in a bar.
        pub rombar: i32 = -1 => "rombar";
        /// Whether further functions follow in the slot.
        pub multifunction: bool = false => "multifunction";
        /// Whether ports tell that their link is active.
        pub lnksta_dllla: bool = true => "x-pcie-lnksta-dllla";
        /// Whether an empty list of extended capabilities is there.
        pub extcap_init: bool = true => "x-pcie-extcap-init";
        /// The device whose stand-in it is.
        pub failover_pair_id: Option<String> = None => "failover_pair_id";
        /// The number by which firmware tables call it.
        pub acpi_index: u32 = 0 => "acpi-index";
        /// Whether internal errors are masked.
        pub err_unc_mask: bool = true => "x-pcie-err-unc-mask";
        /// Whether the next function of ARI is 1.
        pub ari_nextfn_1: bool = false => "x-pcie-ari-nextfn-1";
        /// How much may be bounced at a time.
        pub max_bounce_buffer_size: u64 = 4096 => "x-max-bounce-buffer-size" as Kind::Size,
            "Maximum buffer size allocated for bounce buffers used for mapped access to indirect DMA memory";
        /// Whether tags have 8 bits.
        pub ext_tag: bool = true => "x-pcie-ext-tag";
        /// The number of the bus.
        pub busnr: Value = Value::Int(0) => "busnr" as Kind::BusNumber;
    }
}

properties! {
    /// What the host bridge was built with.
    pub struct HostProperties {
        /// Whether reads of nothing are answered.
        pub allow_unmapped_accesses: bool = true => "allow-unmapped-accesses";
        /// Where configuration space is.
        pub ecam_base: u64 = 0 => "x-ecam-base";
        /// How much of it there is.
        pub ecam_size: u64 = 0 => "x-ecam-size" as Kind::Size;
        /// Where ports are.
        pub pio_base: u64 = 0 => "x-pio-base";
        /// How many there are.
        pub pio_size: u64 = 0 => "x-pio-size" as Kind::Size;
        /// Where memory below 4 GiB is.
        pub mmio32_base: u64 = 0 => "x-below-4g-mmio-base";
        /// How much of it there is.
        pub mmio32_size: u64 = 0 => "x-below-4g-mmio-size" as Kind::Size;
        /// Where memory above 4 GiB is.
        pub mmio64_base: u64 = 0 => "x-above-4g-mmio-base";
        /// How much of it there is.
        pub mmio64_size: u64 = 0 => "x-above-4g-mmio-size" as Kind::Size;
        /// How many interrupt wires it has.
        pub num_irqs: u8 = 4 => "num-irqs";
    }
}

properties! {
    /// What every host bridge can be told.
    pub struct HostBridgeProperties {
        /// Whether its address register is part of a snapshot.
        pub config_reg_migration: bool = true => "x-config-reg-migration-enabled";
        /// Whether its devices go around the IOMMU.
        pub bypass_iommu: bool = false => "bypass-iommu";
    }
}

/// Everything on a PCI bus.
pub const PCI_DEVICE: Class = Class {
    properties: &[PciProperties::SPECS],
    live: &[("legacy-addr", "str")],
    bus: Some("PCI"),
    ..Class::base("pci-device", "device")
};

/// Every bridge from a board to PCI.
pub const PCI_HOST_BRIDGE: Class = Class {
    properties: &[HostBridgeProperties::SPECS],
    category: Some(Category::Bridge),
    ..Class::base("pci-host-bridge", "sys-bus-device")
};

/// Every bridge from a board to PCI Express.
pub const PCIE_HOST_BRIDGE: Class = Class::base("pcie-host-bridge", "pci-host-bridge");

/// The board's bridge.
pub const GPEX_HOST: Class = Class {
    properties: &[HostProperties::SPECS],
    ..Class::new("gpex-pcihost", "pcie-host-bridge")
};

/// What the board's bridge is on its own bus.
pub const GPEX_ROOT: Class = Class {
    description: Some("QEMU generic PCIe host bridge"),
    category: Some(Category::Bridge),
    user_creatable: false,
    interfaces: &["conventional-pci-device"],
    ..Class::new("gpex-root", "pci-device")
};

/// Conventional PCI.
pub static PCI_BUS: BusKind = BusKind {
    name: "PCI",
    parent: None,
    capacity: None,
};

/// PCI Express.
pub static PCIE_BUS: BusKind = BusKind {
    name: "PCIE",
    parent: Some("PCI"),
    capacity: None,
};

/// The bus that a device which is being made goes on.
///
/// # Errors
/// It goes on none.
pub fn bus(vm: &Vm, plug: &Plug<'_>) -> Result<Arc<PciBus>> {
    let handle = plug
        .bus
        .and_then(|bus| vm.devices.bus_handle::<Arc<PciBus>>(bus));
    let none = || {
        Error::generic(format!(
            "No 'PCI' bus found for device '{}'",
            plug.class.name
        ))
    };
    handle.cloned().ok_or_else(none)
}

/// Puts the function of a device that is being made on its bus.
///
/// # Errors
/// There is no place for it.
pub fn put(
    bus: Arc<PciBus>,
    plug: &Plug<'_>,
    common: &PciProperties,
    function: Arc<Function>,
) -> Result<OnBus> {
    add_rom(common, &function)?;
    let ticket = plug.ticket.clone();
    function.on_ejected(move || ticket.ejected());
    let devfn = common.addr.0.map(Devfn);
    let devfn = bus
        .plug(devfn, Arc::clone(&function), plug.hotplugged)
        .map_err(wire_error)?;
    Ok(OnBus {
        bus,
        devfn,
        function,
    })
}

/// Gives the function the option ROM that the user wants it to have.
fn add_rom(common: &PciProperties, function: &Function) -> Result<()> {
    let size = common.romsize;
    if size != u32::MAX && !size.is_power_of_two() {
        let desc = format!("ROM size {size} is not a power of two");
        return Err(Error::generic(desc));
    }
    let Some(path) = common.romfile.as_deref().filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    // Without a bar the ROM is for firmware that looks for it elsewhere.
    if common.rombar == 0 {
        return Ok(());
    }
    let missing = || Error::generic(format!("failed to find romfile \"{path}\""));
    let file = std::fs::metadata(path).map_err(|_| missing())?;
    if !file.is_file() {
        return Err(missing());
    }
    let refused = match (file.len(), u64::from(size)) {
        (0, _) => Some("is empty".to_owned()),
        (ROM_LIMIT.., _) => Some("too large (size cannot exceed 2 GiB)".to_owned()),
        (length, room) if length > room => {
            Some(format!("({length} bytes) is too large for ROM size {room}"))
        }
        _ => None,
    };
    if let Some(why) = refused {
        return Err(Error::generic(format!("romfile \"{path}\" {why}")));
    }
    let content = std::fs::read(path).map_err(|_| missing())?;
    let least = if size == u32::MAX { 0 } else { size };
    let interface = function.interface();
    interface.config(|config| config.add_rom(least, content.into()));
    Ok(())
}

/// The wire error for a refusal of a bus.
pub fn wire_error(error: tinamou_pci::Error) -> Error {
    Error::generic(error.to_string())
}

/// A device's function on its bus.
pub struct OnBus {
    bus: Arc<PciBus>,
    devfn: Devfn,
    function: Arc<Function>,
}

impl OnBus {
    /// The values of the common properties, with the place that was found.
    #[must_use]
    pub fn values(&self, common: PciProperties) -> Vec<(&'static str, Value)> {
        let common = PciProperties {
            addr: DevFn(Some(self.devfn.0)),
            ..common
        };
        common.values()
    }

    /// The bus behind a bridge, for the devices to come.
    #[must_use]
    pub fn secondary(&self, id: Option<&str>, kind: &'static BusKind) -> Option<MadeBus> {
        let bus = self.function.secondary()?;
        Some(MadeBus {
            kind,
            name: id.map(str::to_owned),
            hotpluggable: bus.supports_hotplug(),
            handle: Box::new(Arc::clone(bus)),
            inner: None,
        })
    }
}

impl Plugged for OnBus {
    fn details(&self) -> Vec<String> {
        let number = self.bus.number();
        self.function.interface().config(|config| {
            let (sub_vendor, sub_device) = subsystem(config);
            let class = config.word(header::CLASS_DEVICE);
            let name = class_name(class);
            let first = format!(
                "class {}, addr {number:02x}:{}, pci id {:04x}:{:04x} (sub {sub_vendor:04x}:{sub_device:04x})",
                name.map_or_else(|| format!("Class {class:04x}"), str::to_owned),
                self.devfn,
                config.word(header::VENDOR_ID),
                config.word(header::DEVICE_ID),
            );
            std::iter::once(first).chain(bars(config)).collect()
        })
    }

    fn unplug(&mut self) -> Result<Unplug> {
        self.bus.unplug_request(self.devfn).map_err(wire_error)?;
        Ok(Unplug::Asked)
    }

    fn remove(self: Box<Self>, _: &mut Vm) {
        // What the guest has let go of has left its bus, and another may be there already.
        let there = self.bus.function(self.devfn);
        if there.is_some_and(|there| Arc::ptr_eq(&there, &self.function)) {
            self.bus.remove(self.devfn);
        }
    }
}

/// The subsystem of a function; QEMU shows none for bridges.
fn subsystem(config: &ConfigSpace) -> (u16, u16) {
    let register = |offset| config.word(offset);
    (
        register(header::SUBSYSTEM_VENDOR_ID),
        register(header::SUBSYSTEM_ID),
    )
}

/// Lines of `info qtree`: QEMU shows a bar's last address but one.
fn bars(config: &ConfigSpace) -> Vec<String> {
    let bars = config.bars().map(|(index, bar)| {
        let kind = if bar.io { "i/o" } else { "mem" };
        let start = config
            .bar_range(index)
            .map_or(u64::MAX, |range| range.start);
        let end = start.wrapping_add(bar.size).wrapping_sub(1);
        let name = if index == ROM_BAR { 6 } else { index };
        format!("bar {name}: {kind} at {start:#x} [{end:#x}]")
    });
    bars.collect()
}

/// Adds the host bridge of the board with its root bus, as device `number`.
///
/// # Errors
/// Two objects have the same name.
pub(super) fn populate(
    devices: &mut Devices,
    tree: &mut Tree,
    machine: &Machine,
    number: usize,
) -> Result<()> {
    let Some(virt) = machine.virt() else {
        return Ok(());
    };
    let root = Arc::clone(virt.pci.root());
    let windows = PciWindows::new(machine.config());
    let mut made = Made::new(Host(windows), host_properties(&windows).values());
    made.buses.push(MadeBus {
        kind: &PCIE_BUS,
        name: Some(root.name().to_owned()),
        hotpluggable: root.supports_hotplug(),
        handle: Box::new(Arc::clone(&root)),
        inner: None,
    });
    let place = Place::Unattached(number);
    let host = devices.insert(tree, place, &GPEX_HOST, Some(Topology::MAIN), false, made)?;
    let object = devices.entry(host).object;
    let below = devices.topology.buses_of(host).next();
    let Some(function) = root.function(Devfn::ZERO) else {
        return Ok(());
    };
    let on_bus = OnBus {
        bus: root,
        devfn: Devfn::ZERO,
        function,
    };
    let values = on_bus.values(PciProperties::default());
    let place = Place::Child(object, "gpex_root");
    devices.insert(
        tree,
        place,
        &GPEX_ROOT,
        below,
        false,
        Made::new(on_bus, values),
    )?;
    Ok(())
}

fn host_properties(windows: &PciWindows) -> HostProperties {
    HostProperties {
        ecam_base: windows.ecam.base,
        ecam_size: windows.ecam.size,
        pio_base: windows.pio.base,
        pio_size: windows.pio.size,
        mmio32_base: windows.mmio.base,
        mmio32_size: windows.mmio.size,
        mmio64_base: windows.high_mmio.base,
        mmio64_size: windows.high_mmio.size,
        ..HostProperties::default()
    }
}

/// The host bridge, which is part of the board.
struct Host(PciWindows);

impl Plugged for Host {
    fn wires(&self) -> Vec<String> {
        vec!["gpio-out \"sysbus-irq\" 4".into()]
    }

    /// The windows, as QEMU lists them: two of the three hang in others.
    fn details(&self) -> Vec<String> {
        let windows = [
            (u64::MAX, self.0.ecam.size),
            (u64::MAX, u64::MAX),
            (self.0.pio.base, self.0.pio.size),
        ];
        let lines = windows.map(|(base, size)| format!("mmio {base:016x}/{size:016x}"));
        lines.into()
    }
}
