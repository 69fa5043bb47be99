//! A checked schema.

use std::collections::HashSet;

use crate::condition::Condition;
use crate::doc::Doc;

/// A schema and its parts, in the order that QEMU's generators keep.
#[derive(Debug)]
pub struct Schema {
    /// The files, each before those that it is the first to include.
    pub modules: Vec<Module>,
    /// Every definition, in the order they are read.
    pub definitions: Vec<Definition>,
}

/// A file.
#[derive(Debug)]
pub struct Module {
    /// Its path from the main file, without extension.
    pub name: String,
    /// Its free-form texts and definitions in order.
    pub contents: Vec<Content>,
}

/// A thing in a file.
#[derive(Debug)]
pub enum Content {
    /// Free-form text, by itself.
    Text(String),
    /// The index of a definition.
    Definition(usize),
}

/// A feature.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// When it is there.
    pub condition: Condition,
}

/// A type as it is referred to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TypeRef {
    /// A builtin or defined type.
    Name(String),
    /// A list of them.
    List(String),
}

/// A member of an object, an argument of a command, or an event's datum.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name on the wire.
    pub name: String,
    /// Its type.
    pub kind: TypeRef,
    /// Whether it may be absent.
    pub optional: bool,
    /// When it is there.
    pub condition: Condition,
    /// Its features.
    pub features: Vec<Feature>,
}

/// A value of an enumeration.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// Its name on the wire.
    pub name: String,
    /// When it is there.
    pub condition: Condition,
    /// Its features.
    pub features: Vec<Feature>,
}

/// An enumeration.
#[derive(Clone, Debug)]
pub struct Enum {
    /// Its values.
    pub values: Vec<EnumValue>,
}

/// A struct.
#[derive(Clone, Debug)]
pub struct Object {
    /// The struct whose members come first.
    pub base: Option<String>,
    /// Its own members.
    pub members: Vec<Member>,
}

/// A branch of a union or an alternate.
#[derive(Clone, Debug)]
pub struct Branch {
    /// The discriminator's value, or the alternate's label.
    pub name: String,
    /// What the branch holds.
    pub kind: TypeRef,
    /// When it is there.
    pub condition: Condition,
}

/// A flat union.
#[derive(Clone, Debug)]
pub struct Union {
    /// The struct whose members all branches share, if it has a name.
    pub base: Option<String>,
    /// The members all branches share, if they stand in the union itself.
    pub members: Vec<Member>,
    /// The shared member that chooses the branch.
    pub discriminator: String,
    /// The branches that have members.
    pub branches: Vec<Branch>,
}

/// A choice by the kind of JSON value.
#[derive(Clone, Debug)]
pub struct Alternate {
    /// The choices.
    pub branches: Vec<Branch>,
}

/// A command.
#[derive(Clone, Debug)]
pub struct Command {
    /// A named argument type (`boxed`, or simply named).
    pub data: Option<String>,
    /// Arguments that stand in the command itself.
    pub members: Vec<Member>,
    /// What it returns.
    pub returns: Option<TypeRef>,
    /// `gen`: whether arguments are read by generated code.
    pub generated: bool,
    /// `boxed`
    pub boxed: bool,
    /// `success-response`
    pub success_response: bool,
    /// `allow-oob`
    pub allow_oob: bool,
    /// `allow-preconfig`
    pub allow_preconfig: bool,
    /// `coroutine`
    pub coroutine: bool,
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// A named type of data.
    pub data: Option<String>,
    /// Data that stand in the event itself.
    pub members: Vec<Member>,
    /// `boxed`
    pub boxed: bool,
}

/// What a definition defines.
#[derive(Clone, Debug)]
pub enum Body {
    /// `enum`
    Enum(Enum),
    /// `struct`
    Struct(Object),
    /// `union`
    Union(Union),
    /// `alternate`
    Alternate(Alternate),
    /// `command`
    Command(Command),
    /// `event`
    Event(Event),
}

/// A definition.
#[derive(Debug)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What it is.
    pub body: Body,
    /// When it is part of the interface.
    pub condition: Condition,
    /// Its features.
    pub features: Vec<Feature>,
    /// Its documentation.
    pub doc: Option<Doc>,
}

impl Schema {
    /// The definition of that name.
    pub fn find(&self, name: &str) -> Option<&Definition> {
        self.definitions
            .iter()
            .find(|definition| definition.name == name)
    }

