//! A server's interface as the server itself describes it
//! (`query-qmp-schema`): to ask whether it has something, or to walk along.
//!
//! Type names are masked by servers and mean nothing; what counts are the
//! names of commands, events, members and values.

use crate::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// A server's interface.
#[derive(Clone, Debug)]
pub struct Schema {
    entities: Vec<Entity>,
    commands: HashMap<String, usize>,
    events: HashMap<String, usize>,
    types: HashMap<String, usize>,
}

/// A command, an event or a type.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Entity {
    /// The name; masked if it is a type's.
    pub name: String,
    /// The features, such as `deprecated`.
    #[serde(default)]
    pub features: Vec<String>,
    /// What it is.
    #[serde(flatten)]
    pub meta: Meta,
}

/// What an [`Entity`] is.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "meta-type",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
#[non_exhaustive]
pub enum Meta {
    /// A command.
    Command {
        /// The type of its arguments, an object.
        arg_type: String,
        /// The type of what it returns.
        ret_type: String,
        /// It may be run out of band.
        #[serde(default)]
        allow_oob: bool,
    },
    /// An event.
    Event {
        /// The type of its details, an object.
        arg_type: String,
    },
    /// An object.
    Object {
        /// The members.
        members: Vec<Member>,
        /// The member whose value selects a variant.
        tag: Option<String>,
        /// The variants.
        #[serde(default)]
        variants: Vec<Variant>,
    },
    /// One of several types, told apart by their JSON.
    Alternate {
        /// The types.
        members: Vec<Choice>,
    },
    /// One of several strings.
    Enum {
        /// The values, as old servers list them.
        #[serde(default)]
        values: Vec<String>,
        /// The values with their features.
        #[serde(default)]
        members: Vec<EnumValue>,
    },
    /// A list.
    Array {
        /// The type of the elements.
        element_type: String,
    },
    /// A JSON type.
    Builtin {
        /// Which.
        json_type: String,
    },
    /// What a newer server has.
    #[serde(other)]
    Unknown,
}

/// A member of an object.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Member {
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub ty: String,
    /// There if it may be left out; servers say no more than `null` here.
    #[serde(default, deserialize_with = "present")]
    pub default: Option<Value>,
    /// The features.
    #[serde(default)]
    pub features: Vec<String>,
}

impl Member {
    /// Whether it may be left out.
    #[must_use]
    pub fn optional(&self) -> bool {
        self.default.is_some()
    }
}

/// The further members of an object whose tag has this value.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Variant {
    /// The value of the tag.
    pub case: String,
    /// The type, an object.
    #[serde(rename = "type")]
    pub ty: String,
}

/// One of the types of an alternate.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Choice {
    /// The type.
    #[serde(rename = "type")]
    pub ty: String,
}

/// A value of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct EnumValue {
    /// The string.
    pub name: String,
    /// The features.
    #[serde(default)]
    pub features: Vec<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(source).map(Some)
}

impl Schema {
    /// Reads what `query-qmp-schema` returned.
    ///
    /// # Errors
    /// It is no such thing.
    pub fn read(text: &str) -> Result<Self> {
        let entities: Vec<Entity> = serde_json::from_str(text).map_err(|error| Error::Decode {
            of: "query-qmp-schema".to_owned(),
            path: String::new(),
            reason: error.to_string(),
        })?;
        Ok(Self::new(entities))
    }

    fn new(entities: Vec<Entity>) -> Self {
        let index = |wanted: fn(&Meta) -> bool| {
            let places = entities.iter().enumerate();
            places
                .filter(|(_, entity)| wanted(&entity.meta))
                .map(|(place, entity)| (entity.name.clone(), place))
                .collect()
        };
        Self {
            commands: index(|meta| matches!(meta, Meta::Command { .. })),
            events: index(|meta| matches!(meta, Meta::Event { .. })),
            types: index(|meta| !matches!(meta, Meta::Command { .. } | Meta::Event { .. })),
            entities,
        }
    }

    /// All there is, in the server's order.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// The commands.
    pub fn commands(&self) -> impl Iterator<Item = &Entity> {
        let mut entities = self.entities.iter();
        std::iter::from_fn(move || {
            entities.find(|entity| matches!(entity.meta, Meta::Command { .. }))
        })
    }

    /// The events.
    pub fn events(&self) -> impl Iterator<Item = &Entity> {
        let mut entities = self.entities.iter();
        std::iter::from_fn(move || {
            entities.find(|entity| matches!(entity.meta, Meta::Event { .. }))
        })
    }

    /// A command.
    #[must_use]
    pub fn command(&self, name: &str) -> Option<&Entity> {
        self.commands.get(name).map(|place| &self.entities[*place])
    }

    /// An event.
    #[must_use]
    pub fn event(&self, name: &str) -> Option<&Entity> {
        self.events.get(name).map(|place| &self.entities[*place])
    }

    /// A type, by the name that members and commands give.
    #[must_use]
    pub fn ty(&self, name: &str) -> Option<&Entity> {
        self.types.get(name).map(|place| &self.entities[*place])
    }

