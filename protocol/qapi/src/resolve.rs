//! From definitions to a schema: what they refer to exists, fits, and does
//! not clash.

use std::collections::{HashMap, HashSet};

use crate::doc::{Section, SectionKind};
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
            return position.fail(format!("{} '{name}' is already defined", item.kind));
        }
        let clash = self
            .definitions
            .iter()
            .find(|other| mangle(&other.name) == mangle(name));
        if let Some(other) = clash {
            return position.fail(format!(
                "{} '{name}' collides with '{}'",
                item.kind, other.name
            ));
        }
        self.features
            .extend(all_features(&definition).into_iter().map(str::to_owned));
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

/// A member together with the named type it comes from, if not the one checked.
type Owned<'a> = (&'a Member, Option<&'a str>);

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

    fn definition(&self, definition: &Definition, item: &Item) -> Result<()> {
        let position = &item.expression.position;
        match &definition.body {
            Body::Enum(body) => check_values(body, position)?,
            Body::Struct(body) => self.object(
                definition,
                body.base.as_deref(),
                &body.members,
                "member",
                position,
            )?,
            Body::Union(body) => {
                self.object(
                    definition,
                    body.base.as_deref(),
                    &body.members,
                    "member",
                    position,
                )?;
                self.union(definition, position)?;
            }
            Body::Alternate(body) => self.alternate(&body.branches, position)?,
            Body::Command(body) => {
                self.data(
                    definition,
                    body.data.as_deref(),
                    &body.members,
                    body.boxed,
                    position,
                )?;
                if let Some(returns) = &body.returns {
                    self.returns(definition, returns, item)?;
                }
            }
            Body::Event(body) => self.data(
                definition,
                body.data.as_deref(),
                &body.members,
                body.boxed,
                position,
            )?,
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

    /// Checks an object's own members and those it inherits.
    fn object(
        &self,
        definition: &Definition,
        base: Option<&str>,
        members: &[Member],
        role: &str,
        position: &Position,
    ) -> Result<()> {
        if let Some(base) = base {
            if !self.exists(base) {
                return position.fail(format!("'base' uses unknown type '{base}'"));
            }
            if !matches!(
                self.find(base).map(|found| &found.body),
                Some(Body::Struct(_))
            ) {
                return position.fail(format!(
                    "'base' requires a struct type, {} isn't",
                    self.describe(base)
                ));
            }
        }
        for member in members {
            self.check_type(&member.kind, &format!("{role} '{}'", member.name), position)?;
        }
        if self.contains_itself(&definition.name) {
            return position.fail(format!("object {} contains itself", definition.name));
        }
        let mut all = Vec::new();
        self.inherited(base, &mut all);
        all.extend(members.iter().map(|member| (member, None)));
        check_collisions(&all, role, position)
    }

    /// Whether following bases leads back to where it began.
    fn contains_itself(&self, name: &str) -> bool {
        let mut seen = HashSet::from([name]);
        let mut at = name;
        while let Some(Body::Struct(object)) = self.find(at).map(|found| &found.body)
            && let Some(base) = &object.base
        {
            if !seen.insert(base) {
                return true;
            }
            at = base;
        }
        false
    }

    /// Adds the members of a struct and its bases, the outermost first.
    fn inherited(&self, name: Option<&'a str>, members: &mut Vec<Owned<'a>>) {
        let Some(name) = name else { return };
        let Some(Body::Struct(object)) = self.find(name).map(|found| &found.body) else {
            return;
        };
        if !self.contains_itself(name) {
            self.inherited(object.base.as_deref(), members);
            members.extend(object.members.iter().map(|member| (member, Some(name))));
        }
    }

    fn union(&self, definition: &'a Definition, position: &Position) -> Result<()> {
        let Body::Union(union) = &definition.body else {
            return Ok(());
        };
        let mut shared = Vec::new();
        self.inherited(union.base.as_deref(), &mut shared);
        shared.extend(union.members.iter().map(|member| (member, None)));
        let base = match &union.base {
            Some(base) => format!("base type '{base}'"),
            None => "'base'".into(),
        };
        let discriminator = &union.discriminator;
        let Some((member, _)) = shared
            .iter()
            .find(|(member, _)| member.name == *discriminator)
        else {
            return position.fail(format!(
                "discriminator '{discriminator}' is not a member of {base}"
            ));
        };
        let what = format!("discriminator member '{discriminator}' of {base}");
        let Some(Body::Enum(values)) = self.find(member.kind.name()).map(|found| &found.body)
        else {
            return position.fail(format!("{what} must be of enum type"));
        };
        if member.optional {
            return position.fail(format!("{what} must not be optional"));
        }
        if !member.condition.is_always() {
            return position.fail(format!("{what} must not be conditional"));
        }
        if values.values.is_empty() {
            return position.fail("union has no branches");
        }
        for branch in &union.branches {
            self.union_branch(branch, member.kind.name(), values, &shared, position)?;
        }
        Ok(())
    }

    fn union_branch(
        &self,
        branch: &'a Branch,
        enumeration: &str,
        values: &Enum,
        shared: &[Owned<'a>],
        position: &Position,
    ) -> Result<()> {
        let name = &branch.name;
        if !values.values.iter().any(|value| value.name == *name) {
            return position.fail(format!(
                "branch '{name}' is not a value of enum type '{enumeration}'"
            ));
        }
        let kind = branch.kind.name();
        self.check_type(&branch.kind, &format!("branch '{name}'"), position)?;
        let nested = match self.find(kind).map(|found| &found.body) {
            Some(Body::Struct(_)) => None,
            Some(Body::Union(union)) => Some(union),
            _ => {
                return position.fail(format!(
                    "branch '{name}' cannot use {}",
                    self.describe(kind)
                ));
            }
        };
        let mut all = shared.to_vec();
        match nested {
            None => self.inherited(Some(kind), &mut all),
            Some(union) => {
                self.inherited(union.base.as_deref(), &mut all);
                all.extend(union.members.iter().map(|member| (member, Some(kind))));
                for inner in &union.branches {
                    let mut deeper = all.clone();
                    self.inherited(Some(inner.kind.name()), &mut deeper);
                    check_collisions(&deeper, "member", position)?;
                }
            }
        }
        check_collisions(&all, "member", position)
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
        definition: &Definition,
        data: Option<&str>,
        members: &[Member],
        boxed: bool,
        position: &Position,
    ) -> Result<()> {
        let is_command = matches!(definition.body, Body::Command(_));
        let kind = if is_command { "command" } else { "event" };
        self.object(definition, None, members, "parameter", position)?;
        let mut conditional = members.iter().any(|member| !member.condition.is_always());
        if let Some(name) = data {
            if !self.exists(name) {
                return position.fail(format!("{kind}'s 'data' uses unknown type '{name}'"));
            }
            match self.find(name).map(|found| &found.body) {
                Some(Body::Struct(object)) => {
                    let mut all = Vec::new();
                    self.inherited(Some(name), &mut all);
                    conditional |= all.iter().any(|(member, _)| !member.condition.is_always());
                    conditional |= object
                        .members
                        .iter()
                        .any(|member| !member.condition.is_always());
                }
                Some(Body::Union(_)) if boxed => {}
                Some(Body::Union(_)) => {
                    return position.fail(format!(
                        "{kind}'s 'data' can take {} only with 'boxed': true",
                        self.describe(name)
                    ));
                }
                _ => {
                    return position.fail(format!(
                        "{kind}'s 'data' cannot take {}",
                        self.describe(name)
                    ));
                }
            }
        }
        match conditional && !boxed {
            true if is_command => {
                position.fail("conditional command arguments require 'boxed': true")
            }
            true => position
                .fail("event's 'data' members may have 'if' conditions only with 'boxed': true"),
            false => Ok(()),
        }
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

    /// Checks that documentation and definition agree.
    fn documentation(&self, definition: &Definition, item: &Item) -> Result<()> {
        let Some(doc) = &item.doc else {
            return Ok(());
        };
        let names = documentable(definition);
        let unknown: Vec<&str> = doc
            .members()
            .filter(|member| !names.contains(member))
            .collect();
        if !unknown.is_empty() {
            return doc.position.fail(plural(
                "documented member",
                &unknown,
                "does not exist",
                "do not exist",
            ));
        }
        let required =
            item.pragmas.doc_required && !item.pragmas.documentation.contains(&definition.name);
        let silent: Vec<&str> = names
            .into_iter()
            .filter(|name| doc.member(name).is_none())
            .collect();
        if required && !silent.is_empty() {
            return item.expression.fail(plural(
                "member",
                &silent,
                "lacks documentation",
                "lack documentation",
            ));
        }
        self.feature_documentation(definition, item)?;
        let returns = doc
            .sections
            .iter()
            .find(|section| section.kind == SectionKind::Returns);
        let errors = doc
            .sections
            .iter()
            .find(|section| section.kind == SectionKind::Errors);
        let misplaced =
            |section: &Section, message: &str| doc.section_position(section).fail(message);
        match (&definition.body, returns, errors) {
            (Body::Command(command), Some(section), _) if command.returns.is_none() => misplaced(
                section,
                "'Returns' section, but command doesn't return anything",
            ),
            (Body::Command(_), ..) | (_, None, None) => Ok(()),
            (_, Some(section), _) => {
                misplaced(section, "'Returns' section is only valid for commands")
            }
            (_, None, Some(section)) => {
                misplaced(section, "'Errors' section is only valid for commands")
            }
        }
    }

    fn feature_documentation(&self, definition: &Definition, item: &Item) -> Result<()> {
        let Some(doc) = &item.doc else {
            return Ok(());
        };
        let features: Vec<&str> = all_features(definition);
        let unknown: Vec<&str> = doc
            .features()
            .filter(|name| !features.contains(name))
            .collect();
        if !unknown.is_empty() {
            return doc.position.fail(plural(
                "documented feature",
                &unknown,
                "does not exist",
                "do not exist",
            ));
        }
        match features
            .iter()
            .find(|name| !doc.features().any(|documented| documented == **name))
        {
            Some(name) => item
                .expression
                .fail(format!("feature '{name}' lacks documentation")),
            None => Ok(()),
        }
    }
}

fn all_features(definition: &Definition) -> Vec<&str> {
    let own = definition.features.iter();
    let inner: Vec<&crate::model::Feature> = match &definition.body {
        Body::Enum(body) => body
            .values
            .iter()
            .flat_map(|value| &value.features)
            .collect(),
        Body::Struct(body) => body
            .members
            .iter()
            .flat_map(|member| &member.features)
            .collect(),
        Body::Union(body) => body
            .members
            .iter()
            .flat_map(|member| &member.features)
            .collect(),
        Body::Command(body) => body
            .members
            .iter()
            .flat_map(|member| &member.features)
            .collect(),
        Body::Event(body) => body
            .members
            .iter()
            .flat_map(|member| &member.features)
            .collect(),
        Body::Alternate(_) => Vec::new(),
    };
    own.chain(inner)
        .map(|feature| feature.name.as_str())
        .collect()
}

/// The names that documentation may describe.
fn documentable(definition: &Definition) -> Vec<&str> {
    match &definition.body {
        Body::Enum(body) => body
            .values
            .iter()
            .map(|value| value.name.as_str())
            .collect(),
        Body::Struct(body) => body
            .members
            .iter()
            .map(|member| member.name.as_str())
            .collect(),
        Body::Union(body) => body
            .members
            .iter()
            .map(|member| member.name.as_str())
            .collect(),
        Body::Alternate(body) => body
            .branches
            .iter()
            .map(|branch| branch.name.as_str())
            .collect(),
        Body::Command(body) => body
            .members
            .iter()
            .map(|member| member.name.as_str())
            .collect(),
        Body::Event(body) => body
            .members
            .iter()
            .map(|member| member.name.as_str())
            .collect(),
    }
}

fn plural(what: &str, names: &[&str], one: &str, many: &str) -> String {
    let list: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match names.len() {
        1 => format!("{what} {} {one}", list[0]),
        _ => format!("{what}s {} {many}", list.join(", ")),
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

fn check_collisions(members: &[Owned<'_>], role: &str, position: &Position) -> Result<()> {
    let mut seen: HashMap<String, &Owned<'_>> = HashMap::new();
    for owned in members {
        let (member, owner) = owned;
        if let Some((other, other_owner)) = seen.insert(mangle(&member.name), owned) {
            let of = |owner: &Option<&str>| {
                owner.map_or_else(String::new, |owner| format!(" of type '{owner}'"))
            };
            return position.fail(format!(
                "{role} '{}'{} collides with {role} '{}'{}",
                member.name,
                of(owner),
                other.name,
                of(other_owner)
            ));
        }
    }
    Ok(())
}
