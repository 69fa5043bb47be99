//! PCI devices that need nothing from outside: the watchdog, the crash
//! register, and the device for tests.

use std::sync::Arc;

use tinamou_pci::Function;
use tinamou_pci::devices::{i6300esb, pvpanic, testdev};
use tinamou_qdev::{Category, Kind, Properties, properties};
use tinamou_qmp::{Result, Value};

use super::pci::{self, PciProperties};
use super::{Class, Made, Plug};
use crate::vm::Vm;

properties! {
    /// What `pci-testdev` can be told.
    pub struct TestdevProperties {
        /// Bytes of a further bar.
        pub membar: u64 = 0 => "membar" as Kind::Size;
    }
}

properties! {
    /// What `pvpanic-pci` can be told.
    pub struct PvpanicProperties {
        /// The events that the guest may report.
        pub events: u8 = 7 => "events";
    }
}

/// The device for tests of PCI itself.
pub const TESTDEV: Class = Class {
    properties: &[TestdevProperties::SPECS],
    description: Some("PCI Test Device"),
    category: Some(Category::Misc),
    make: Some(make_testdev),
    interfaces: &["conventional-pci-device"],
    ..Class::new("pci-testdev", "pci-device")
};

/// The crash register.
pub const PVPANIC: Class = Class {
    properties: &[PvpanicProperties::SPECS],
    category: Some(Category::Misc),
    make: Some(make_pvpanic),
    interfaces: &["conventional-pci-device"],
    ..Class::new("pvpanic-pci", "pci-device")
};

/// The watchdog.
pub const I6300ESB: Class = Class {
    description: Some("Intel 6300ESB"),
    category: Some(Category::Watchdog),
    make: Some(make_i6300esb),
    interfaces: &["conventional-pci-device"],
    ..Class::new("i6300esb", "pci-device")
};

fn make_testdev(vm: &mut Vm, plug: &Plug<'_>) -> Result<Made> {
    let own: TestdevProperties = plug.settings.fill();
    // A bar has a power of two of bytes, as many as fit below the highest bit.
    let extra = match own.membar {
        0 => 0,
        size => size.checked_next_power_of_two().unwrap_or(1 << 63),
    };
    make(vm, plug, own.values(), |_, id, multifunction| {
        testdev(id, extra, multifunction)
    })
}

fn make_pvpanic(vm: &mut Vm, plug: &Plug<'_>) -> Result<Made> {
    let own: PvpanicProperties = plug.settings.fill();
    make(vm, plug, own.values(), |vm, id, multifunction| {
        let requests = Arc::clone(vm.machine.requests());
        pvpanic(id, own.events, multifunction, move |event| {
            requests.panic(event);
        })
    })
}

fn make_i6300esb(vm: &mut Vm, plug: &Plug<'_>) -> Result<Made> {
    make(vm, plug, Vec::new(), |vm, id, multifunction| {
        let requests = Arc::clone(vm.machine.requests());
        let clock = vm.machine.clock();
        i6300esb(id, multifunction, clock, move || requests.watchdog())
    })
}

/// Makes a function and puts it on its bus.
fn make(
    vm: &Vm,
    plug: &Plug<'_>,
    mut values: Vec<(&'static str, Value)>,
    function: impl FnOnce(&Vm, &str, bool) -> Arc<Function>,
) -> Result<Made> {
    let common: PciProperties = plug.settings.fill();
    let bus = pci::bus(vm, plug)?;
    let function = function(vm, plug.id.unwrap_or_default(), common.multifunction);
    let on_bus = pci::put(bus, plug, &common, function)?;
    values.extend(on_bus.values(common));
    Ok(Made::new(on_bus, values))
}
