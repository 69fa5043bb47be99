//! The pieces of introspection, and types that consist of them.

use std::collections::HashMap;

use tinamou_qmp::{Object, Value};

use super::{Recovery, camel, fault};
use crate::condition::Condition;
use crate::error::Result;
use crate::model::{Alternate, Body, Branch, Definition, Enum, EnumValue, Feature, Union};

pub(super) fn list(value: &Value) -> Result<&[Value]> {
    match value {
        Value::Array(elements) => Ok(elements),
        _ => Err(fault("a list is expected")),
    }
}

pub(super) fn object(value: &Value) -> Result<&Object> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(fault("an object is expected")),
    }
}

/// A member of an entity.
pub(super) fn name_of<'a>(entity: &'a Object, name: &str) -> Result<&'a Value> {
    let member = entity.get(name);
    member.ok_or_else(|| fault(format!("an entity has no '{name}'")))
}

/// A member that is a string.
pub(super) fn text<'a>(entity: &'a Object, name: &str) -> Result<&'a str> {
    match name_of(entity, name)? {
        Value::String(text) => Ok(text),
        _ => Err(fault(format!("'{name}' is no string"))),
    }
}

pub(super) fn flag(entity: &Object, name: &str) -> bool {
    entity.get(name) == Some(&Value::Bool(true))
}

pub(super) fn features(entity: &Object) -> Result<Vec<Feature>> {
    let Some(features) = entity.get("features") else {
        return Ok(Vec::new());
    };
    let feature = |feature: &Value| match feature {
        Value::String(name) => Ok(Feature {
            name: name.clone(),
            condition: Condition::Always,
        }),
        _ => Err(fault("a feature is no string")),
    };
    list(features)?.iter().map(feature).collect()
}

/// The schema's name of a builtin type.
pub(super) fn builtin(entity: &Object) -> Result<&'static str> {
    Ok(match text(entity, "json-type")? {
        "string" => "str",
        "number" => "number",
        "int" => "int",
        "boolean" => "bool",
        "null" => "null",
        "value" => "any",
        other => return Err(fault(format!("'{other}' is no type of JSON"))),
    })
}

/// The values, which old servers list without features.
pub(super) fn enumeration(entity: &Object) -> Result<Enum> {
    let value = |value: &Value| {
        let (name, features) = match value {
            Value::String(name) => (name.as_str(), Vec::new()),
            value => (text(object(value)?, "name")?, features(object(value)?)?),
        };
        Ok(EnumValue {
            name: name.to_owned(),
            condition: Condition::Always,
            features,
        })
    };
    let values = match entity.get("members") {
        Some(members) => members,
        None => name_of(entity, "values")?,
    };
    let values = list(values)?.iter().map(value).collect::<Result<_>>()?;
    Ok(Enum { values })
}

/// Counts the references to types.
pub(super) fn count_uses<'a>(entity: &'a Object, uses: &mut HashMap<&'a str, usize>) {
    let mut count = |value: Option<&'a Value>| {
        if let Some(Value::String(name)) = value {
            *uses.entry(name).or_default() += 1;
        }
    };
    for name in ["arg-type", "ret-type", "element-type"] {
        count(entity.get(name));
    }
    for name in ["members", "variants"] {
        let Some(Value::Array(parts)) = entity.get(name) else {
            continue;
        };
        for part in parts {
            if let Value::Object(part) = part {
                count(part.get("type"));
            }
        }
    }
}

/// Whether a known type looks like that entity from afar.
pub(super) fn is_alike(known: &Definition, meta: &str, entity: &Object) -> bool {
    match &known.body {
        Body::Enum(_) => meta == "enum",
        Body::Alternate(_) => meta == "alternate",
        Body::Struct(_) => meta == "object" && !entity.contains_key("tag"),
        Body::Union(_) => meta == "object" && entity.contains_key("tag"),
        Body::Command(_) | Body::Event(_) => false,
    }
}

impl<'a> Recovery<'a> {
    pub(super) fn union(
        &mut self,
        entity: &'a Object,
        name: &str,
        known: Option<&'a Definition>,
    ) -> Result<Union> {
        let members = self.members(entity, name, known)?;
        let hints = branches(known);
        let mut branches = Vec::new();
        for variant in list(name_of(entity, "variants")?)? {
            let variant = object(variant)?;
            let case = text(variant, "case")?;
            let ty = text(variant, "type")?;
            if self.nothing.contains(ty) {
                continue;
            }
            let hint = hints.iter().find(|hint| hint.name == case);
            let path = format!("{name}{}", camel(case).trim_start_matches('_'));
            branches.push(Branch {
                name: case.to_owned(),
                kind: self.refer(ty, &path, hint.map(|hint| hint.kind.name()))?,
                condition: Condition::Always,
            });
        }
        Ok(Union {
            base: None,
            members,
            discriminator: text(entity, "tag")?.to_owned(),
            branches,
        })
    }

    pub(super) fn alternate(
        &mut self,
        entity: &'a Object,
        name: &str,
        known: Option<&'a Definition>,
    ) -> Result<Alternate> {
        let hints = branches(known);
        let mut branches = Vec::new();
        for (index, choice) in list(name_of(entity, "members")?)?.iter().enumerate() {
            let ty = text(object(choice)?, "type")?;
            let kind = self.kind(ty)?;
            let hint = hints.get(index);
            let path = format!("{name}{}", camel(kind));
            branches.push(Branch {
                name: hint.map_or(kind, |hint| &hint.name).to_owned(),
                kind: self.refer(ty, &path, hint.map(|hint| hint.kind.name()))?,
                condition: Condition::Always,
            });
        }
        Ok(Alternate { branches })
    }

    /// What a branch of an alternate is called when nothing else is known.
    fn kind(&self, ty: &str) -> Result<&'a str> {
        let entity = self.find(ty)?;
        match text(entity, "meta-type")? {
            "builtin" => text(entity, "json-type"),
            meta => Ok(meta),
        }
    }
}

fn branches(known: Option<&Definition>) -> &[Branch] {
    match known.map(|known| &known.body) {
        Some(Body::Union(union)) => &union.branches,
        Some(Body::Alternate(alternate)) => &alternate.branches,
        _ => &[],
    }
}
