//! From definitions to a schema: what they refer to exists, fits, and does
//! not clash.

mod docs;
mod objects;

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::model::{Body, Branch, Content, Definition, Enum, Member, Module, Schema, TypeRef};
use crate::names::mangle;
use crate::parser::{Entry, Item, Parsed};
use crate::shape;
use crate::source::Position;

/// The builtin types and the JSON value each stands for.
pub(crate) const BUILTINS: &[(&str, &str)] = &[
    ("str", "string"),
    ("number", "number"),
    ("int", "int"),
    ("int8", "int"),
    ("int16", "int"),
    ("int32", "int"),
    ("int64", "int"),
    ("uint8", "int"),
    ("uint16", "int"),
    ("uint32", "int"),
    ("uint64", "int"),
    ("size", "int"),
    ("bool", "boolean"),
    ("any", "value"),
    ("null", "null"),
];

/// The kind of JSON value of a builtin type.
pub(crate) fn builtin(name: &str) -> Option<&'static str> {
    BUILTINS
        .iter()
        .find(|(builtin, _)| *builtin == name)
        .map(|(_, json)| *json)
}

/// QEMU's generator keeps the features of a schema in the bits of a word.
const MOST_FEATURES: usize = 64;

/// Features with a meaning of their own, which types cannot have.
const SPECIAL_FEATURES: &[&str] = &["allow-write-only-overlay", "deprecated", "unstable"];

/// Checks what was parsed and makes the schema of it.
pub(crate) fn resolve(mut parsed: Parsed) -> Result<Schema> {
    let mut collector = Collector::default();
    collector.module(0, &mut parsed)?;
    let Collector {
        modules,
        definitions,
        items,
        index,
        ..
    } = collector;
    let checker = Checker {
        definitions: &definitions,
        index: &index,
    };
    for (definition, item) in definitions.iter().zip(&items) {
        checker.definition(definition, item)?;
    }
    Ok(Schema {
        modules,
        definitions,
    })
}

#[derive(Default)]
struct Collector {
    modules: Vec<Module>,
    definitions: Vec<Definition>,
    items: Vec<Item>,
    index: HashMap<String, usize>,
    features: HashSet<String>,
}

impl Collector {
    /// Adds a module, then those that it includes first: modules stand in the
    /// order they are met, as in QEMU. Definitions are checked in the order
    /// they are read.
    fn module(&mut self, index: usize, parsed: &mut Parsed) -> Result<()> {
        let entries = std::mem::take(&mut parsed.modules[index].entries);
        let at = self.modules.len();
        self.modules.push(Module {
            name: parsed.modules[index].name.clone(),
            contents: Vec::new(),
        });
        for entry in entries {
            let content = match entry {
                Entry::Include(included) => {
                    self.module(included, parsed)?;
                    continue;
                }
                Entry::Text(doc) => Content::Text(doc.summary().to_owned()),
                Entry::Item(item) => Content::Definition(self.item(*item)?),
            };
            self.modules[at].contents.push(content);
        }
        Ok(())
    }

    fn item(&mut self, mut item: Item) -> Result<usize> {
        let definition = shape::definition(&mut item)?;
        let position = &item.expression.position;
        let name = &definition.name;
        if builtin(name).is_some() {
            return position.fail(format!("built-in type '{name}' is already defined"));
        }
        if name == "QType" {
            return position.fail("enum type 'QType' is already defined");
        }
        if self.index.contains_key(name) {
            return position.fail(format!("'{name}' is already defined"));
        }
        self.features.extend(
            definition
                .all_features()
                .map(|feature| feature.name.clone()),
        );
        // `deprecated` and `unstable` count whether used or not.
        let own = self
            .features
            .iter()
            .filter(|name| !matches!(name.as_str(), "deprecated" | "unstable"));
        if own.count() + 2 > MOST_FEATURES {
            return position.fail(format!(
                "Maximum of {MOST_FEATURES} schema features is permitted"
            ));
        }
        let index = self.definitions.len();
        self.index.insert(name.clone(), index);
        self.definitions.push(definition);
        self.items.push(item);
        Ok(index)
    }
}

struct Checker<'a> {
    definitions: &'a [Definition],
    index: &'a HashMap<String, usize>,
}

