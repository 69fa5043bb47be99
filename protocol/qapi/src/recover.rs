//! The way back: a schema from what a server tells of itself.
//!
//! Servers hide the names of types behind numbers. A type is named here after
//! the first path that leads to it from a command or an event, nearest paths
//! first, so that the same server always gives the same names. Where a known
//! schema has the same path, its name and documentation are taken instead.

mod parts;

use std::collections::{HashMap, HashSet, VecDeque};

use tinamou_qmp::{Object, Value};

use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::model::{Body, Command, Content, Definition, Event, Member, Module, Schema, TypeRef};
use crate::rust::naming::variant as camel;
use parts::{features, flag, list, name_of, object, text};

/// Recovers a schema from the array that `query-qmp-schema` returns.
///
/// What introspection does not tell is lost: integer types are all `int`,
/// bases are merged, and the branches of alternates are named by kind.
///
/// # Errors
/// It is no introspection, or refers to types that it does not tell of.
pub fn recover(introspection: &Value, known: Option<&Schema>) -> Result<Schema> {
    let entities = list(introspection)?;
    let mut recovery = Recovery {
        known,
        types: HashMap::new(),
        uses: HashMap::new(),
        names: HashMap::new(),
        taken: HashSet::new(),
        nothing: HashSet::new(),
        queue: VecDeque::new(),
        definitions: Vec::new(),
    };
    let mut entries = Vec::new();
    for entity in entities {
        let entity = object(entity)?;
        match text(entity, "meta-type")? {
            "command" | "event" => entries.push(entity),
            _ => drop(recovery.types.insert(text(entity, "name")?, entity)),
        }
        parts::count_uses(entity, &mut recovery.uses);
    }
    for entry in &entries {
        recovery.find_nothing(entry)?;
    }
    for entry in entries {
        recovery.entry(entry)?;
    }
    while let Some(pending) = recovery.queue.pop_front() {
        recovery.define(pending)?;
    }
    let contents = (0..recovery.definitions.len()).map(Content::Definition);
    Ok(Schema {
        modules: vec![Module {
            name: "interface".to_owned(),
            contents: contents.collect(),
        }],
        definitions: recovery.definitions,
    })
}

/// A fault of what a server tells.
fn fault(message: impl Into<String>) -> Error {
    Error {
        file: "introspection".into(),
        at: None,
        line: String::new(),
        context: String::new(),
        message: message.into(),
    }
}

/// A type that has its name and is yet to be defined.
struct Pending<'a> {
    name: String,
    entity: &'a Object,
    known: Option<&'a Definition>,
}

struct Recovery<'a> {
    known: Option<&'a Schema>,
    types: HashMap<&'a str, &'a Object>,
    /// How often each type is referred to.
    uses: HashMap<&'a str, usize>,
    names: HashMap<&'a str, String>,
    taken: HashSet<String>,
    /// The types that commands and events refer to when they have no data.
    nothing: HashSet<&'a str>,
    queue: VecDeque<Pending<'a>>,
    definitions: Vec<Definition>,
}

impl<'a> Recovery<'a> {
    fn entry(&mut self, entity: &'a Object) -> Result<()> {
        let name = text(entity, "name")?;
        let known = self.known.and_then(|known| known.find(name));
        let is_command = text(entity, "meta-type")? == "command";
        let known = known.filter(|known| match known.body {
            Body::Command(_) => is_command,
            Body::Event(_) => !is_command,
            _ => false,
        });
        let body = match is_command {
            true => Body::Command(self.command(entity, name, known)?),
            false => {
                let camel = camel(&name.to_ascii_lowercase());
                let (data, members) = self.data(entity, &camel, "Data", known)?;
                Body::Event(Event {
                    boxed: data.is_some(),
                    data,
                    members,
                })
            }
        };
        self.finish(name.to_owned(), entity, known, body)
    }

    fn command(
        &mut self,
        entity: &'a Object,
        name: &str,
        known: Option<&'a Definition>,
    ) -> Result<Command> {
        let camel = camel(name);
        let (data, members) = self.data(entity, &camel, "Options", known)?;
        let known = match known.map(|known| &known.body) {
            Some(Body::Command(known)) => Some(known),
            _ => None,
        };
        let returned = text(entity, "ret-type")?;
        let path = match name.strip_prefix("query-") {
            Some(what) => crate::rust::naming::variant(what) + "Info",
            None => camel + "Return",
        };
        let hint = known.and_then(|known| known.returns.as_ref());
        let returns = match self.nothing.contains(returned) {
            true => None,
            false => Some(self.refer(returned, &path, hint.map(TypeRef::name))?),
        };
        Ok(Command {
            boxed: data.is_some(),
            data,
            members,
            returns,
            generated: known.is_none_or(|known| known.generated),
            success_response: known.is_none_or(|known| known.success_response),
            allow_oob: flag(entity, "allow-oob"),
            allow_preconfig: known.is_some_and(|known| known.allow_preconfig),
            coroutine: known.is_some_and(|known| known.coroutine),
        })
    }

