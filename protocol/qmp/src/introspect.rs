//! The schema as `query-qmp-schema` shows it.
//!
//! The schema compiler writes the whole interface down as one static
//! [`Schema`]. A server that carries out only a part of it shows that part:
//! [`Schema::introspect`] walks from the commands and events served to the
//! types they reach. Type names are hidden behind numbers, as in QEMU, so
//! that nobody relies on them.

use crate::{Object, Value};

/// An interface.
#[derive(Debug)]
pub struct Schema {
    /// Commands and events, in schema order.
    pub entries: &'static [Entry],
    /// The types they use; a [`TypeId`] is an index here.
    pub types: &'static [Type],
}

/// An index into [`Schema::types`].
pub type TypeId = u16;

/// A command or an event.
#[derive(Debug)]
pub struct Entry {
    /// The name on the wire.
    pub name: &'static str,
    /// The features.
    pub features: &'static [&'static str],
    /// Which of the two.
    pub shape: EntryShape,
}

/// Which of the two an [`Entry`] is.
#[derive(Debug)]
pub enum EntryShape {
    /// A command.
    Command {
        /// An object type.
        arguments: TypeId,
        /// Any type.
        returns: TypeId,
        /// May be run out of band.
        allow_oob: bool,
    },
    /// An event.
    Event {
        /// An object type.
        data: TypeId,
    },
}

/// A type.
#[derive(Debug)]
pub struct Type {
    /// The name in the schema; builtin types alone show it.
    pub name: &'static str,
    /// The features.
    pub features: &'static [&'static str],
    /// What values look like.
    pub shape: Shape,
}

/// What the values of a type look like.
#[derive(Debug)]
pub enum Shape {
    /// A JSON type, such as `int`.
    Builtin(&'static str),
    /// A list of elements.
    Array(TypeId),
    /// One of these strings.
    Enum(&'static [EnumValue]),
    /// An object.
    Object {
        /// The members, bases first.
        members: &'static [Member],
        /// The member that selects a variant.
        tag: Option<&'static str>,
        /// The variants, each with its object type.
        variants: &'static [(&'static str, TypeId)],
    },
    /// A value of one of these types.
    Alternate(&'static [TypeId]),
}

/// A value of an enumeration.
#[derive(Debug)]
pub struct EnumValue {
    /// The string.
    pub name: &'static str,
    /// The features.
    pub features: &'static [&'static str],
}

/// A member of an object.
#[derive(Debug)]
pub struct Member {
    /// The name.
    pub name: &'static str,
    /// The type.
    pub ty: TypeId,
    /// It may be left out.
    pub optional: bool,
    /// The features.
    pub features: &'static [&'static str],
}

impl Schema {
    /// The part of the interface whose commands and events are `served`, as an
    /// array of the schema's `SchemaInfo`.
    #[must_use]
    pub fn introspect(&self, served: impl Fn(&Entry) -> bool) -> Value {
        let mut walk = Walk {
            types: self.types,
            names: vec![None; self.types.len()],
            numbers: 0,
            queue: Vec::new(),
        };
        let served = self.entries.iter().filter(|entry| served(entry));
        let mut shown: Vec<Value> = served.map(|entry| walk.entry(entry)).collect();
        // Showing a type may put further ones into the queue.
        let mut next = 0;
        while let Some(&id) = walk.queue.get(next) {
            shown.push(walk.ty(id));
            next += 1;
        }
        Value::Array(shown)
    }
}

/// The types met so far.
struct Walk {
    types: &'static [Type],
    /// The name shown for each type.
    names: Vec<Option<String>>,
    numbers: usize,
    /// The types met, in the order they are shown.
    queue: Vec<TypeId>,
}

impl Walk {
    /// The name of a type, which is now needed.
    fn name(&mut self, id: TypeId) -> Value {
        let index = usize::from(id);
        if self.names[index].is_none() {
            self.queue.push(id);
            let name = match self.types[index].shape {
                Shape::Builtin(_) => self.types[index].name.to_owned(),
                Shape::Array(element) => match self.name(element) {
                    Value::String(name) => format!("[{name}]"),
                    _ => String::new(),
                },
                _ => self.number(),
            };
            self.names[index] = Some(name);
        }
        text(self.names[index].as_deref().unwrap_or_default())
    }

    fn number(&mut self) -> String {
        let number = self.numbers;
        self.numbers += 1;
        number.to_string()
    }

    fn entry(&mut self, entry: &Entry) -> Value {
        let mut shown = Object::new();
        shown.insert("name".to_owned(), text(entry.name));
        match entry.shape {
            EntryShape::Command {
                arguments,
                returns,
                allow_oob,
            } => {
                shown.insert("meta-type".to_owned(), text("command"));
                shown.insert("arg-type".to_owned(), self.name(arguments));
                shown.insert("ret-type".to_owned(), self.name(returns));
                if allow_oob {
                    shown.insert("allow-oob".to_owned(), Value::Bool(true));
                }
            }
            EntryShape::Event { data } => {
                shown.insert("meta-type".to_owned(), text("event"));
                shown.insert("arg-type".to_owned(), self.name(data));
            }
        }
        add_features(&mut shown, entry.features);
        Value::Object(shown)
    }

