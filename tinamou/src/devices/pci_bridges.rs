//! Ports, switches and bridges.

use std::sync::Arc;

use tinamou_pci::bridge::{self, LinkSpeed, LinkWidth, PortConfig, Reserve};
use tinamou_pci::{Function, PciBus};
use tinamou_qdev::{BusKind, Category, Kind, OnOffAuto, Properties, properties, property_enum};
use tinamou_qmp::{Result, Value};

use super::pci::{self, PCI_BUS, PCIE_BUS, PciProperties, wire_error};
use super::{Class, Made, Plug};
use crate::vm::Vm;

property_enum! {
    /// The greatest speed of a link.
    pub enum Speed("PCIELinkSpeed", "2_5/5/8/16/32/64") {
        /// 2.5 GT/s
        Gt2_5 = "2_5",
        /// 5 GT/s
        Gt5 = "5",
        /// 8 GT/s
        Gt8 = "8",
        /// 16 GT/s
        Gt16 = "16",
        /// 32 GT/s
        Gt32 = "32",
        /// 64 GT/s
        Gt64 = "64",
    }
}

property_enum! {
    /// The greatest width of a link.
    pub enum Width("PCIELinkWidth", "1/2/4/8/12/16/32") {
        /// One lane.
        X1 = "1",
        /// Two lanes.
        X2 = "2",
        /// Four lanes.
        X4 = "4",
        /// Eight lanes.
        X8 = "8",
        /// Twelve lanes.
        X12 = "12",
        /// Sixteen lanes.
        X16 = "16",
        /// Thirty-two lanes.
        X32 = "32",
    }
}

properties! {
    /// What `pcie-root-port` can be told beside what its parents can.
    pub struct RootPortProperties {
        /// Whether MSI-X is part of a snapshot.
        pub migrate_msix: bool = true => "x-migrate-msix";
        /// Bus numbers to set aside.
        pub bus_reserve: u32 = u32::MAX => "bus-reserve";
        /// I/O space to set aside.
        pub io_reserve: u64 = u64::MAX => "io-reserve" as Kind::Size;
        /// Memory to set aside.
        pub mem_reserve: u64 = u64::MAX => "mem-reserve" as Kind::Size;
        /// Prefetchable memory below 4 GiB to set aside.
        pub pref32_reserve: u64 = u64::MAX => "pref32-reserve" as Kind::Size;
        /// Prefetchable memory to set aside.
        pub pref64_reserve: u64 = u64::MAX => "pref64-reserve" as Kind::Size;
        /// The greatest speed of the link.
        pub speed: Speed = Speed::Gt16 => "x-speed";
        /// The greatest width of the link.
        pub width: Width = Width::X32 => "x-width";
    }
}

properties! {
    /// What every root port can be told.
    pub struct RootPortBaseProperties {
        /// Whether the guest switches the slot's power.
        pub power_controller: bool = true => "power_controller_present";
        /// Whether access control services are left out.
        pub disable_acs: bool = false => "disable-acs";
    }
}

properties! {
    /// What a switch's downstream port can be told.
    pub struct DownstreamProperties {
        /// Whether the guest switches the slot's power.
        pub power_controller: bool = true => "power_controller_present";
    }
}

properties! {
    /// What every port with a slot can be told.
    pub struct SlotProperties {
        /// The chassis the slot is in.
        pub chassis: u8 = 0 => "chassis";
        /// Its number there.
        pub slot: u16 = 0 => "slot";
        /// Whether devices can come and go.
        pub hotplug: bool = true => "hotplug";
        /// Whether firmware tables hide hot-plug.
        pub hide_native_hotplug: bool = false => "x-do-not-expose-native-hotplug-cap";
    }
}

properties! {
    /// What every port can be told.
    pub struct PortProperties {
        /// Its number.
        pub port: u8 = 0 => "port";
        /// How many errors its log holds.
        pub aer_log_max: u16 = 8 => "aer_log_max";
    }
}

properties! {
    /// What every bridge can be told.
    pub struct BridgeProperties {
        /// Whether a mistake of old versions is repeated.
        pub writeable_slt_bug: bool = false => "x-pci-express-writeable-slt-bug";
    }
}

properties! {
    /// What `pcie-pci-bridge` can be told.
    pub struct PciePciBridgeProperties {
        /// Whether it can send messages.
        pub msi: OnOffAuto = OnOffAuto::Auto => "msi";
    }
}

/// Every bridge.
pub const BASE_BRIDGE: Class = Class {
    properties: &[BridgeProperties::SPECS],
    category: Some(Category::Bridge),
    ..Class::base("base-pci-bridge", "pci-device")
};

/// Every port.
pub const PORT: Class = Class {
    properties: &[PortProperties::SPECS],
    ..Class::base("pcie-port", "base-pci-bridge")
};

/// Every port with a slot.
pub const SLOT: Class = Class {
    properties: &[SlotProperties::SPECS],
    interfaces: &["hotplug-handler"],
    ..Class::base("pcie-slot", "pcie-port")
};

/// Every root port.
pub const ROOT_PORT_BASE: Class = Class {
    properties: &[RootPortBaseProperties::SPECS],
    interfaces: &["pci-express-device"],
    ..Class::base("pcie-root-port-base", "pcie-slot")
};

/// A root port.
pub const ROOT_PORT: Class = Class {
    properties: &[RootPortProperties::SPECS],
    description: Some("PCI Express Root Port"),
    make: Some(make_root_port),
    ..Class::new("pcie-root-port", "pcie-root-port-base")
};

/// A switch's port towards the root.
pub const UPSTREAM: Class = Class {
    description: Some("TI X3130 Upstream Port of PCI Express Switch"),
    make: Some(make_upstream),
    interfaces: &["pci-express-device"],
    ..Class::new("x3130-upstream", "pcie-port")
};

