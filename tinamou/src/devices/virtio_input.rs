//! Keyboards and pointers.

use std::sync::Arc;

use tinamou_qdev::{Category, Properties, properties};
use tinamou_qmp::{Result, Value};
use tinamou_virtio::Virtio;
use tinamou_virtio::input::{Input, Model, Options};

use super::virtio::{self, Core};
use super::virtio_pci::{self, Family, Variant};
use super::{Class, Made, Plug, Plugged};
use crate::vm::Vm;

properties! {
    /// What every input device takes.
    pub struct InputProperties {
        /// The number the guest tells it by.
        pub serial: Option<String> = None => "serial";
    }
}

properties! {
    /// What those take that belong to a screen.
    pub struct HidProperties {
        /// The device whose screen's events it gets.
        pub display: Option<String> = None => "display";
        /// Which screen of that device.
        pub head: u32 = 0 => "head";
    }
}

properties! {
    /// What those with a wheel take.
    pub struct WheelProperties {
        /// The wheel turns an axis; it pushes buttons otherwise.
        pub wheel_axis: bool = true => "wheel-axis";
    }
}

properties! {
    /// What every input device behind PCI takes.
    pub struct InputPciProperties {
        /// MSI-X vectors.
        pub vectors: u32 = 2 => "vectors";
    }
}

/// Every input device.
pub const DEVICE: Class = Class {
    properties: &[InputProperties::SPECS],
    category: Some(Category::Input),
    ..Class::base("virtio-input-device", "virtio-device")
};

/// Those that belong to a screen.
pub const HID: Class = Class {
    properties: &[HidProperties::SPECS],
    ..Class::base("virtio-input-hid-device", "virtio-input-device")
};

/// Every input device behind PCI.
pub const PCI: Class = Class {
    properties: &[InputPciProperties::SPECS],
    category: Some(Category::Input),
    ..Class::base("virtio-input-pci", "virtio-pci")
};

/// Those that belong to a screen.
pub const HID_PCI: Class = Class::base("virtio-input-hid-pci", "virtio-input-pci");

/// Declares a kind of device in a slot of the board and behind PCI. It has no legacy interface,
/// whatever its properties say.
macro_rules! model {
    ($module:ident, $name:literal, $model:expr, alias: $alias:expr, class: $class:literal, properties: $properties:expr) => {
        #[doc = concat!("`", $name, "-device` and `", $name, "-pci`.")]
        pub mod $module {
            use super::*;

            /// The device in a slot of the board.
            pub const DEVICE: Class = Class {
                properties: $properties,
                make: Some(|vm, plug| virtio::on_slot(vm, plug, MAKE)),
                ..Class::new(concat!($name, "-device"), "virtio-input-hid-device")
            };

            /// What the PCI classes have in common.
            pub const PCI_BASE: Class = Class {
                inner: Some(DEVICE.name),
                ..Class::base(concat!($name, "-pci-base-type"), "virtio-input-hid-pci")
            };

            /// The device behind PCI.
            pub const PCI: Class = Class {
                alias: $alias,
                properties: &[virtio_pci::ModeProperties::SPECS],
                interfaces: &["pci-express-device", "conventional-pci-device"],
                make: Some(|vm, plug| {
                    virtio_pci::make(vm, plug, &FAMILY, Variant::NonTransitional)
                }),
                ..Class::new(concat!($name, "-pci"), concat!($name, "-pci-base-type"))
            };

            const MAKE: virtio::MakeCore = |vm, plug, transport| core(vm, plug, transport, $model);

            const FAMILY: Family = Family {
                inner: &DEVICE,
                core: MAKE,
                class: $class,
                vectors: |_, _| 2,
            };
        }
    };
}

model! {
    keyboard, "virtio-keyboard", Model::Keyboard,
    alias: Some("virtio-keyboard"), class: 0x0900, properties: &[]
}
model! {
    mouse, "virtio-mouse", Model::Mouse,
    alias: Some("virtio-mouse"), class: 0x0902, properties: &[WheelProperties::SPECS]
}
model! {
    tablet, "virtio-tablet", Model::Tablet,
    alias: Some("virtio-tablet"), class: 0x0980, properties: &[WheelProperties::SPECS]
}
model! {
    multitouch, "virtio-multitouch", Model::Multitouch,
    alias: None, class: 0x0980, properties: &[]
}

/// Makes a device for any transport.
fn core(vm: &mut Vm, plug: &Plug<'_>, transport: u64, model: Model) -> Result<Core> {
    let hid: HidProperties = plug.settings.fill();
    let options = Options {
        model,
        serial: plug.settings.fill::<InputProperties>().serial,
        wheel_axis: plug.settings.fill::<WheelProperties>().wheel_axis,
        // Without such a screen it gets what is done at none in particular.
        screen: hid
            .display
            .as_deref()
            .and_then(|display| vm.screens.find(display, hid.head.into())),
    };
    let inputs = vm.inputs.clone();
    let rings = virtio::rings(plug.settings);
    let mut input = None;
    let virtio = Virtio::new(virtio::site(vm), &rings, transport, |port| {
        let made = Input::new(port, &inputs, &options);
        Arc::clone(input.insert(made))
    });
    let input = input.expect("the device was just made");
    let made = Made::new(Attached(input), values(plug, model));
    Ok(Core { virtio, made })
}

/// The device as the main loop sees it.
struct Attached(Arc<Input>);

impl Plugged for Attached {
    fn remove(self: Box<Self>, _: &mut Vm) {
        self.0.leave();
    }
}

fn values(plug: &Plug<'_>, model: Model) -> Vec<(&'static str, Value)> {
    let wheel = match model {
        Model::Mouse | Model::Tablet => plug.settings.fill::<WheelProperties>().values(),
        Model::Keyboard | Model::Multitouch => Vec::new(),
    };
    let hid = plug.settings.fill::<HidProperties>().values();
    let input = plug.settings.fill::<InputProperties>().values();
    [wheel, hid, input, virtio::values(plug.settings)].concat()
}
