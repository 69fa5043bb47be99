//! The object tree and the paths through it.

use std::collections::HashSet;

use indexmap::IndexMap;
use tinamou_qmp::{Error, Result, Value};

use crate::property::{Access, Property, not_found};

/// An object in a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(usize);

/// What `qom-list` says of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyInfo {
    /// Its name.
    pub name: String,
    /// Its type; `child<T>` and `link<T>` for objects.
    pub kind: String,
    /// What it is for.
    pub description: Option<&'static str>,
}

/// All objects, by path from the root.
#[derive(Debug)]
pub struct Tree {
    objects: Vec<Option<Node>>,
}

#[derive(Debug)]
struct Node {
    kind: String,
    /// The owner and the name under which it owns this object.
    parent: Option<(ObjectId, String)>,
    properties: IndexMap<String, Property>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// The root of every path.
    pub const ROOT: ObjectId = ObjectId(0);

    /// A tree with nothing but its root.
    pub fn new() -> Self {
        let mut tree = Self {
            objects: Vec::new(),
        };
        tree.insert_node("container", None);
        tree
    }

    /// Adds an object under its owner.
    ///
    /// # Errors
    /// The owner has a property of that name already.
    pub fn add(&mut self, owner: ObjectId, name: &str, kind: &str) -> Result<ObjectId> {
        self.check_free(owner, name)?;
        let id = self.insert_node(kind, Some((owner, name.to_owned())));
        let property = Property::new(&format!("child<{kind}>"), Access::Child(id));
        self.node_mut(owner)
            .properties
            .insert(name.to_owned(), property);
        Ok(id)
    }

    /// Adds an object under the first free name of the form `NAME[N]`.
    pub fn add_numbered(&mut self, owner: ObjectId, name: &str, kind: &str) -> ObjectId {
        let node = self.node(owner);
        let free = (0..)
            .map(|n| format!("{name}[{n}]"))
            .find(|name| !node.properties.contains_key(name));
        let name = free.unwrap_or_default();
        self.add(owner, &name, kind).unwrap_or(owner)
    }

    /// Removes an object and everything under it.
    pub fn remove(&mut self, id: ObjectId) {
        let Some(node) = self.objects.get_mut(id.0).and_then(Option::take) else {
            return;
        };
        for property in node.properties.values() {
            if let Access::Child(child) = property.access {
                self.remove(child);
            }
        }
        if let Some((owner, name)) = node.parent
            && let Some(Some(owner)) = self.objects.get_mut(owner.0)
        {
            owner.properties.shift_remove(&name);
        }
    }

    /// Gives an object a property.
    ///
    /// # Errors
    /// It has one of that name already.
    pub fn add_property(&mut self, id: ObjectId, name: &str, property: Property) -> Result<()> {
        self.check_free(id, name)?;
        self.node_mut(id)
            .properties
            .insert(name.to_owned(), property);
        Ok(())
    }

    /// Gives an object a link to another one.
    ///
    /// # Errors
    /// It has a property of that name already.
    pub fn add_link(
        &mut self,
        id: ObjectId,
        name: &str,
        kind: &str,
        target: Option<ObjectId>,
    ) -> Result<()> {
        self.add_property(
            id,
            name,
            Property::new(&format!("link<{kind}>"), Access::Link(target)),
        )
    }

    /// Gives an object a property that stands for one of another object.
    ///
    /// # Errors
    /// It has a property of that name already, or the other object has none.
    pub fn add_alias(
        &mut self,
        id: ObjectId,
        name: &str,
        target: ObjectId,
        target_name: &str,
    ) -> Result<()> {
        let node = self.node(target);
        let property = node.properties.get(target_name);
        let property = property.ok_or_else(|| not_found(&node.kind, target_name))?;
        let alias = Property {
            kind: property.kind.clone(),
            description: property.description,
            access: Access::Alias(target, target_name.to_owned()),
        };
        self.add_property(id, name, alias)
    }

    /// Takes every link from one object to another away.
    pub fn remove_links(&mut self, id: ObjectId, target: ObjectId) {
        self.node_mut(id).properties.retain(
            |_, property| !matches!(property.access, Access::Link(Some(to)) if to == target),
        );
    }

    /// The type of an object.
    pub fn kind(&self, id: ObjectId) -> &str {
        &self.node(id).kind
    }

    /// The objects that this one owns, with their names.
    pub fn children(&self, id: ObjectId) -> impl Iterator<Item = (&str, ObjectId)> {
        self.node(id)
            .properties
            .iter()
            .filter_map(|(name, property)| match property.access {
                Access::Child(child) => Some((name.as_str(), child)),
                _ => None,
            })
    }

    /// The canonical path of an object.
    pub fn path(&self, mut id: ObjectId) -> String {
        let mut names = Vec::new();
        while let Some((owner, name)) = &self.node(id).parent {
            names.push(name.as_str());
            id = *owner;
        }
        let mut path = String::new();
        for name in names.into_iter().rev() {
            path.push('/');
            path.push_str(name);
        }
        if path.is_empty() {
            "/".to_owned()
        } else {
            path
        }
    }

