//! The Rust types of enumerations, structs, unions and alternates.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::naming::{self, field, type_name};
use super::{member_doc, needs_rename, write_comment, write_doc};
use crate::condition::Condition;
use crate::doc::Doc;
use crate::model::{
    Alternate, Body, Branch, Definition, Enum, Member, Object, Schema, TypeRef, Union,
};
use crate::resolve::builtin;

/// How code refers to types.
pub(super) struct Style {
    /// The path to the root of the generated modules.
    pub root: &'static str,
    /// The type of any JSON value.
    pub any: &'static str,
}

/// A crate of its own, on the server's side.
pub(super) const SERVER: Style = Style {
    root: "crate",
    any: "tinamou_qmp::Value",
};

/// What the types of a schema look like with some symbols defined.
pub(super) struct Types<'a> {
    pub(super) schema: &'a Schema,
    defined: &'a HashSet<String>,
    style: &'static Style,
}

impl<'a> Types<'a> {
    pub(super) fn new(
        schema: &'a Schema,
        defined: &'a HashSet<String>,
        style: &'static Style,
    ) -> Self {
        Self {
            schema,
            defined,
            style,
        }
    }

    pub(super) fn is_defined(&self, condition: &Condition) -> bool {
        condition.holds(self.defined)
    }

    /// How a type is written where it is used.
    pub(super) fn reference(&self, kind: &TypeRef) -> String {
        match kind {
            TypeRef::List(name) => format!("Vec<{}>", self.named(name)),
            TypeRef::Name(name) => self.named(name),
        }
    }

    fn named(&self, name: &str) -> String {
        match name {
            "str" | "QType" => "String".into(),
            "int" | "int64" => "i64".into(),
            "size" | "uint64" => "u64".into(),
            "number" => "f64".into(),
            "bool" => "bool".into(),
            "any" => self.style.any.into(),
            "null" => "()".into(),
            _ => match name
                .strip_prefix("uint")
                .or_else(|| name.strip_prefix("int"))
            {
                Some(bits @ ("8" | "16" | "32")) => format!("{}{bits}", &name[..1]),
                _ => format!("{}::{}", self.style.root, type_name(name)),
            },
        }
    }

    /// The name of the type that stands for a command. Some schemas have a
    /// type whose Rust name is the same, often that of the arguments.
    pub(super) fn marker(&self, command: &Definition) -> String {
        let name = type_name(&command.name);
        let is_type = |other: &Definition| {
            !matches!(other.body, Body::Command(_) | Body::Event(_))
                && self.is_defined(&other.condition)
                && type_name(&other.name) == name
        };
        match self.schema.definitions.iter().any(is_type) {
            true => name + "Command",
            false => name,
        }
    }

    pub(super) fn enumeration(&self, out: &mut String, definition: &Definition, body: &Enum) {
        let name = type_name(&definition.name);
        let values: Vec<_> = body
            .values
            .iter()
            .filter(|value| self.is_defined(&value.condition))
            .collect();
        write_doc(
            out,
            &format!("Enumeration `{}`.", definition.name),
            definition.doc.as_ref(),
        );
        let _ = writeln!(
            out,
            "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]\npub enum {name} {{"
        );
        for value in &values {
            let text = definition
                .doc
                .as_ref()
                .and_then(|doc| doc.member(&value.name))
                .filter(|text| !text.is_empty());
            write_comment(out, text.unwrap_or(&format!("Value `{}`.", value.name)));
            let _ = writeln!(
                out,
                "#[serde(rename = {:?})]\n{},",
                value.name,
                naming::variant(&value.name)
            );
        }
        let table: String = values
            .iter()
            .map(|v| format!("({:?}, Self::{}),\n", v.name, naming::variant(&v.name)))
            .collect();
        let arms: String = values
            .iter()
            .map(|v| format!("Self::{} => {:?},\n", naming::variant(&v.name), v.name))
            .collect();
        let subject = if values.is_empty() { "*self" } else { "self" };
        let _ = write!(
            out,
            "}}\n\nimpl {name} {{\n/// Every value with its name on the wire.\n\
             pub const ALL: &[(&str, Self)] = &[\n{table}];\n\n\
             /// The name on the wire.\npub fn as_str(&self) -> &'static str {{\nmatch {subject} {{\n{arms}}}\n}}\n}}\n\n\
             impl Visit for {name} {{\nfn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {{\n\
             visit::enumeration(source, name, Self::ALL)\n}}\n}}\n\n",
        );
    }

