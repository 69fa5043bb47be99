//! Reading introspection: the array that `query-qmp-schema` returns.

use std::collections::HashMap;

use serde::Deserialize;
use tinamou_qmp::{CommandSpec, Value};

use super::{Builtin, Command, Member, ObjectType, Schema, Type, TypeId, keep};
use crate::{Error, Result};

/// One element of the array.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Info {
    name: String,
    #[serde(flatten)]
    shape: Shape,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "meta-type", rename_all = "kebab-case")]
enum Shape {
    Builtin {
        #[serde(rename = "json-type")]
        json_type: JsonType,
    },
    Enum {
        values: Vec<String>,
    },
    Array {
        #[serde(rename = "element-type")]
        element: String,
    },
    Object {
        members: Vec<MemberInfo>,
        tag: Option<String>,
        #[serde(default)]
        variants: Vec<VariantInfo>,
    },
    Alternate {
        members: Vec<BranchInfo>,
    },
    Command {
        #[serde(rename = "arg-type")]
        arguments: String,
        #[serde(rename = "ret-type")]
        returns: String,
        #[serde(rename = "allow-oob", default)]
        allow_oob: bool,
    },
    Event {
        #[serde(rename = "arg-type")]
        data: String,
    },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum JsonType {
    String,
    Number,
    Int,
    Boolean,
    Null,
    Object,
    Array,
    Value,
}

#[derive(Deserialize)]
struct MemberInfo {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    /// There if the member may be left out; its value is always null.
    #[serde(default, deserialize_with = "present")]
    default: bool,
}

#[derive(Deserialize)]
struct VariantInfo {
    case: String,
    #[serde(rename = "type")]
    ty: String,
}

#[derive(Deserialize)]
struct BranchInfo {
    #[serde(rename = "type")]
    ty: String,
}

fn present<'de, D: serde::Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(input).map(|_| true)
}

impl Schema {
    /// The interface that a server told of itself.
    ///
    /// # Errors
    /// It is no introspection, or refers to types that it does not tell of.
    pub fn from_introspection(introspection: Value) -> Result<Self> {
        let text = serde_json::to_string(&introspection).map_err(Error::schema)?;
        let infos: Vec<Info> = serde_json::from_str(&text).map_err(Error::schema)?;
        let names = infos
            .iter()
            .filter(|info| !matches!(info.shape, Shape::Command { .. } | Shape::Event { .. }))
            .enumerate()
            .map(|(id, info)| (info.name.clone(), id))
            .collect();
        let mut loader = Loader {
            names,
            schema: Self {
                commands: HashMap::new(),
                events: HashMap::new(),
                types: Vec::new(),
                introspection,
            },
        };
        for info in infos {
            loader.add(info)?;
        }
        Ok(loader.schema)
    }

    /// The interface in a file: introspection by itself, a reply that holds
    /// it, or a recording in which someone asked for it.
    ///
    /// # Errors
    /// No introspection is found in it.
    pub fn from_text(text: &str) -> Result<Self> {
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            let value = value.map_err(Error::schema)?;
            if let Some(introspection) = find(value) {
                return Self::from_introspection(introspection);
            }
        }
        Err(Error::Schema("no introspection in it".to_owned()))
    }
}

/// The introspection in a value, whatever wraps it.
fn find(value: Value) -> Option<Value> {
    match value {
        Value::Array(elements) => {
            let is_info = |value: &Value| matches!(value, Value::Object(info) if info.contains_key("meta-type"));
            let found = elements.first().is_some_and(is_info);
            found.then_some(Value::Array(elements))
        }
        Value::Object(mut members) => {
            let inner = members
                .swap_remove("return")
                .or_else(|| members.swap_remove("message"))?;
            find(inner)
        }
        _ => None,
    }
}

/// An interface under construction.
struct Loader {
    names: HashMap<String, TypeId>,
    schema: Schema,
}

impl Loader {
    fn add(&mut self, info: Info) -> Result<()> {
        let ty = match info.shape {
            Shape::Command {
                arguments,
                returns,
                allow_oob,
            } => {
                let name = keep(&info.name);
                let spec = CommandSpec {
                    name,
                    allow_oob,
                    allow_preconfig: true,
                    success_response: true,
                    deprecated: info.features.iter().any(|feature| feature == "deprecated"),
                    unstable: info.features.iter().any(|feature| feature == "unstable"),
                };
                let command = Command {
                    spec,
                    arguments: self.find(&arguments)?,
                    returns: self.find(&returns)?,
                };
                self.schema.commands.insert(name, command);
                return Ok(());
            }
            Shape::Event { data } => {
                let data = self.find(&data)?;
                self.schema.events.insert(info.name, data);
                return Ok(());
            }
            Shape::Builtin { json_type } => Type::Builtin(json_type.into()),
            Shape::Enum { values } => Type::Enum(values),
            Shape::Array { element } => Type::Array(self.find(&element)?),
            Shape::Object {
                members,
                tag,
                variants,
            } => Type::Object(self.object(members, tag, variants)?),
            Shape::Alternate { members } => {
                let branches = members.iter().map(|branch| self.find(&branch.ty));
                Type::Alternate(branches.collect::<Result<_>>()?)
            }
        };
        self.schema.types.push(ty);
        Ok(())
    }

    fn object(
        &self,
        members: Vec<MemberInfo>,
        tag: Option<String>,
        variants: Vec<VariantInfo>,
    ) -> Result<ObjectType> {
        let member = |member: MemberInfo| {
            Ok(Member {
                ty: self.find(&member.ty)?,
                name: member.name,
                optional: member.default,
            })
        };
        let variant = |variant: VariantInfo| Ok((variant.case, self.find(&variant.ty)?));
        Ok(ObjectType {
            members: members.into_iter().map(member).collect::<Result<_>>()?,
            tag,
            variants: variants.into_iter().map(variant).collect::<Result<_>>()?,
        })
    }

    fn find(&self, name: &str) -> Result<TypeId> {
        let unknown = || Error::Schema(format!("no type '{name}'"));
        self.names.get(name).copied().ok_or_else(unknown)
    }
}

impl From<JsonType> for Builtin {
    fn from(json: JsonType) -> Self {
        match json {
            JsonType::String => Self::String,
            JsonType::Number => Self::Number,
            JsonType::Int => Self::Int,
            JsonType::Boolean => Self::Boolean,
            JsonType::Null => Self::Null,
            JsonType::Object => Self::Object,
            JsonType::Array => Self::Array,
            JsonType::Value => Self::Value,
        }
    }
}