    /// Finds an object by an absolute path, or by a partial path that leads
    /// to it from anywhere.
    ///
    /// # Errors
    /// There is none, or a partial path leads to several.
    pub fn resolve(&self, path: &str) -> Result<ObjectId> {
        if let Some(path) = path.strip_prefix('/') {
            let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
            return self
                .walk(Self::ROOT, &names)
                .ok_or_else(|| Error::device_not_found(&format!("/{path}")));
        }
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let found = if names.is_empty() {
            HashSet::new()
        } else {
            self.search(&names)
        };
        match (found.len(), found.into_iter().next()) {
            (1, Some(id)) => Ok(id),
            (0, _) => Err(Error::device_not_found(path)),
            _ => Err(Error::generic(format!("Path '{path}' is ambiguous"))),
        }
    }

    /// The properties of an object, its type first.
    pub fn list(&self, id: ObjectId) -> Vec<PropertyInfo> {
        let kind = PropertyInfo {
            name: "type".into(),
            kind: "string".into(),
            description: None,
        };
        let rest = self
            .node(id)
            .properties
            .iter()
            .map(|(name, property)| PropertyInfo {
                name: name.clone(),
                kind: property.kind.clone(),
                description: property.description,
            });
        std::iter::once(kind).chain(rest).collect()
    }

    /// Reads a property; an object reads as its path.
    ///
    /// # Errors
    /// There is no such property, or it cannot be read.
    pub fn get(&self, id: ObjectId, name: &str) -> Result<Value> {
        let node = self.node(id);
        if name == "type" {
            return Ok(Value::String(node.kind.clone()));
        }
        let property = node
            .properties
            .get(name)
            .ok_or_else(|| not_found(&node.kind, name))?;
        match &property.access {
            Access::Child(child) => Ok(Value::String(self.path(*child))),
            Access::Link(target) => Ok(Value::String(
                target.map_or_else(String::new, |id| self.path(id)),
            )),
            Access::Alias(target, name) => self.get(*target, name),
            Access::Value { get: Some(get), .. } => get(),
            Access::Value { get: None, .. } => Err(denied(&node.kind, name, "readable")),
        }
    }

    /// Writes a property.
    ///
    /// # Errors
    /// There is no such property, it cannot be written, or it refuses the value.
    pub fn set(&self, id: ObjectId, name: &str, value: Value) -> Result<()> {
        let node = self.node(id);
        let property = match node.properties.get(name) {
            None if name == "type" => return Err(denied(&node.kind, name, "writable")),
            property => property.ok_or_else(|| not_found(&node.kind, name))?,
        };
        match &property.access {
            Access::Alias(target, name) => self.set(*target, name, value),
            Access::Value { set: Some(set), .. } => set(value),
            _ => Err(denied(&node.kind, name, "writable")),
        }
    }

    /// Follows names through children and links.
    fn walk(&self, from: ObjectId, names: &[&str]) -> Option<ObjectId> {
        names.iter().try_fold(from, |id, name| {
            match self
                .objects
                .get(id.0)?
                .as_ref()?
                .properties
                .get(*name)?
                .access
            {
                Access::Child(next) | Access::Link(Some(next)) => Some(next),
                _ => None,
            }
        })
    }

    fn search(&self, names: &[&str]) -> HashSet<ObjectId> {
        let ids = (0..self.objects.len()).map(ObjectId);
        ids.filter_map(|id| self.walk(id, names)).collect()
    }

    fn check_free(&self, id: ObjectId, name: &str) -> Result<()> {
        let node = self.node(id);
        if name != "type" && !node.properties.contains_key(name) {
            return Ok(());
        }
        let kind = &node.kind;
        Err(Error::generic(format!(
            "attempt to add duplicate property '{name}' to object (type '{kind}')"
        )))
    }

    fn insert_node(&mut self, kind: &str, parent: Option<(ObjectId, String)>) -> ObjectId {
        let node = Node {
            kind: kind.to_owned(),
            parent,
            properties: IndexMap::new(),
        };
        self.objects.push(Some(node));
        ObjectId(self.objects.len() - 1)
    }

    fn node(&self, id: ObjectId) -> &Node {
        let node = self.objects.get(id.0).and_then(Option::as_ref);
        node.expect("an ObjectId is used only while its object is in the tree")
    }

    fn node_mut(&mut self, id: ObjectId) -> &mut Node {
        let node = self.objects.get_mut(id.0).and_then(Option::as_mut);
        node.expect("an ObjectId is used only while its object is in the tree")
    }
}