    /// The type of a command's arguments or an event's details.
    #[must_use]
    pub fn arguments(&self, entity: &Entity) -> Option<&Entity> {
        match &entity.meta {
            Meta::Command { arg_type, .. } | Meta::Event { arg_type } => self.ty(arg_type),
            _ => None,
        }
    }

    /// The members that values of a type may have, those of all variants
    /// included. Lists are looked through to their elements, alternates to
    /// their objects.
    #[must_use]
    pub fn members<'a>(&'a self, ty: &'a Entity) -> Vec<&'a Member> {
        let mut members = Vec::new();
        self.collect_members(ty, &mut Vec::new(), &mut members);
        members
    }

    /// The values of an enumeration; looks through lists and alternates.
    #[must_use]
    pub fn values(&self, ty: &Entity) -> Vec<EnumValue> {
        match &ty.meta {
            Meta::Enum { members, .. } if !members.is_empty() => members.clone(),
            Meta::Enum { values, .. } => values
                .iter()
                .map(|name| EnumValue {
                    name: name.clone(),
                    features: Vec::new(),
                })
                .collect(),
            Meta::Array { element_type } => self.values_of(element_type),
            Meta::Alternate { members } => {
                let choices = members.iter();
                choices
                    .flat_map(|choice| self.values_of(&choice.ty))
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the server has this command.
    #[must_use]
    pub fn has_command(&self, command: &str) -> bool {
        self.commands.contains_key(command)
    }

    /// Whether the server has this event.
    #[must_use]
    pub fn has_event(&self, event: &str) -> bool {
        self.events.contains_key(event)
    }

    /// Whether a command has this argument. A path such as `inet.host` leads
    /// into it, through lists and all variants.
    #[must_use]
    pub fn has_arg(&self, command: &str, path: &str) -> bool {
        self.arg(command, path).is_some()
    }

    /// Whether an argument of a command, given by its path, takes this value.
    #[must_use]
    pub fn has_value(&self, command: &str, path: &str, value: &str) -> bool {
        let types = self.arg_types(command, path).into_iter();
        let mut values = types.flat_map(|ty| self.values(ty));
        values.any(|known| known.name == value)
    }

    /// Whether a command has this feature, such as `deprecated`.
    #[must_use]
    pub fn has_feature(&self, command: &str, feature: &str) -> bool {
        let features = self.command(command).map(|entity| &entity.features);
        features.is_some_and(|features| features.iter().any(|known| known == feature))
    }

    /// Whether an argument of a command, given by its path, has this feature.
    #[must_use]
    pub fn has_arg_feature(&self, command: &str, path: &str, feature: &str) -> bool {
        let arg = self.arg(command, path);
        arg.is_some_and(|arg| arg.features.iter().any(|known| known == feature))
    }

    /// An argument of a command, given by its path.
    #[must_use]
    pub fn arg(&self, command: &str, path: &str) -> Option<&Member> {
        self.args(command, path).into_iter().next()
    }

    /// Every member that a path leads to: variants may have members of the
    /// same name and different types.
    fn args(&self, command: &str, path: &str) -> Vec<&Member> {
        let arguments = self.command(command).and_then(|it| self.arguments(it));
        let mut types: Vec<&Entity> = arguments.into_iter().collect();
        let mut found = Vec::new();
        for name in path.split('.') {
            let members = types.iter().flat_map(|ty| self.members(ty));
            found = members.filter(|member| member.name == name).collect();
            types = found
                .iter()
                .filter_map(|it: &&Member| self.ty(&it.ty))
                .collect();
        }
        found
    }

    fn arg_types(&self, command: &str, path: &str) -> Vec<&Entity> {
        let args = self.args(command, path).into_iter();
        args.filter_map(|member| self.ty(&member.ty)).collect()
    }

    fn values_of(&self, name: &str) -> Vec<EnumValue> {
        // A list of lists of itself would never end; no schema can have it,
        // but a server that lies can.
        match self.ty(name) {
            Some(Entity {
                meta: Meta::Array { element_type },
                ..
            }) => self
                .ty(element_type)
                .filter(|ty| matches!(ty.meta, Meta::Enum { .. }))
                .map_or_else(Vec::new, |ty| self.values(ty)),
            Some(ty) if matches!(ty.meta, Meta::Enum { .. }) => self.values(ty),
            _ => Vec::new(),
        }
    }

    fn collect_members<'a>(
        &'a self,
        ty: &'a Entity,
        seen: &mut Vec<&'a str>,
        members: &mut Vec<&'a Member>,
    ) {
        if seen.contains(&ty.name.as_str()) {
            return;
        }
        seen.push(&ty.name);
        let mut through = |name: &'a str, members: &mut Vec<&'a Member>| {
            if let Some(ty) = self.ty(name) {
                self.collect_members(ty, seen, members);
            }
        };
        match &ty.meta {
            Meta::Object {
                members: own,
                variants,
                ..
            } => {
                members.extend(own);
                for variant in variants {
                    through(&variant.ty, members);
                }
            }
            Meta::Array { element_type } => through(element_type, members),
            Meta::Alternate { members: choices } => {
                for choice in choices {
                    through(&choice.ty, members);
                }
            }
            _ => {}
        }
    }
}