    /// What a command takes or an event brings: a type with a name if others
    /// use it too or it has branches, else members that stand in place.
    fn data(
        &mut self,
        entity: &'a Object,
        owner: &str,
        suffix: &str,
        known: Option<&'a Definition>,
    ) -> Result<(Option<String>, Vec<Member>)> {
        let name = text(entity, "arg-type")?;
        if self.nothing.contains(name) {
            return Ok((None, Vec::new()));
        }
        let ty = self.find(name)?;
        let hint = match known.map(|known| &known.body) {
            Some(Body::Command(Command { data, .. }) | Body::Event(Event { data, .. })) => {
                data.as_deref()
            }
            _ => None,
        };
        let is_shared = self.uses.get(name).is_some_and(|uses| *uses > 1);
        if is_shared || hint.is_some() || ty.contains_key("tag") {
            let kind = self.refer(name, &format!("{owner}{suffix}"), hint)?;
            return Ok((Some(kind.name().to_owned()), Vec::new()));
        }
        Ok((None, self.members(ty, owner, known)?))
    }

    fn find(&self, name: &str) -> Result<&'a Object> {
        let found = self.types.get(name).copied();
        found.ok_or_else(|| fault(format!("there is no type '{name}'")))
    }

    /// Notes the object without members that stands for no data at all. Other
    /// types may have no members either.
    fn find_nothing(&mut self, entry: &'a Object) -> Result<()> {
        for name in ["arg-type", "ret-type"] {
            let Some(Value::String(name)) = entry.get(name) else {
                continue;
            };
            let ty = self.find(name)?;
            if text(ty, "meta-type")? == "object"
                && !ty.contains_key("tag")
                && list(name_of(ty, "members")?)?.is_empty()
            {
                self.nothing.insert(name);
            }
        }
        Ok(())
    }

    /// A type as it is used; met for the first time it gets its name.
    fn refer(&mut self, name: &'a str, path: &str, hint: Option<&str>) -> Result<TypeRef> {
        let ty = self.find(name)?;
        match text(ty, "meta-type")? {
            "builtin" => Ok(TypeRef::Name(parts::builtin(ty)?.to_owned())),
            "array" => {
                let element = text(ty, "element-type")?;
                if text(self.find(element)?, "meta-type")? == "array" {
                    return Err(fault(format!("'{name}' is a list of lists")));
                }
                let element = self.refer(element, path, hint)?;
                Ok(TypeRef::List(element.name().to_owned()))
            }
            meta => {
                if let Some(given) = self.names.get(name) {
                    return Ok(TypeRef::Name(given.clone()));
                }
                let known = self
                    .known
                    .zip(hint)
                    .and_then(|(known, hint)| known.find(hint));
                let known = known.filter(|known| parts::is_alike(known, meta, ty));
                let given = self.give(known.map(|known| known.name.as_str()), path);
                self.names.insert(name, given.clone());
                self.queue.push_back(Pending {
                    name: given.clone(),
                    entity: ty,
                    known,
                });
                Ok(TypeRef::Name(given))
            }
        }
    }

    /// A name that nothing has yet.
    fn give(&mut self, known: Option<&str>, path: &str) -> String {
        let numbered = (2..).map(|number| format!("{path}{number}"));
        let candidates = known.into_iter().map(str::to_owned);
        let candidates = candidates.chain([path.to_owned()]).chain(numbered);
        let mut free = candidates.filter(|name| !self.taken.contains(&camel(name)));
        let name = free.next().expect("there is no end of numbers");
        self.taken.insert(camel(&name));
        name
    }

    fn define(&mut self, pending: Pending<'a>) -> Result<()> {
        let Pending {
            name,
            entity,
            known,
        } = pending;
        let body = match text(entity, "meta-type")? {
            "enum" => Body::Enum(parts::enumeration(entity)?),
            "alternate" => Body::Alternate(self.alternate(entity, &name, known)?),
            "object" if entity.contains_key("tag") => {
                Body::Union(self.union(entity, &name, known)?)
            }
            "object" => Body::Struct(crate::model::Object {
                base: None,
                members: self.members(entity, &name, known)?,
            }),
            other => return Err(fault(format!("'{other}' is no meta-type"))),
        };
        self.finish(name, entity, known, body)
    }

    fn finish(
        &mut self,
        name: String,
        entity: &Object,
        known: Option<&Definition>,
        body: Body,
    ) -> Result<()> {
        self.definitions.push(Definition {
            name,
            body,
            condition: Condition::Always,
            features: features(entity)?,
            doc: known.and_then(|known| known.doc.clone()),
        });
        Ok(())
    }

    fn members(
        &mut self,
        ty: &'a Object,
        owner: &str,
        known: Option<&'a Definition>,
    ) -> Result<Vec<Member>> {
        let hints = self.known.zip(known);
        let hints = hints.map_or_else(Vec::new, |(schema, known)| schema.members(known));
        let mut members = Vec::new();
        for member in list(name_of(ty, "members")?)? {
            let member = object(member)?;
            let name = text(member, "name")?;
            let hint = hints.iter().find(|hint| hint.name == name);
            let path = format!("{owner}{}", camel(name).trim_start_matches('_'));
            members.push(Member {
                name: name.to_owned(),
                kind: self.refer(
                    text(member, "type")?,
                    &path,
                    hint.map(|hint| hint.kind.name()),
                )?,
                optional: member.contains_key("default"),
                condition: Condition::Always,
                features: features(member)?,
            });
        }
        Ok(members)
    }
}