    fn ty(&mut self, id: TypeId) -> Value {
        let ty = &self.types[usize::from(id)];
        let mut shown = Object::new();
        shown.insert("name".to_owned(), self.name(id));
        let meta = match &ty.shape {
            Shape::Builtin(json) => {
                shown.insert("json-type".to_owned(), text(json));
                "builtin"
            }
            Shape::Array(element) => {
                shown.insert("element-type".to_owned(), self.name(*element));
                "array"
            }
            Shape::Enum(values) => {
                shown.insert("members".to_owned(), list(*values, enum_value));
                shown.insert("values".to_owned(), list(*values, |value| text(value.name)));
                "enum"
            }
            Shape::Object {
                members,
                tag,
                variants,
            } => {
                let members = list(*members, |member| self.member(member));
                shown.insert("members".to_owned(), members);
                if let Some(tag) = tag {
                    shown.insert("tag".to_owned(), text(tag));
                    let variants = list(*variants, |variant| self.variant(*variant));
                    shown.insert("variants".to_owned(), variants);
                }
                "object"
            }
            Shape::Alternate(types) => {
                let members = list(*types, |ty| object([("type", self.name(*ty))]));
                shown.insert("members".to_owned(), members);
                "alternate"
            }
        };
        shown.insert("meta-type".to_owned(), text(meta));
        add_features(&mut shown, ty.features);
        Value::Object(shown)
    }

    fn member(&mut self, member: &Member) -> Value {
        let ty = self.name(member.ty);
        let mut shown = Object::new();
        shown.insert("name".to_owned(), text(member.name));
        shown.insert("type".to_owned(), ty);
        if member.optional {
            // The default is not told, only that there is one.
            shown.insert("default".to_owned(), Value::Null);
        }
        add_features(&mut shown, member.features);
        Value::Object(shown)
    }

    fn variant(&mut self, (case, ty): (&str, TypeId)) -> Value {
        object([("case", text(case)), ("type", self.name(ty))])
    }
}

fn enum_value(value: &EnumValue) -> Value {
    let mut shown = Object::new();
    shown.insert("name".to_owned(), text(value.name));
    add_features(&mut shown, value.features);
    Value::Object(shown)
}

fn add_features(shown: &mut Object, features: &[&str]) {
    if !features.is_empty() {
        shown.insert("features".to_owned(), list(features, |name| text(name)));
    }
}

fn list<'a, T: 'a>(
    elements: impl IntoIterator<Item = &'a T>,
    show: impl FnMut(&'a T) -> Value,
) -> Value {
    Value::Array(elements.into_iter().map(show).collect())
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.map(|(name, value)| (name.to_owned(), value));
    Value::Object(members.into_iter().collect())
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT: TypeId = 1;
    const PAIR: TypeId = 2;

    static SCHEMA: Schema = Schema {
        entries: &[
            command("unserved", 0, 5),
            command("query-pairs", 0, 3),
            Entry {
                name: "PAIRED",
                features: &["unstable"],
                shape: EntryShape::Event { data: PAIR },
            },
        ],
        types: &[
            ty("q_empty", object_of(&[])),
            ty("int", Shape::Builtin("int")),
            ty(
                "Pair",
                object_of(&[member("left", 4), member("right", INT)]),
            ),
            ty("PairList", Shape::Array(PAIR)),
            ty("Side", Shape::Enum(&[SIDE])),
            ty("Lonely", Shape::Alternate(&[INT])),
        ],
    };

    const SIDE: EnumValue = EnumValue {
        name: "a",
        features: &["deprecated"],
    };

    const fn command(name: &'static str, arguments: TypeId, returns: TypeId) -> Entry {
        let shape = EntryShape::Command {
            arguments,
            returns,
            allow_oob: false,
        };
        Entry {
            name,
            features: &[],
            shape,
        }
    }

    const fn ty(name: &'static str, shape: Shape) -> Type {
        Type {
            name,
            features: &[],
            shape,
        }
    }

    const fn object_of(members: &'static [Member]) -> Shape {
        Shape::Object {
            members,
            tag: None,
            variants: &[],
        }
    }

    const fn member(name: &'static str, ty: TypeId) -> Member {
        Member {
            name,
            ty,
            optional: true,
            features: &[],
        }
    }

    fn check(served: &[&str], expected: serde_json::Value) {
        let shown = SCHEMA.introspect(|entry| served.contains(&entry.name));
        assert_eq!(serde_json::to_value(shown).expect("it is JSON"), expected);
    }

    #[test]
    fn shows_what_is_served_and_reached() {
        check(
            &["query-pairs", "PAIRED"],
            serde_json::json!([
                {"name": "query-pairs", "meta-type": "command", "arg-type": "0", "ret-type": "[1]"},
                {"name": "PAIRED", "meta-type": "event", "arg-type": "1", "features": ["unstable"]},
                {"name": "0", "meta-type": "object", "members": []},
                {"name": "[1]", "meta-type": "array", "element-type": "1"},
                {"name": "1", "meta-type": "object", "members": [
                    {"name": "left", "type": "2", "default": null},
                    {"name": "right", "type": "int", "default": null}]},
                {"name": "2", "meta-type": "enum", "values": ["a"],
                 "members": [{"name": "a", "features": ["deprecated"]}]},
                {"name": "int", "meta-type": "builtin", "json-type": "int"},
            ]),
        );
    }

    #[test]
    fn shows_nothing_of_what_is_not_served() {
        check(&[], serde_json::json!([]));
    }
}