fn denied(kind: &str, name: &str, what: &str) -> Error {
    Error::generic(format!("Property '{kind}.{name}' is not {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    fn tree() -> Tree {
        let mut tree = Tree::new();
        let machine = tree
            .add(Tree::ROOT, "machine", "virt-machine")
            .expect("add");
        let soc = tree.add(machine, "soc0", "riscv.hart_array").expect("add");
        tree.add_numbered(soc, "harts", "rv64-riscv-cpu");
        let second = tree.add_numbered(soc, "harts", "rv64-riscv-cpu");
        tree.add_link(machine, "boot-cpu", "riscv-cpu", Some(second))
            .expect("link");
        let state = Rc::new(Cell::new(true));
        let setter = state.clone();
        let graphics = Property::writable(
            "graphics",
            "bool",
            move || Value::Bool(state.get()),
            move |on: bool| {
                setter.set(on);
                Ok(())
            },
        );
        tree.add_property(machine, "graphics", graphics)
            .expect("add");
        tree
    }

    #[test]
    fn an_alias_stands_for_the_property_of_another_object() {
        let mut tree = tree();
        let machine = tree.resolve("/machine").expect("path");
        let soc = tree.resolve("/machine/soc0").expect("path");
        tree.add_alias(soc, "pictures", machine, "graphics")
            .expect("alias");
        tree.set(soc, "pictures", Value::Bool(false)).expect("set");
        assert_eq!(tree.get(soc, "pictures"), Ok(Value::Bool(false)));
        assert_eq!(tree.get(machine, "graphics"), Ok(Value::Bool(false)));
        assert!(tree.add_alias(soc, "other", machine, "nosuch").is_err());
    }

    fn check_path(path: &str, expected: &str) {
        let tree = tree();
        let found = tree.resolve(path).map(|id| tree.path(id));
        assert_eq!(found.unwrap_or_else(|error| error.desc), expected, "{path}");
    }

    #[test]
    fn paths_lead_to_objects() {
        check_path("/", "/");
        check_path("/machine", "/machine");
        check_path("/machine/", "/machine");
        check_path("//machine//soc0", "/machine/soc0");
        check_path("machine", "/machine");
        check_path("soc0/harts[1]", "/machine/soc0/harts[1]");
        check_path("/machine/boot-cpu", "/machine/soc0/harts[1]");
        check_path("boot-cpu", "/machine/soc0/harts[1]");
        check_path("/nosuch", "Device '/nosuch' not found");
        check_path("/machine/graphics", "Device '/machine/graphics' not found");
        check_path("harts", "Device 'harts' not found");
        check_path("", "Device '' not found");
    }

    #[test]
    fn a_partial_path_must_lead_to_one_object() {
        let mut tree = tree();
        let other = tree.add(Tree::ROOT, "other", "container").expect("add");
        tree.add(other, "soc0", "container").expect("add");
        assert_eq!(
            tree.resolve("soc0").expect_err("two").desc,
            "Path 'soc0' is ambiguous"
        );
    }

    fn check_get(path: &str, name: &str, expected: Result<&str, &str>) {
        let tree = tree();
        let value = tree.get(tree.resolve(path).expect("path"), name);
        let value = value.map_err(|error| error.desc);
        let expected = expected
            .map(|text| Value::String(text.to_owned()))
            .map_err(str::to_owned);
        assert_eq!(value, expected, "{path} {name}");
    }

    #[test]
    fn properties_are_read() {
        check_get("/machine", "type", Ok("virt-machine"));
        check_get("/machine", "soc0", Ok("/machine/soc0"));
        check_get("/machine", "boot-cpu", Ok("/machine/soc0/harts[1]"));
        check_get(
            "/machine",
            "nosuch",
            Err("Property 'virt-machine.nosuch' not found"),
        );
    }

    fn check_set(name: &str, value: Value, expected: Result<(), &str>) {
        let tree = tree();
        let result = tree.set(tree.resolve("/machine").expect("path"), name, value);
        assert_eq!(
            result.map_err(|error| error.desc),
            expected.map_err(str::to_owned),
            "{name}"
        );
    }

    #[test]
    fn properties_are_written() {
        check_set("graphics", Value::Bool(false), Ok(()));
        check_set(
            "graphics",
            Value::Int(1),
            Err("Invalid parameter type for 'graphics', expected: boolean"),
        );
        check_set(
            "type",
            Value::Null,
            Err("Property 'virt-machine.type' is not writable"),
        );
        check_set(
            "soc0",
            Value::Null,
            Err("Property 'virt-machine.soc0' is not writable"),
        );
        check_set(
            "nosuch",
            Value::Null,
            Err("Property 'virt-machine.nosuch' not found"),
        );
    }

    #[test]
    fn removal_takes_what_is_below() {
        let mut tree = tree();
        let soc = tree.resolve("/machine/soc0").expect("path");
        tree.remove(soc);
        assert!(tree.resolve("/machine/soc0").is_err());
        assert!(tree.resolve("harts[0]").is_err());
        assert!(tree.add(Tree::ROOT, "machine", "x").is_err());
    }
}