    pub(super) fn structure(&self, out: &mut String, definition: &Definition, object: &Object) {
        let summary = format!("Struct `{}`.", definition.name);
        let name = type_name(&definition.name);
        let base = object.base.as_deref();
        self.members_struct(
            out,
            &name,
            &summary,
            base,
            &object.members,
            definition.doc.as_ref(),
        );
    }

    /// A struct that is read and written.
    pub(super) fn members_struct(
        &self,
        out: &mut String,
        name: &str,
        summary: &str,
        base: Option<&str>,
        members: &[Member],
        doc: Option<&Doc>,
    ) {
        self.fields(out, name, summary, base, members, doc);
        let members: Vec<_> = members
            .iter()
            .filter(|member| self.is_defined(&member.condition))
            .collect();
        let mut reads: String = members
            .iter()
            .map(|m| format!("{}: {},\n", field(&m.name), read(m)))
            .collect();
        if base.is_some() {
            reads.insert_str(0, "base: VisitMembers::visit_members(source)?,\n");
        }
        write_reader(
            out,
            name,
            &format!("Ok(Self {{\n{reads}}})"),
            reads.is_empty(),
        );
    }

    /// A struct that is only written.
    pub(super) fn output_struct(
        &self,
        out: &mut String,
        name: &str,
        summary: &str,
        members: &[Member],
        doc: Option<&Doc>,
    ) {
        self.fields(out, name, summary, None, members, doc);
    }

    fn fields(
        &self,
        out: &mut String,
        name: &str,
        summary: &str,
        base: Option<&str>,
        members: &[Member],
        doc: Option<&Doc>,
    ) {
        write_doc(out, summary, doc);
        let _ = writeln!(
            out,
            "#[derive(Clone, Debug, PartialEq, Serialize)]\npub struct {name} {{"
        );
        if let Some(base) = base {
            let _ = writeln!(
                out,
                "/// The members of `{base}`.\n#[serde(flatten)]\npub base: {},",
                self.named(base)
            );
        }
        for member in members
            .iter()
            .filter(|member| self.is_defined(&member.condition))
        {
            self.field(out, name, member, doc);
        }
        out.push_str("}\n\n");
    }

    fn field(&self, out: &mut String, owner: &str, member: &Member, doc: Option<&Doc>) {
        write_comment(out, &member_doc(member, doc));
        self.plain_field(out, owner, member);
    }

    /// A field without its documentation.
    pub(super) fn plain_field(&self, out: &mut String, owner: &str, member: &Member) {
        let mut attributes = Vec::new();
        if needs_rename(&member.name) {
            attributes.push(format!("rename = {:?}", member.name));
        }
        if member.optional {
            attributes.push("skip_serializing_if = \"Option::is_none\"".into());
        }
        if !attributes.is_empty() {
            let _ = writeln!(out, "#[serde({})]", attributes.join(", "));
        }
        let mut kind = self.owned(owner, &member.kind);
        if member.optional {
            kind = format!("Option<{kind}>");
        }
        let _ = writeln!(out, "pub {}: {kind},", field(&member.name));
    }

    /// The type of a field: boxed where a type would otherwise hold itself.
    pub(super) fn owned(&self, owner: &str, kind: &TypeRef) -> String {
        let reference = self.reference(kind);
        match kind {
            TypeRef::Name(name) if self.holds(name, owner) => {
                format!("Box<{reference}>")
            }
            _ => reference,
        }
    }

    /// Whether a value of type `from` may directly hold one of type `to`.
    fn holds(&self, from: &str, to: &str) -> bool {
        let mut stack = vec![from];
        let mut seen = HashSet::new();
        while let Some(name) = stack.pop() {
            if type_name(name) == to {
                return true;
            }
            if seen.insert(name)
                && let Some(definition) = self.schema.find(name)
            {
                stack.extend(held(&definition.body));
            }
        }
        false
    }

