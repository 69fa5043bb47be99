//! What a server shows of itself through query-qmp-schema, read without
//! trust: entries that make no sense are kept for the checks to find.

mod fit;
mod instance;

use std::collections::BTreeMap;

use serde_json::Value;

/// The schema of a server.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// The entries as they came.
    pub(crate) entries: Vec<Value>,
    commands: BTreeMap<String, Command>,
    events: BTreeMap<String, String>,
    types: BTreeMap<String, Type>,
}

/// A command.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) name: String,
    /// The name of an object type.
    pub(crate) arguments: String,
    /// The name of a type.
    pub(crate) returns: String,
    pub(crate) allow_oob: bool,
}

/// A type.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    /// A JSON type: string, int, number, boolean, null or value.
    Builtin(String),
    Enum(Vec<String>),
    Array(String),
    Object {
        members: Vec<Member>,
        tag: Option<String>,
        /// By value of the tag, the name of an object type.
        variants: BTreeMap<String, String>,
    },
    Alternate(Vec<String>),
}

/// A member of an object.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) ty: String,
    pub(crate) optional: bool,
}

impl Schema {
    /// Reads what query-qmp-schema returned.
    pub(crate) fn read(entries: &Value) -> Self {
        let entries = entries.as_array().cloned().unwrap_or_default();
        let mut schema = Self::default();
        for entry in &entries {
            schema.add(entry);
        }
        schema.entries = entries;
        schema
    }

    /// The commands, by name.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Command> {
        self.commands.values()
    }

    pub(crate) fn command(&self, name: &str) -> Option<&Command> {
        self.commands.get(name)
    }

    /// The type of an event's data.
    pub(crate) fn event(&self, name: &str) -> Option<&str> {
        self.events.get(name).map(String::as_str)
    }

    pub(crate) fn ty(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    /// The members of an object type that are not in its variants.
    pub(crate) fn members(&self, name: &str) -> &[Member] {
        match self.ty(name) {
            Some(Type::Object { members, .. }) => members,
            _ => &[],
        }
    }

    fn add(&mut self, entry: &Value) {
        let name = text(entry, "name");
        match text(entry, "meta-type").as_str() {
            "command" => {
                let command = Command {
                    name: name.clone(),
                    arguments: text(entry, "arg-type"),
                    returns: text(entry, "ret-type"),
                    allow_oob: entry["allow-oob"] == true,
                };
                self.commands.insert(name, command);
            }
            "event" => {
                self.events.insert(name, text(entry, "arg-type"));
            }
            meta => {
                if let Some(ty) = read_type(meta, entry) {
                    self.types.insert(name, ty);
                }
            }
        }
    }
}

fn read_type(meta: &str, entry: &Value) -> Option<Type> {
    Some(match meta {
        "builtin" => Type::Builtin(text(entry, "json-type")),
        "enum" => Type::Enum(enum_values(entry)),
        "array" => Type::Array(text(entry, "element-type")),
        "object" => Type::Object {
            members: list(entry, "members").iter().map(member).collect(),
            tag: entry["tag"].as_str().map(str::to_owned),
            variants: list(entry, "variants").iter().map(variant).collect(),
        },
        "alternate" => {
            let types = list(entry, "members").iter();
            Type::Alternate(types.map(|member| text(member, "type")).collect())
        }
        _ => return None,
    })
}

/// The values of an enumeration; before QEMU 6.2 `values` alone had them.
fn enum_values(entry: &Value) -> Vec<String> {
    let members = list(entry, "members");
    if !members.is_empty() {
        return members.iter().map(|member| text(member, "name")).collect();
    }
    let values = list(entry, "values").iter();
    values
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn member(entry: &Value) -> Member {
    Member {
        name: text(entry, "name"),
        ty: text(entry, "type"),
        optional: entry.get("default").is_some(),
    }
}

fn variant(entry: &Value) -> (String, String) {
    (text(entry, "case"), text(entry, "type"))
}

fn text(entry: &Value, name: &str) -> String {
    entry[name].as_str().unwrap_or_default().to_owned()
}

fn list<'a>(entry: &'a Value, name: &str) -> &'a [Value] {
    entry[name].as_array().map_or(&[], Vec::as_slice)
}
