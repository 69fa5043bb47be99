//! Virtio devices behind PCI functions.

use std::sync::Arc;

use tinamou_pci::BusKind as PciBusKind;
use tinamou_qdev::{BusKind, OnOffAuto, Properties, Settings, properties};
use tinamou_qmp::{Error, Result, Value};
use tinamou_virtio::feature;
use tinamou_virtio::pci::{Mode, Options, VirtioPci};

use super::pci::{self, PciProperties};
use super::virtio::{Carrier, Core, MakeCore, behind};
use super::{CLASSES, Class, Made, MadeBus, Plug};
use crate::vm::Vm;

properties! {
    /// What every virtio device behind PCI can be told.
    pub struct VirtioPciProperties {
        /// Works around drivers of old that do not master the bus.
        pub bus_master_bug: bool = false => "virtio-pci-bus-master-bug-migration";
        /// Save everything in a snapshot.
        pub migrate_extra: bool = true => "migrate-extra";
        /// Kicks may come as port writes.
        pub modern_pio_notify: bool = false => "modern-pio-notify";
        /// Never be a PCI Express device.
        pub disable_pcie: bool = false => "x-disable-pcie";
        /// Kick each queue in a page of its own.
        pub page_per_vq: bool = false => "page-per-vq";
        /// Offer features whatever the back end says.
        pub ignore_backend_features: bool = false => "x-ignore-backend-features";
        /// Translate addresses ahead.
        pub ats: bool = false => "ats";
        /// Translated addresses are those of pages.
        pub ats_page_aligned: bool = true => "x-ats-page-aligned";
        /// Errors can be enabled.
        pub deverr_init: bool = true => "x-pcie-deverr-init";
        /// The link can be controlled.
        pub lnkctl_init: bool = true => "x-pcie-lnkctl-init";
        /// Power states can be chosen.
        pub pm_init: bool = true => "x-pcie-pm-init";
        /// A change of power state keeps everything.
        pub pm_no_soft_reset: bool = false => "x-pcie-pm-no-soft-reset";
        /// The function can be reset by itself.
        pub flr_init: bool = true => "x-pcie-flr-init";
        /// Report errors.
        pub aer: bool = false => "aer";
    }
}

properties! {
    /// What the plain class of a device can be told, in which a user chooses the interfaces.
    pub struct ModeProperties {
        /// Leave out the legacy interface; behind a port unless told otherwise.
        pub disable_legacy: OnOffAuto = OnOffAuto::Auto => "disable-legacy";
        /// Leave out the modern interface.
        pub disable_modern: bool = false => "disable-modern";
    }
}

properties! {
    /// What most devices can be told about interrupts and kicks.
    pub struct NotifyProperties {
        /// Whether kicks bypass the hart.
        pub ioeventfd: bool = true => "ioeventfd";
        /// MSI-X vectors; all ones for as many as the device wants.
        pub vectors: u32 = u32::MAX => "vectors";
    }
}

properties! {
    /// The same for devices that want two vectors.
    pub struct NotifyTwoProperties {
        /// Whether kicks bypass the hart.
        pub ioeventfd: bool = true => "ioeventfd";
        /// MSI-X vectors.
        pub vectors: u32 = 2 => "vectors";
    }
}

/// Every virtio device behind PCI.
pub const VIRTIO_PCI: Class = Class {
    properties: &[VirtioPciProperties::SPECS],
    ..Class::base("virtio-pci", "pci-device")
};

/// The bus between a function and its device.
pub static VIRTIO_PCI_BUS: BusKind = BusKind {
    name: "virtio-pci-bus",
    parent: Some("virtio-bus"),
    capacity: Some(1),
};

/// A kind of device behind PCI.
pub struct Family {
    /// The class of the device without its transport.
    pub inner: &'static Class,
    /// Makes it.
    pub core: MakeCore,
    /// The PCI class.
    pub class: u16,
    /// How many vectors it wants.
    pub vectors: fn(&Vm, &Settings) -> u32,
}

