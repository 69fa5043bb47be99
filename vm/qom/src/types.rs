//! The types that objects can be of.

use std::borrow::Cow;

use tinamou_qmp::{Error, ErrorClass, Result, Value};

/// A property that every object of a type has.
#[derive(Clone, Debug)]
pub struct ClassProperty {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Cow<'static, str>,
    /// What it is for.
    pub description: Option<&'static str>,
    /// The value it starts with.
    pub default: Option<Value>,
}

/// A type.
#[derive(Clone, Debug)]
pub struct Type {
    /// Its name.
    pub name: &'static str,
    /// The type it is a special case of.
    pub parent: Option<&'static str>,
    /// Whether there are objects of this type, or only of its special cases.
    pub is_abstract: bool,
    /// The interfaces it has beside those of its parent.
    pub interfaces: &'static [&'static str],
    /// Its properties beside those of its parent.
    pub properties: Vec<ClassProperty>,
}

/// All types.
#[derive(Debug, Default)]
pub struct Types {
    types: Vec<Type>,
}

impl Types {
    /// A registry of these types; parents before children.
    pub fn new(types: Vec<Type>) -> Self {
        Self { types }
    }

    /// The type of that name.
    pub fn find(&self, name: &str) -> Option<&Type> {
        self.types.iter().find(|kind| kind.name == name)
    }

    /// Whether `kind` is `wanted`, or descends from it, or has it as interface.
    pub fn implements(&self, kind: &Type, wanted: &str) -> bool {
        self.ancestry(kind)
            .any(|kind| kind.name == wanted || kind.interfaces.contains(&wanted))
    }

    /// The types that implement `wanted`; abstract ones only if asked for.
    pub fn list(
        &self,
        wanted: Option<&str>,
        include_abstract: bool,
    ) -> impl Iterator<Item = &Type> {
        self.types.iter().filter(move |kind| {
            (include_abstract || !kind.is_abstract)
                && wanted.is_none_or(|wanted| self.implements(kind, wanted))
        })
    }

    /// The properties of a type, those of its parents included.
    ///
    /// # Errors
    /// There is no such type.
    pub fn properties(&self, name: &str) -> Result<Vec<&ClassProperty>> {
        let kind = self.find(name).ok_or_else(|| {
            Error::new(
                ErrorClass::DeviceNotFound,
                format!("Class '{name}' not found"),
            )
        })?;
        Ok(self.inherited(kind))
    }

    /// The properties of a device type that `-device` can set.
    ///
    /// # Errors
    /// There is no such type, or no device of it can be made.
    pub fn device_properties(&self, name: &str) -> Result<Vec<&ClassProperty>> {
        let kind = self
            .find(name)
            .ok_or_else(|| Error::device_not_found(name))?;
        if kind.is_abstract || !self.implements(kind, "device") {
            return Err(Error::expects(
                Some("typename"),
                "a non-abstract device type",
            ));
        }
        const HIDDEN: &[&str] = &[
            "type",
            "realized",
            "hotpluggable",
            "hotplugged",
            "parent_bus",
        ];
        let mut properties = self.inherited(kind);
        properties.retain(|property| {
            !HIDDEN.contains(&property.name) && !property.name.starts_with("legacy-")
        });
        Ok(properties)
    }

    fn inherited(&self, kind: &Type) -> Vec<&ClassProperty> {
        let name = kind.name;
        let ancestry = self
            .find(name)
            .into_iter()
            .flat_map(|kind| self.ancestry(kind));
        // The parents' come first.
        let mut ancestry: Vec<_> = ancestry.collect();
        ancestry.reverse();
        ancestry
            .into_iter()
            .flat_map(|kind| &kind.properties)
            .collect()
    }

    fn ancestry<'a>(&'a self, kind: &'a Type) -> impl Iterator<Item = &'a Type> {
        std::iter::successors(Some(kind), |kind| self.find(kind.parent?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Types {
        let kind = |name, parent, is_abstract, property: Option<&'static str>| Type {
            name,
            parent,
            is_abstract,
            interfaces: &[],
            properties: property
                .into_iter()
                .map(|name| ClassProperty {
                    name,
                    kind: "bool".into(),
                    description: None,
                    default: None,
                })
                .collect(),
        };
        Types::new(vec![
            kind("object", None, true, Some("type")),
            kind("device", Some("object"), true, Some("realized")),
            kind("uart", Some("device"), false, Some("regshift")),
            kind("container", Some("object"), false, None),
        ])
    }

    fn names(properties: Result<Vec<&ClassProperty>>) -> Result<Vec<&'static str>, String> {
        properties
            .map(|p| p.iter().map(|p| p.name).collect())
            .map_err(|error| error.desc)
    }

    #[test]
    fn types_are_listed_by_what_they_implement() {
        let types = types();
        let list = |wanted, all| {
            types
                .list(wanted, all)
                .map(|kind| kind.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(list(None, false), ["uart", "container"]);
        assert_eq!(list(Some("device"), true), ["device", "uart"]);
        assert_eq!(list(Some("nosuch"), true), [""; 0]);
    }

    #[test]
    fn properties_are_inherited() {
        let types = types();
        assert_eq!(
            names(types.properties("uart")),
            Ok(vec!["type", "realized", "regshift"])
        );
        assert_eq!(
            names(types.properties("nosuch")),
            Err("Class 'nosuch' not found".into())
        );
        assert_eq!(names(types.device_properties("uart")), Ok(vec!["regshift"]));
        let refused = "Parameter 'typename' expects a non-abstract device type";
        assert_eq!(
            names(types.device_properties("device")),
            Err(refused.into())
        );
        assert_eq!(
            names(types.device_properties("container")),
            Err(refused.into())
        );
        assert_eq!(
            names(types.device_properties("nosuch")),
            Err("Device 'nosuch' not found".into())
        );
    }
}