/// A switch's port for a device.
pub const DOWNSTREAM: Class = Class {
    properties: &[DownstreamProperties::SPECS],
    description: Some("TI X3130 Downstream Port of PCI Express Switch"),
    make: Some(make_downstream),
    interfaces: &["pci-express-device"],
    ..Class::new("xio3130-downstream", "pcie-slot")
};

/// Conventional PCI behind PCI Express.
pub const PCIE_PCI_BRIDGE: Class = Class {
    properties: &[PciePciBridgeProperties::SPECS],
    make: Some(make_pcie_pci_bridge),
    interfaces: &["pci-express-device", "hotplug-handler"],
    ..Class::new("pcie-pci-bridge", "base-pci-bridge")
};

fn make_root_port(vm: &mut Vm, plug: &Plug<'_>) -> Result<Made> {
    let own: RootPortProperties = plug.settings.fill();
    let base: RootPortBaseProperties = plug.settings.fill();
    let values = [own.values(), base.values()].concat();
    let config = PortConfig {
        power_controller: base.power_controller,
        disable_acs: base.disable_acs,
        speed: speed(own.speed),
        width: width(own.width),
        reserve: Reserve {
            buses: (own.bus_reserve != u32::MAX).then_some(own.bus_reserve),
            io: reserved(own.io_reserve),
            memory: reserved(own.mem_reserve),
            prefetch32: reserved(own.pref32_reserve),
            prefetch64: reserved(own.pref64_reserve),
        },
        ..port_config(plug)
    };
    let made = |bus: &_, id: &str| bridge::root_port(bus, id, &config).map_err(wire_error);
    make(
        vm,
        plug,
        &PCIE_BUS,
        [values, slot_values(plug)].concat(),
        made,
    )
}

fn make_downstream(vm: &mut Vm, plug: &Plug<'_>) -> Result<Made> {
    let own: DownstreamProperties = plug.settings.fill();
    let config = PortConfig {
        power_controller: own.power_controller,
        ..port_config(plug)
    };
    let made = |bus: &_, id: &str| bridge::downstream_port(bus, id, &config).map_err(wire_error);
    let values = [own.values(), slot_values(plug)].concat();
    make(vm, plug, &PCIE_BUS, values, made)
}

fn make_upstream(vm: &mut Vm, plug: &Plug<'_>) -> Result<Made> {
    let port: PortProperties = plug.settings.fill();
    let common: PciProperties = plug.settings.fill();
    let made = |bus: &_, id: &str| {
        let (number, log, multi) = (port.port, port.aer_log_max, common.multifunction);
        Ok(bridge::upstream_port(bus, id, number, log, multi))
    };
    make(vm, plug, &PCIE_BUS, port.values(), made)
}

fn make_pcie_pci_bridge(vm: &mut Vm, plug: &Plug<'_>) -> Result<Made> {
    let own: PciePciBridgeProperties = plug.settings.fill();
    let common: PciProperties = plug.settings.fill();
    let msi = own.msi.unwrap_or(true);
    let made = |bus: &_, id: &str| Ok(bridge::pcie_pci_bridge(bus, id, msi, common.multifunction));
    make(vm, plug, &PCI_BUS, own.values(), made)
}

/// Makes a bridge and the bus behind it.
fn make(
    vm: &mut Vm,
    plug: &Plug<'_>,
    behind: &'static BusKind,
    mut values: Vec<(&'static str, Value)>,
    function: impl FnOnce(&Arc<PciBus>, &str) -> Result<Arc<Function>>,
) -> Result<Made> {
    let common: PciProperties = plug.settings.fill();
    let bridge: BridgeProperties = plug.settings.fill();
    let bus = pci::bus(vm, plug)?;
    let function = function(&bus, plug.id.unwrap_or_default())?;
    let on_bus = pci::put(bus, plug, &common, function)?;
    values.extend(bridge.values());
    values.extend(on_bus.values(common));
    let secondary = on_bus.secondary(plug.id, behind);
    let mut made = Made::new(on_bus, values);
    made.buses.extend(secondary);
    Ok(made)
}

/// What the parents of ports with slots were told.
fn port_config(plug: &Plug<'_>) -> PortConfig {
    let slot: SlotProperties = plug.settings.fill();
    let port: PortProperties = plug.settings.fill();
    let common: PciProperties = plug.settings.fill();
    PortConfig {
        port: port.port,
        chassis: slot.chassis,
        slot: slot.slot,
        hotplug: slot.hotplug,
        multifunction: common.multifunction,
        aer_log_max: port.aer_log_max,
        ..PortConfig::default()
    }
}

fn slot_values(plug: &Plug<'_>) -> Vec<(&'static str, Value)> {
    let slot: SlotProperties = plug.settings.fill();
    let port: PortProperties = plug.settings.fill();
    [slot.values(), port.values()].concat()
}

/// All ones stand for no wish.
fn reserved(size: u64) -> Option<u64> {
    (size != u64::MAX).then_some(size)
}

fn speed(speed: Speed) -> LinkSpeed {
    match speed {
        Speed::Gt2_5 => LinkSpeed::Gt2_5,
        Speed::Gt5 => LinkSpeed::Gt5,
        Speed::Gt8 => LinkSpeed::Gt8,
        Speed::Gt16 => LinkSpeed::Gt16,
        Speed::Gt32 => LinkSpeed::Gt32,
        Speed::Gt64 => LinkSpeed::Gt64,
    }
}

fn width(width: Width) -> LinkWidth {
    LinkWidth(match width {
        Width::X1 => 1,
        Width::X2 => 2,
        Width::X4 => 4,
        Width::X8 => 8,
        Width::X12 => 12,
        Width::X16 => 16,
        Width::X32 => 32,
    })
}