/// Which class of a family it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The user chooses, or the place decides.
    Plain,
    /// Both interfaces.
    Transitional,
    /// The modern one.
    NonTransitional,
}

/// Declares the four classes of a family: `PCI_BASE`, `PCI`, `PCI_TRANSITIONAL` and
/// `PCI_NON_TRANSITIONAL`.
macro_rules! classes {
    ($name:literal, alias: $alias:expr, category: $category:expr, properties: $properties:expr, $family:expr) => {
        /// What the PCI classes have in common.
        pub const PCI_BASE: Class = Class {
            properties: $properties,
            inner: Some($family.inner.name),
            category: Some($category),
            ..Class::base(concat!($name, "-base"), "virtio-pci")
        };

        /// The device behind PCI.
        pub const PCI: Class = Class {
            alias: $alias,
            properties: &[$crate::devices::virtio_pci::ModeProperties::SPECS],
            interfaces: &["pci-express-device", "conventional-pci-device"],
            make: Some(|vm, plug| {
                let variant = $crate::devices::virtio_pci::Variant::Plain;
                $crate::devices::virtio_pci::make(vm, plug, &$family, variant)
            }),
            ..Class::new($name, concat!($name, "-base"))
        };

        /// The device behind PCI with both interfaces.
        pub const PCI_TRANSITIONAL: Class = Class {
            interfaces: &["conventional-pci-device"],
            make: Some(|vm, plug| {
                let variant = $crate::devices::virtio_pci::Variant::Transitional;
                $crate::devices::virtio_pci::make(vm, plug, &$family, variant)
            }),
            ..Class::new(concat!($name, "-transitional"), concat!($name, "-base"))
        };

        /// The device behind PCI with the modern interface alone.
        pub const PCI_NON_TRANSITIONAL: Class = Class {
            interfaces: &["pci-express-device", "conventional-pci-device"],
            make: Some(|vm, plug| {
                let variant = $crate::devices::virtio_pci::Variant::NonTransitional;
                $crate::devices::virtio_pci::make(vm, plug, &$family, variant)
            }),
            ..Class::new(concat!($name, "-non-transitional"), concat!($name, "-base"))
        };
    };
}
pub(crate) use classes;

/// Makes a device of a family and the function in front of it.
///
/// # Errors
/// It cannot be made, or there is no place for it.
pub fn make(
    vm: &mut Vm,
    plug: &Plug<'_>,
    family: &'static Family,
    variant: Variant,
) -> Result<Made> {
    let bus = pci::bus(vm, plug)?;
    let common: PciProperties = plug.settings.fill();
    let own: VirtioPciProperties = plug.settings.fill();
    refuse_unbuilt(plug, &own)?;
    let behind_port = bus.kind() == PciBusKind::Express && !bus.is_root();
    let options = Options {
        mode: mode(plug, variant, behind_port)?,
        vectors: vectors(vm, plug, family),
        modern_pio_notify: own.modern_pio_notify,
        page_per_vq: own.page_per_vq,
        multifunction: common.multifunction,
        express: behind_port && !own.disable_pcie,
        function_reset: own.flr_init,
        power_states: own.pm_init,
        ..Options::new(class(plug, family))
    };
    let Core { virtio, made } = (family.core)(vm, plug, options.features())?;
    let legacy = options.mode.legacy && Mode::has_legacy(virtio.device_type());
    let options = Options {
        mode: Mode {
            legacy,
            ..options.mode
        },
        ..options
    };
    if legacy && virtio.offered() & feature::ACCESS_PLATFORM != 0 {
        let refused =
            "VIRTIO_F_IOMMU_PLATFORM was supported by neither legacy nor transitional device";
        return Err(Error::generic(refused));
    }
    let id = plug.id.unwrap_or_default();
    let (function, transport) =
        VirtioPci::function(plug.class.name, id, Arc::clone(&virtio), &options);
    let on_bus = pci::put(bus, plug, &common, function)?;
    let mut values = outer_values(plug, &options);
    values.extend(on_bus.values(common));
    let inner = behind(virtio, Carrier::Pci(transport), made);
    let mut outer = Made::new(on_bus, values);
    outer.buses.push(MadeBus {
        kind: &VIRTIO_PCI_BUS,
        name: Some("virtio-bus".to_owned()),
        hotpluggable: false,
        handle: Box::new(()),
        inner: Some((family.inner, "virtio-backend", inner)),
    });
    Ok(outer)
}