impl<'a> Checker<'a> {
    fn find(&self, name: &str) -> Option<&'a Definition> {
        let definition = &self.definitions[*self.index.get(name)?];
        // Commands and events are no types.
        let is_type = !matches!(definition.body, Body::Command(_) | Body::Event(_));
        is_type.then_some(definition)
    }

    /// What a type is, for messages: `struct type 'X'`.
    fn describe(&self, name: &str) -> String {
        let kind = match self.find(name).map(|definition| &definition.body) {
            Some(Body::Struct(_)) => "struct",
            Some(Body::Union(_)) => "union",
            Some(Body::Alternate(_)) => "alternate",
            Some(_) => "enum",
            None if name == "QType" => "enum",
            None => "built-in",
        };
        format!("{kind} type '{name}'")
    }

    fn exists(&self, name: &str) -> bool {
        builtin(name).is_some() || name == "QType" || self.find(name).is_some()
    }

    fn check_type(&self, kind: &TypeRef, what: &str, position: &Position) -> Result<()> {
        match self.exists(kind.name()) {
            true => Ok(()),
            false => position.fail(format!("{what} uses unknown type '{}'", kind.name())),
        }
    }

    fn definition(&self, definition: &'a Definition, item: &Item) -> Result<()> {
        let position = &item.expression.position;
        match &definition.body {
            Body::Enum(body) => check_values(body, position)?,
            Body::Struct(_) => self.object(definition, position)?,
            Body::Union(body) => self.union(definition, body, position)?,
            Body::Alternate(body) => self.alternate(&body.branches, position)?,
            Body::Command(body) => {
                self.data(definition, body.data.as_deref(), body.boxed, position)?;
                if let Some(returns) = &body.returns {
                    self.returns(definition, returns, item)?;
                }
            }
            Body::Event(body) => {
                self.data(definition, body.data.as_deref(), body.boxed, position)?;
            }
        }
        let is_type = !matches!(definition.body, Body::Command(_) | Body::Event(_));
        let special = definition
            .features
            .iter()
            .find(|f| SPECIAL_FEATURES.contains(&f.name.as_str()));
        if let Some(feature) = special.filter(|_| is_type) {
            return position.fail(format!(
                "feature '{}' is not supported for types",
                feature.name
            ));
        }
        self.documentation(definition, item)
    }

    fn alternate(&self, branches: &[Branch], position: &Position) -> Result<()> {
        let mut taken: HashMap<&str, &str> = HashMap::new();
        let mut names = HashSet::new();
        for branch in branches {
            let name = branch.name.as_str();
            self.check_type(&branch.kind, &format!("branch '{name}'"), position)?;
            if !names.insert(mangle(name)) {
                return position.fail(format!("branch '{name}' collides with another"));
            }
            let Some(json) = self.json_kind(&branch.kind) else {
                return position.fail(format!(
                    "branch '{name}' cannot use {}",
                    self.describe(branch.kind.name())
                ));
            };
            for kind in self.claimed_kinds(branch, json) {
                if let Some(other) = taken.insert(kind, name) {
                    return position.fail(format!(
                        "branch '{name}' can't be distinguished from '{other}'"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The kind of JSON value a type is written as; `None` if that varies.
    fn json_kind(&self, kind: &TypeRef) -> Option<&'static str> {
        let name = match kind {
            TypeRef::List(_) => return Some("array"),
            TypeRef::Name(name) => name,
        };
        match self.find(name).map(|found| &found.body) {
            Some(Body::Struct(_) | Body::Union(_)) => Some("object"),
            Some(Body::Enum(_)) => Some("string"),
            Some(_) => None,
            None if name == "QType" => Some("string"),
            None => match builtin(name) {
                Some("int") => Some("number"),
                Some("value") => None,
                json => json,
            },
        }
    }

    /// The JSON kinds a branch claims. A string could be a number or boolean
    /// on a command line, so a free string claims those too, and of an
    /// enumeration its values decide.
    fn claimed_kinds(&self, branch: &Branch, json: &'static str) -> Vec<&'static str> {
        if json != "string" {
            return vec![json];
        }
        match self.find(branch.kind.name()).map(|found| &found.body) {
            Some(Body::Enum(values)) => {
                let mut kinds = vec![json];
                let any = |test: &dyn Fn(&str) -> bool| {
                    values.values.iter().any(|value| test(&value.name))
                };
                if any(&|name| name == "on" || name == "off") {
                    kinds.push("boolean");
                }
                if any(&|name| name.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)))
                {
                    kinds.push("number");
                }
                kinds
            }
            _ => vec![json, "number", "boolean"],
        }
    }

    /// Checks the arguments of a command or the data of an event.
    fn data(
        &self,
        definition: &'a Definition,
        data: Option<&str>,
        boxed: bool,
        position: &Position,
    ) -> Result<()> {
        let is_command = matches!(definition.body, Body::Command(_));
        let kind = if is_command { "command" } else { "event" };
        self.object(definition, position)?;
        let mut members = self.fixed(definition);
        if let Some(name) = data {
            if !self.exists(name) {
                return position.fail(format!("{kind}'s 'data' uses unknown type '{name}'"));
            }
            let shown = self.describe(name);
            match self.find(name) {
                Some(found) if matches!(found.body, Body::Struct(_)) => {
                    members = self.fixed(found);
                }
                Some(found) if matches!(found.body, Body::Union(_)) => {
                    if !boxed {
                        return position.fail(format!(
                            "{kind}'s 'data' can take {shown} only with 'boxed': true"
                        ));
                    }
                }
                _ => return position.fail(format!("{kind}'s 'data' cannot take {shown}")),
            }
        }
        let conditional = |(member, _): &(&Member, _)| !member.condition.is_always();
        if boxed || !members.iter().any(conditional) {
            return Ok(());
        }
        position.fail(match is_command {
            true => "conditional command arguments require 'boxed': true",
            false => "event's 'data' members may have 'if' conditions only with 'boxed': true",
        })
    }

    fn returns(&self, definition: &Definition, returns: &TypeRef, item: &Item) -> Result<()> {
        let position = &item.expression.position;
        if !self.exists(returns.name()) {
            return position.fail(format!(
                "command's 'returns' uses unknown type '{}'",
                returns.name()
            ));
        }
        let is_object = matches!(
            self.find(returns.name()).map(|found| &found.body),
            Some(Body::Struct(_) | Body::Union(_))
        );
        if is_object || item.pragmas.command_returns.contains(&definition.name) {
            return Ok(());
        }
        let shown = match returns {
            TypeRef::List(name) => format!("array type ['{name}']"),
            TypeRef::Name(name) => self.describe(name),
        };
        position.fail(format!("command's 'returns' cannot take {shown}"))
    }
}

fn check_values(body: &Enum, position: &Position) -> Result<()> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for value in &body.values {
        if let Some(other) = seen.insert(mangle(&value.name), &value.name) {
            return position.fail(format!(
                "value '{}' collides with value '{other}'",
                value.name
            ));
        }
    }
    Ok(())
}