    pub(super) fn union(&self, out: &mut String, definition: &'a Definition, union: &Union) {
        let name = type_name(&definition.name);
        let shared = self.shared(definition);
        let Some(tag) = shared
            .iter()
            .find(|member| member.name == union.discriminator)
        else {
            return;
        };
        let Some(Body::Enum(values)) = self.schema.find(tag.kind.name()).map(|found| &found.body)
        else {
            return;
        };
        write_doc(
            out,
            &format!("Union `{}`.", definition.name),
            definition.doc.as_ref(),
        );
        let _ = writeln!(
            out,
            "#[derive(Clone, Debug, PartialEq, Serialize)]\npub struct {name} {{"
        );
        for member in shared.iter().filter(|member| member.name != tag.name) {
            self.field(out, &name, member, definition.doc.as_ref());
        }
        let _ = write!(
            out,
            "/// What `{}` says it is.\n#[serde(flatten)]\npub branch: {name}Branch,\n}}\n\n",
            tag.name
        );
        let variants: Vec<(&str, Option<&Branch>)> = values
            .values
            .iter()
            .filter(|value| self.is_defined(&value.condition))
            .map(|value| {
                (
                    value.name.as_str(),
                    union
                        .branches
                        .iter()
                        .find(|branch| branch.name == value.name),
                )
            })
            .collect();
        self.branch_enum(out, &name, tag, &variants);
        self.union_reader(out, &name, tag, &shared, &variants);
    }

    /// The members that all branches have, those of bases first.
    fn shared(&self, definition: &'a Definition) -> Vec<&'a Member> {
        let mut members = self.schema.members(definition);
        members.retain(|member| self.is_defined(&member.condition));
        members
    }

    fn branch_enum(
        &self,
        out: &mut String,
        name: &str,
        tag: &Member,
        variants: &[(&str, Option<&Branch>)],
    ) {
        let tag_type = self.reference(&tag.kind);
        let _ = write!(
            out,
            "/// The branches of [`{name}`].\n#[derive(Clone, Debug, PartialEq, Serialize)]\n\
             #[serde(tag = {:?})]\npub enum {name}Branch {{\n",
            tag.name
        );
        let mut arms = String::new();
        for (value, branch) in variants {
            let variant = naming::variant(value);
            let held = branch.map_or_else(String::new, |branch| {
                format!("({})", self.owned(name, &branch.kind))
            });
            let _ = writeln!(
                out,
                "/// Branch `{value}`.\n#[serde(rename = {value:?})]\n{variant}{held},"
            );
            let pattern = if branch.is_some() { "(_)" } else { "" };
            let _ = writeln!(arms, "Self::{variant}{pattern} => {tag_type}::{variant},");
        }
        let _ = write!(
            out,
            "}}\n\nimpl {name}Branch {{\n/// Which branch it is.\npub fn kind(&self) -> {tag_type} {{\n\
             match self {{\n{arms}}}\n}}\n}}\n\n"
        );
    }

    fn union_reader(
        &self,
        out: &mut String,
        name: &str,
        tag: &Member,
        shared: &[&Member],
        variants: &[(&str, Option<&Branch>)],
    ) {
        let tag_type = self.reference(&tag.kind);
        let mut body = String::new();
        for member in shared {
            let kind = if member.name == tag.name {
                format!(": {tag_type}")
            } else {
                String::new()
            };
            let _ = writeln!(
                body,
                "let {}{kind} = {};",
                field(&member.name),
                read(member)
            );
        }
        let _ = writeln!(body, "let branch = match {} {{", field(&tag.name));
        for (value, branch) in variants {
            let variant = naming::variant(value);
            let boxed =
                branch.is_some_and(|branch| self.owned(name, &branch.kind).starts_with("Box<"));
            let held = match (branch, boxed) {
                (None, _) => "",
                (Some(_), false) => "(VisitMembers::visit_members(source)?)",
                (Some(_), true) => "(Box::new(VisitMembers::visit_members(source)?))",
            };
            let _ = writeln!(
                body,
                "{tag_type}::{variant} => {name}Branch::{variant}{held},"
            );
        }
        let others = shared.iter().filter(|member| member.name != tag.name);
        let fields: String = others
            .map(|member| format!("{},\n", field(&member.name)))
            .collect();
        let _ = write!(body, "}};\nOk(Self {{\n{fields}branch,\n}})");
        write_reader(out, name, &body, false);
    }

    pub(super) fn alternate(
        &self,
        out: &mut String,
        definition: &Definition,
        alternate: &Alternate,
    ) {
        let name = type_name(&definition.name);
        let branches: Vec<_> = alternate
            .branches
            .iter()
            .filter(|b| self.is_defined(&b.condition))
            .collect();
        write_doc(
            out,
            &format!("Alternate `{}`.", definition.name),
            definition.doc.as_ref(),
        );
        let _ = writeln!(
            out,
            "#[derive(Clone, Debug, PartialEq, Serialize)]\n#[serde(untagged)]\npub enum {name} {{"
        );
        let mut arms = String::new();
        for branch in &branches {
            let variant = naming::variant(&branch.name);
            let text = definition
                .doc
                .as_ref()
                .and_then(|doc| doc.member(&branch.name))
                .filter(|text| !text.is_empty());
            write_comment(out, text.unwrap_or(&format!("Branch `{}`.", branch.name)));
            let _ = writeln!(out, "{variant}({}),", self.owned(&name, &branch.kind));
            let _ = writeln!(
                arms,
                "tinamou_qmp::Kind::{} => Ok(Self::{variant}(Visit::visit(source, name)?)),",
                self.kind(&branch.kind)
            );
        }
        let _ = write!(
            out,
            "}}\n\nimpl Visit for {name} {{\nfn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {{\n\
             match source.kind(name)? {{\n{arms}_ => Err(visit::no_branch(name, {:?})),\n}}\n}}\n}}\n\n",
            definition.name
        );
    }

    /// The kind of JSON value that a branch of an alternate is written as.
    pub(super) fn kind(&self, kind: &TypeRef) -> &'static str {
        let TypeRef::Name(name) = kind else {
            return "Array";
        };
        match (
            self.schema.find(name).map(|found| &found.body),
            builtin(name),
        ) {
            (Some(Body::Enum(_)), _) | (_, Some("string")) => "String",
            (_, Some("int" | "number")) => "Number",
            (_, Some("boolean")) => "Bool",
            (_, Some("null")) => "Null",
            _ => "Object",
        }
    }
}