fn mode(plug: &Plug<'_>, variant: Variant, behind_port: bool) -> Result<Mode> {
    let own: ModeProperties = plug.settings.fill();
    let mode = match variant {
        Variant::Transitional => Mode::TRANSITIONAL,
        Variant::NonTransitional => Mode::MODERN,
        Variant::Plain => Mode {
            legacy: match own.disable_legacy {
                OnOffAuto::On => false,
                OnOffAuto::Off => true,
                OnOffAuto::Auto => !behind_port,
            },
            modern: !own.disable_modern,
        },
    };
    if !mode.legacy && !mode.modern {
        return Err(Error::generic(
            "device cannot work as neither modern nor legacy mode is enabled",
        ));
    }
    Ok(mode)
}

/// Refuses capabilities that QEMU's devices can have and these cannot.
fn refuse_unbuilt(plug: &Plug<'_>, own: &VirtioPciProperties) -> Result<()> {
    let wanted = [("aer", own.aer), ("ats", own.ats)];
    let Some((name, _)) = wanted.into_iter().find(|(_, wanted)| *wanted) else {
        return Ok(());
    };
    let driver = plug.class.name;
    let refused = format!("Property '{driver}.{name}' cannot be on: it is not built");
    Err(Error::generic(refused))
}

/// The number that a property has, set or by default.
fn number(plug: &Plug<'_>, name: &str) -> Option<u32> {
    let (_, spec) = CLASSES.property(plug.class, name)?;
    let set = plug.settings.value(name).cloned();
    match set.unwrap_or_else(spec.default) {
        Value::Int(number) => u32::try_from(number).ok(),
        _ => None,
    }
}

fn vectors(vm: &Vm, plug: &Plug<'_>, family: &Family) -> u16 {
    /// The most that MSI-X has.
    const VECTORS_MAX: u32 = 2048;
    let wanted = number(plug, "vectors").filter(|vectors| *vectors != u32::MAX);
    let wanted = wanted.unwrap_or_else(|| (family.vectors)(vm, plug.settings));
    if wanted > VECTORS_MAX {
        tracing::warn!("unable to init msix vectors to {wanted}");
        return 0;
    }
    wanted as u16
}

/// The PCI class, which a few devices let the user choose.
fn class(plug: &Plug<'_>, family: &Family) -> u16 {
    let chosen = number(plug, "class").and_then(|class| u16::try_from(class).ok());
    chosen.filter(|class| *class != 0).unwrap_or(family.class)
}

/// The values of everything that the function's classes add to those of PCI.
fn outer_values(plug: &Plug<'_>, options: &Options) -> Vec<(&'static str, Value)> {
    let specs = CLASSES.properties(plug.class);
    let value = |name: &str, set: Option<Value>, default: fn() -> Value| match name {
        "vectors" => Value::Int(options.vectors.into()),
        "class" => Value::Int(options.class.into()),
        "disable-legacy" => {
            let word = if options.mode.legacy { "off" } else { "on" };
            Value::String(word.to_owned())
        }
        _ => set.unwrap_or_else(default),
    };
    let listed = specs.map(|spec| {
        let set = plug.settings.value(spec.name).cloned();
        (spec.name, value(spec.name, set, spec.default))
    });
    let common = |name: &str| {
        let mut specs = PciProperties::SPECS.iter();
        specs.any(|spec| spec.name == name)
    };
    listed.filter(|(name, _)| !common(name)).collect()
}
