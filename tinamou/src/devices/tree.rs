//! Devices and buses in the object tree.

use tinamou_qdev::{BusKind, Kind, Spec};
use tinamou_qmp::{Error, Result, Value};
use tinamou_qom::{ObjectId, Property, Tree};

use super::registry::Place;
use super::{CLASSES, Class};

/// A device that gets its place in the object tree.
pub(super) struct Object<'a> {
    pub(super) class: &'static Class,
    pub(super) id: Option<&'a str>,
    pub(super) hotplugged: bool,
    pub(super) values: &'a [(&'static str, Value)],
}

impl Object<'_> {
    /// Adds it with what every device has, then what its class says. All of
    /// that is decided by the time a device is in the tree; `live` is what
    /// still changes.
    pub(super) fn add(
        &self,
        tree: &mut Tree,
        place: Place<'_>,
        bus: Option<ObjectId>,
        live: Vec<(&'static str, Property)>,
    ) -> Result<ObjectId> {
        let (parent, name) = locate(tree, place)?;
        let object = tree.add(parent, &name, self.class.name)?;
        if let Some(bus) = bus {
            add_child_link(tree, bus, object, self.class)?;
        }
        let constant = |value| Property::constant("bool", Value::Bool(value));
        let hotpluggable = CLASSES.is_hotpluggable(self.class);
        tree.add_link(object, "parent_bus", "bus", bus)?;
        tree.add_property(object, "realized", constant(true))?;
        tree.add_property(object, "hotplugged", constant(self.hotplugged))?;
        tree.add_property(object, "hotpluggable", constant(hotpluggable))?;
        let lives: Vec<_> = live.iter().map(|(name, _)| *name).collect();
        for spec in CLASSES.properties(self.class) {
            if !lives.contains(&spec.name) {
                self.add_property(tree, object, spec)?;
            }
        }
        for (name, property) in live {
            tree.add_property(object, name, property)?;
        }
        Ok(object)
    }

    fn add_property(&self, tree: &mut Tree, object: ObjectId, spec: &'static Spec) -> Result<()> {
        let set = self.values.iter().find(|(name, _)| *name == spec.name);
        let value = set.map_or_else(spec.default, |(_, value)| value.clone());
        match spec.kind {
            // Whoever makes the child adds it.
            Kind::Child(_) => Ok(()),
            Kind::Link(kind) => {
                let target = match &value {
                    Value::String(path) if !path.is_empty() => tree.resolve(path).ok(),
                    _ => None,
                };
                tree.add_link(object, spec.name, kind, target)
            }
            _ => {
                let refused = self.settled(spec.name);
                let property = Property::writable::<Value>(
                    spec.name,
                    &spec.kind.type_name(),
                    {
                        let value = value.clone();
                        move || value.clone()
                    },
                    move |_| Err(refused.clone()),
                );
                tree.add_property(object, spec.name, property)?;
                match legacy(spec.kind) {
                    Some(name) => {
                        let shown = tinamou_qdev::print(spec.kind, &value).unwrap_or_default();
                        let shown = Property::constant("str", Value::String(shown));
                        tree.add_property(object, name, shown)
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// The error of setting what can be set only before a device works.
    fn settled(&self, name: &str) -> Error {
        let device = match self.id {
            Some(id) => format!("device '{id}'"),
            None => "anonymous device".to_owned(),
        };
        let class = self.class.name;
        Error::generic(format!(
            "Attempt to set property '{name}' on {device} (type '{class}') after it was realized"
        ))
    }
}

/// The further property that shows an address the way people write it.
fn legacy(kind: Kind) -> Option<&'static str> {
    (kind == Kind::PciAddress).then_some("legacy-addr")
}

/// Adds a bus under the device that has it.
pub(super) fn add_bus(
    tree: &mut Tree,
    parent: ObjectId,
    name: &str,
    kind: &'static BusKind,
) -> Result<ObjectId> {
    let object = tree.add(parent, name, kind.name)?;
    let realized = Property::constant("bool", Value::Bool(true));
    tree.add_property(object, "realized", realized)?;
    Ok(object)
}

/// Lets an outer device show the properties of the one inside as its own.
pub(super) fn add_aliases(tree: &mut Tree, outer: ObjectId, inner: ObjectId) -> Result<()> {
    let has: Vec<_> = tree.list(outer).into_iter().map(|info| info.name).collect();
    for info in tree.list(inner) {
        if !has.contains(&info.name) && !info.kind.starts_with("child<") {
            tree.add_alias(outer, &info.name, inner, &info.name)?;
        }
    }
    Ok(())
}

/// Removes a device, and what its bus says of it.
pub(super) fn remove(tree: &mut Tree, bus: Option<ObjectId>, object: ObjectId) {
    if let Some(bus) = bus {
        tree.remove_links(bus, object);
    }
    tree.remove(object);
}

fn add_child_link(
    tree: &mut Tree,
    bus: ObjectId,
    child: ObjectId,
    class: &'static Class,
) -> Result<()> {
    let names: Vec<_> = tree.list(bus).into_iter().map(|info| info.name).collect();
    let free = (0..)
        .map(|number| format!("child[{number}]"))
        .find(|name| !names.contains(name));
    tree.add_link(bus, &free.unwrap_or_default(), class.name, Some(child))
}

fn locate(tree: &Tree, place: Place<'_>) -> Result<(ObjectId, String)> {
    let numbered = |container, number| {
        let parent = tree.resolve(container)?;
        Ok((parent, format!("device[{number}]")))
    };
    match place {
        Place::Named(id) => Ok((tree.resolve("/machine/peripheral")?, id.to_owned())),
        Place::Anonymous(number) => numbered("/machine/peripheral-anon", number),
        Place::Unattached(number) => numbered("/machine/unattached", number),
        Place::Child(parent, name) => Ok((parent, name.to_owned())),
    }
}
