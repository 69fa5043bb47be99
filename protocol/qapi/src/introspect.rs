//! The back end for introspection: the schema as `tinamou_qmp` describes it,
//! with names resolved to indices, bases and inline arguments merged.

mod source;

use std::collections::{HashMap, HashSet};

use tinamou_qmp::introspect::{self, Entry, EntryShape, Shape, Type, TypeId};

use crate::model::{Alternate, Body, Definition, Enum, EnumValue, Feature, Member, Schema};
use crate::model::{TypeRef, Union};
use crate::resolve::builtin;
use source::write;

/// Describes what remains of a schema with some symbols defined.
///
/// Descriptions are static data by nature; this one is made at run time, and
/// its memory is never given back.
pub fn describe(schema: &Schema, defined: &HashSet<String>) -> introspect::Schema {
    let mut builder = Builder {
        schema,
        defined,
        ids: HashMap::new(),
        queue: Vec::new(),
    };
    let entries = schema
        .in_order()
        .filter(|definition| definition.condition.holds(defined))
        .filter_map(|definition| builder.entry(definition))
        .collect();
    let mut types = Vec::new();
    // Describing a type may put further ones into the queue.
    while let Some(key) = builder.queue.get(types.len()).cloned() {
        types.push(builder.ty(&key));
    }
    introspect::Schema {
        entries: leak(entries),
        types: leak(types),
    }
}

/// The description as Rust source: a static named `SCHEMA`. Not formatted.
pub fn source(schema: &Schema, defined: &HashSet<String>) -> String {
    write(&describe(schema, defined))
}

fn leak<T>(elements: Vec<T>) -> &'static [T] {
    elements.leak()
}

fn leak_str(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// A type to be described.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    /// Without members.
    Empty,
    Reference(TypeRef),
    /// The members written in a command or an event.
    Inline(String),
}

struct Builder<'a> {
    schema: &'a Schema,
    defined: &'a HashSet<String>,
    ids: HashMap<Key, TypeId>,
    queue: Vec<Key>,
}

impl Builder<'_> {
    fn id(&mut self, key: Key) -> TypeId {
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = TypeId::try_from(self.queue.len()).expect("a schema has fewer than 65536 types");
        self.ids.insert(key.clone(), id);
        self.queue.push(key);
        id
    }

    /// A type as it is used: introspection shows all integers as `int`.
    fn reference(&mut self, kind: &TypeRef) -> TypeId {
        let shown = match builtin(kind.name()) {
            Some("int") => "int".to_owned(),
            _ => kind.name().to_owned(),
        };
        let is_list = matches!(kind, TypeRef::List(_));
        let kind = if is_list {
            TypeRef::List(shown)
        } else {
            TypeRef::Name(shown)
        };
        self.id(Key::Reference(kind))
    }

    fn entry(&mut self, definition: &Definition) -> Option<Entry> {
        let shape = match &definition.body {
            Body::Command(command) => EntryShape::Command {
                arguments: self.data(definition, command.data.as_deref(), &command.members),
                returns: match &command.returns {
                    Some(kind) => self.reference(kind),
                    None => self.id(Key::Empty),
                },
                allow_oob: command.allow_oob,
            },
            Body::Event(event) => EntryShape::Event {
                data: self.data(definition, event.data.as_deref(), &event.members),
            },
            _ => return None,
        };
        Some(Entry {
            name: leak_str(&definition.name),
            features: self.features(&definition.features),
            shape,
        })
    }

    fn data(&mut self, definition: &Definition, named: Option<&str>, inline: &[Member]) -> TypeId {
        match named {
            Some(name) => self.reference(&TypeRef::Name(name.to_owned())),
            None if inline.is_empty() => self.id(Key::Empty),
            None => self.id(Key::Inline(definition.name.clone())),
        }
    }

    fn ty(&mut self, key: &Key) -> Type {
        match key {
            Key::Empty => plain("q_empty", object(&[])),
            Key::Reference(TypeRef::List(element)) => {
                let element_id = self.reference(&TypeRef::Name(element.clone()));
                plain(&format!("{element}List"), Shape::Array(element_id))
            }
            Key::Reference(TypeRef::Name(name)) => self.named(name),
            Key::Inline(name) => {
                let definition = self.schema.find(name);
                let members = definition.map_or(&[][..], |found| found.body.members());
                let members = members.iter().collect::<Vec<_>>();
                plain(&format!("{name}-arg"), object(self.members(&members)))
            }
        }
    }

    fn named(&mut self, name: &str) -> Type {
        let Some(definition) = self.schema.find(name) else {
            let json = builtin(name).unwrap_or("string");
            return plain(name, Shape::Builtin(json));
        };
        let shape = match &definition.body {
            Body::Enum(body) => Shape::Enum(self.values(body)),
            Body::Alternate(body) => Shape::Alternate(self.choices(body)),
            Body::Union(union) => self.union(definition, union),
            _ => object(self.members(&self.schema.members(definition))),
        };
        Type {
            name: leak_str(name),
            features: self.features(&definition.features),
            shape,
        }
    }

    fn values(&self, body: &Enum) -> &'static [introspect::EnumValue] {
        let values = body
            .values
            .iter()
            .filter(|value| value.condition.holds(self.defined));
        let value = |value: &EnumValue| introspect::EnumValue {
            name: leak_str(&value.name),
            features: self.features(&value.features),
        };
        leak(values.map(value).collect())
    }

    fn choices(&mut self, body: &Alternate) -> &'static [TypeId] {
        let defined = self.defined;
        let choices = body.branches.iter().filter(|b| b.condition.holds(defined));
        leak(choices.map(|branch| self.reference(&branch.kind)).collect())
    }

    fn members(&mut self, members: &[&Member]) -> &'static [introspect::Member] {
        let defined = self.defined;
        let members = members.iter().filter(|m| m.condition.holds(defined));
        let member = |member: &&Member| introspect::Member {
            name: leak_str(&member.name),
            ty: self.reference(&member.kind),
            optional: member.optional,
            features: self.features(&member.features),
        };
        leak(members.map(member).collect())
    }

    /// Values of the discriminator without a branch are variants without
    /// members, after those with one.
    fn union(&mut self, definition: &Definition, union: &Union) -> Shape {
        let shared = self.schema.members(definition);
        let members = self.members(&shared);
        let mut variants = Vec::new();
        for branch in &union.branches {
            if branch.condition.holds(self.defined) {
                variants.push((leak_str(&branch.name), self.reference(&branch.kind)));
            }
        }
        let tag = shared
            .iter()
            .find(|member| member.name == union.discriminator);
        let values = tag.and_then(|tag| self.schema.find(tag.kind.name()));
        if let Some(Body::Enum(body)) = values.map(|found| &found.body) {
            let has_branch = |name: &str| union.branches.iter().any(|b| b.name == name);
            for value in &body.values {
                if value.condition.holds(self.defined) && !has_branch(&value.name) {
                    variants.push((leak_str(&value.name), self.id(Key::Empty)));
                }
            }
        }
        Shape::Object {
            members,
            tag: Some(leak_str(&union.discriminator)),
            variants: leak(variants),
        }
    }

    fn features(&self, features: &[Feature]) -> &'static [&'static str] {
        let features = features.iter().filter(|f| f.condition.holds(self.defined));
        leak(features.map(|feature| leak_str(&feature.name)).collect())
    }
}

fn plain(name: &str, shape: Shape) -> Type {
    Type {
        name: leak_str(name),
        features: &[],
        shape,
    }
}

fn object(members: &'static [introspect::Member]) -> Shape {
    Shape::Object {
        members,
        tag: None,
        variants: &[],
    }
}
