//! The classes of devices as types of objects.

use std::borrow::Cow;

use tinamou_qdev::Spec;
use tinamou_qom::{ClassProperty, Type};

use super::{CLASSES, Class};

/// The types of devices and of their buses.
pub fn types() -> Vec<Type> {
    let buses = [
        ("bus", "object", true),
        ("System", "bus", false),
        ("PCI", "bus", false),
        ("PCIE", "PCI", false),
        ("virtio-bus", "bus", true),
        ("virtio-serial-bus", "bus", false),
        ("SCSI", "bus", false),
        ("virtio-mmio-bus", "virtio-bus", false),
        ("virtio-pci-bus", "virtio-bus", false),
    ];
    let buses = buses.map(|(name, parent, is_abstract)| Type {
        name,
        parent: Some(parent),
        is_abstract,
        interfaces: match name {
            "SCSI" => &["hotplug-handler"],
            _ => &[],
        },
        properties: match name {
            "bus" => vec![plain(&("realized", "bool"))],
            _ => Vec::new(),
        },
    });
    CLASSES.iter().map(device_type).chain(buses).collect()
}

fn device_type(class: &'static Class) -> Type {
    let inside = class
        .inner
        .and_then(|inner| CLASSES.find(inner))
        .into_iter();
    let inside = inside.flat_map(|inner| CLASSES.ancestry(inner));
    let classes = std::iter::once(class).chain(inside);
    let mut properties: Vec<_> = classes.flat_map(class_properties).collect();
    if class.name == "device" {
        properties.extend(COMMON.iter().map(plain));
    }
    if let Some(inner) = class.inner {
        let child = Cow::Owned(format!("child<{inner}>"));
        properties.push(ClassProperty {
            kind: child,
            ..plain(&("virtio-backend", ""))
        });
    }
    Type {
        name: class.name,
        parent: Some(class.parent),
        is_abstract: class.is_abstract,
        interfaces: class.interfaces,
        properties,
    }
}

/// What every device has.
const COMMON: &[(&str, &str)] = &[
    ("parent_bus", "link<bus>"),
    ("realized", "bool"),
    ("hotplugged", "bool"),
    ("hotpluggable", "bool"),
];

/// What a class adds to its parent.
fn class_properties(class: &'static Class) -> impl Iterator<Item = ClassProperty> {
    let settable = class.own().map(class_property);
    settable.chain(class.live.iter().map(plain))
}

fn class_property(spec: &'static Spec) -> ClassProperty {
    ClassProperty {
        name: spec.name,
        kind: Cow::Owned(spec.kind.type_name()),
        description: spec.description(),
        default: spec.shown_default(),
    }
}

/// A property that nobody sets.
fn plain((name, kind): &(&'static str, &'static str)) -> ClassProperty {
    ClassProperty {
        name,
        kind: Cow::Borrowed(kind),
        description: None,
        default: None,
    }
}
