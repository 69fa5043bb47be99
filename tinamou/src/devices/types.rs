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
        ("virtio-mmio-bus", "virtio-bus", false),
        ("virtio-pci-bus", "virtio-bus", false),
    ];
    let buses = buses.map(|(name, parent, is_abstract)| Type {
        name,
        parent: Some(parent),
        is_abstract,
        interfaces: &[],
        properties: Vec::new(),
    });
    CLASSES.iter().map(device_type).chain(buses).collect()
}

fn device_type(class: &'static Class) -> Type {
    let inner = CLASSES.inner(class);
    let inherited = class.inner.and(inner).into_iter();
    let inherited = inherited.flat_map(|inner| CLASSES.properties(inner));
    let mut properties: Vec<_> = class.own().chain(inherited).map(class_property).collect();
    if class.name == "device" {
        properties.extend(COMMON.iter().map(|(name, kind)| ClassProperty {
            name,
            kind: Cow::Borrowed(kind),
            description: None,
            default: None,
        }));
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

fn class_property(spec: &'static Spec) -> ClassProperty {
    ClassProperty {
        name: spec.name,
        kind: Cow::Owned(spec.kind.type_name()),
        description: spec.description(),
        default: spec.shown_default(),
    }
}