    /// Every definition, file by file.
    pub fn in_order(&self) -> impl Iterator<Item = &Definition> {
        let contents = self.modules.iter().flat_map(|module| &module.contents);
        contents.filter_map(|content| match content {
            Content::Definition(index) => self.definitions.get(*index),
            Content::Text(_) => None,
        })
    }

    /// The members of a struct, or those that all branches of a union share;
    /// inherited ones first.
    pub fn members<'a>(&'a self, definition: &'a Definition) -> Vec<&'a Member> {
        let mut chain = vec![definition];
        let mut at = definition;
        // The schema is checked: bases end.
        while let Body::Struct(Object {
            base: Some(base), ..
        })
        | Body::Union(Union {
            base: Some(base), ..
        }) = &at.body
            && let Some(found) = self.find(base)
        {
            chain.push(found);
            at = found;
        }
        let chain = chain.into_iter().rev();
        chain
            .flat_map(|definition| definition.body.members())
            .collect()
    }
}

impl Schema {
    /// The schema with all that is conditional in it, as if no condition had
    /// been written.
    #[must_use]
    pub fn unconditional(mut self) -> Self {
        for definition in &mut self.definitions {
            definition.condition = Condition::Always;
            for feature in &mut definition.features {
                feature.condition = Condition::Always;
            }
            definition.body.unconditional();
        }
        self
    }
}

impl Body {
    fn unconditional(&mut self) {
        let (members, branches, values) = match self {
            Self::Enum(body) => (&mut [][..], &mut [][..], body.values.as_mut_slice()),
            Self::Struct(body) => (body.members.as_mut_slice(), &mut [][..], &mut [][..]),
            Self::Union(body) => (
                body.members.as_mut_slice(),
                body.branches.as_mut_slice(),
                &mut [][..],
            ),
            Self::Alternate(body) => (&mut [][..], body.branches.as_mut_slice(), &mut [][..]),
            Self::Command(body) => (body.members.as_mut_slice(), &mut [][..], &mut [][..]),
            Self::Event(body) => (body.members.as_mut_slice(), &mut [][..], &mut [][..]),
        };
        let members = members.iter_mut();
        let members = members.map(|member| (&mut member.condition, &mut member.features));
        let values = values.iter_mut();
        let values = values.map(|value| (&mut value.condition, &mut value.features));
        for (condition, features) in members.chain(values) {
            *condition = Condition::Always;
            for feature in features {
                feature.condition = Condition::Always;
            }
        }
        for branch in branches {
            branch.condition = Condition::Always;
        }
    }
}

impl TypeRef {
    /// The name of the type, or of the elements of the list.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::List(name) => name,
        }
    }
}

impl Body {
    /// The members that are written in the definition itself.
    pub fn members(&self) -> &[Member] {
        match self {
            Self::Struct(object) => &object.members,
            Self::Union(union) => &union.members,
            Self::Command(command) => &command.members,
            Self::Event(event) => &event.members,
            Self::Enum(_) | Self::Alternate(_) => &[],
        }
    }

    /// The key that introduces such a definition.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Enum(_) => "enum",
            Self::Struct(_) => "struct",
            Self::Union(_) => "union",
            Self::Alternate(_) => "alternate",
            Self::Command(_) => "command",
            Self::Event(_) => "event",
        }
    }
}

impl Definition {
    /// Its features and those of its parts.
    pub fn all_features(&self) -> impl Iterator<Item = &Feature> {
        self.features_where(|_| true)
    }

    /// Its features and those of the parts that are there with some symbols
    /// defined.
    pub fn present_features<'a>(
        &'a self,
        defined: &'a HashSet<String>,
    ) -> impl Iterator<Item = &'a Feature> {
        self.features_where(|condition| condition.holds(defined))
            .filter(|feature| feature.condition.holds(defined))
    }

    /// Its features and those of the parts whose condition is `wanted`.
    fn features_where(
        &self,
        wanted: impl Fn(&Condition) -> bool,
    ) -> impl Iterator<Item = &Feature> {
        let values = match &self.body {
            Body::Enum(body) => body.values.as_slice(),
            _ => &[],
        };
        let members = self.body.members().iter();
        let members = members.map(|member| (&member.condition, &member.features));
        let values = values
            .iter()
            .map(|value| (&value.condition, &value.features));
        let parts = members.chain(values);
        let parts = parts.filter(move |(condition, _)| wanted(condition));
        self.features
            .iter()
            .chain(parts.flat_map(|(_, features)| features))
    }

    /// Whether it has the feature of that name.
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.iter().any(|feature| feature.name == name)
    }
}