/// The types of which a value of a type holds values, save in lists.
fn held(body: &Body) -> Vec<&str> {
    let (base, branches) = match body {
        Body::Struct(object) => (object.base.as_deref(), &[][..]),
        Body::Union(union) => (union.base.as_deref(), union.branches.as_slice()),
        Body::Alternate(alternate) => (None, alternate.branches.as_slice()),
        _ => (None, &[][..]),
    };
    let members = body.members().iter().map(|member| &member.kind);
    let kinds = members.chain(branches.iter().map(|branch| &branch.kind));
    let plain = kinds.filter_map(|kind| match kind {
        TypeRef::Name(name) => Some(name.as_str()),
        TypeRef::List(_) => None,
    });
    plain.chain(base).collect()
}

/// The expression that reads a member.
fn read(member: &Member) -> String {
    let name = &member.name;
    match (member.optional, member.kind == TypeRef::Name("size".into())) {
        (false, false) => format!("Visit::visit(source, Some({name:?}))?"),
        (true, false) => format!("visit::optional(source, {name:?})?"),
        (false, true) => format!("visit::size(source, Some({name:?}))?"),
        (true, true) => format!("visit::optional_with(source, {name:?}, visit::size)?"),
    }
}

/// Writes how the members are read in place, and as a whole.
fn write_reader(out: &mut String, name: &str, body: &str, is_empty: bool) {
    let source = if is_empty { "_" } else { "source" };
    let _ = write!(
        out,
        "impl VisitMembers for {name} {{\nfn visit_members<S: Source>({source}: &mut S) -> Result<Self> {{\n\
         {body}\n}}\n}}\n\n\
         impl Visit for {name} {{\nfn visit<S: Source>(source: &mut S, name: Name<'_>) -> Result<Self> {{\n\
         visit::structure(source, name)\n}}\n}}\n\n"
    );
}
