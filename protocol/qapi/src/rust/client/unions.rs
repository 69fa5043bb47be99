//! Unions and alternates.

use std::fmt::Write as _;

use super::types::{Documented, variant};
use super::{Client, Description};
use crate::model::{Alternate, Body, Branch, Definition, Member, TypeRef, Union};
use crate::rust::naming::{field, type_name};
use crate::rust::write_comment;

/// A branch of more bytes than this is boxed, so that it does not make values
/// of all others as large.
const LARGE: usize = 400;

/// A value of the tag, with what it brings.
type Case<'a> = (&'a str, Option<&'a Branch>);

impl<'a> Client<'a> {
    /// An enumeration of the branches; in a struct where they share more than
    /// the tag.
    pub(super) fn union(&self, out: &mut String, definition: &'a Definition, union: &'a Union) {
        let name = type_name(&definition.name);
        let doc = Description::of(definition, "Union");
        let mut shared = self.members(definition);
        let Some(tag) = shared
            .iter()
            .position(|(member, _)| member.name == union.discriminator)
        else {
            return;
        };
        let (tag, _) = shared.remove(tag);
        let cases = self.cases(union, tag);
        let branches = match shared.is_empty() {
            true => {
                doc.write(out);
                name.clone()
            }
            false => {
                self.union_struct(out, &name, &doc, tag, &shared);
                let branches = format!("{name}Branch");
                let _ = writeln!(out, "/// The branches of [`{name}`].");
                branches
            }
        };
        self.branches(out, &name, &branches, tag, &cases);
        self.tagged(out, &name, &branches, tag, &shared, &cases);
        write_deserialize(out, &name, "tagged");
    }

    fn cases(&self, union: &'a Union, tag: &Member) -> Vec<Case<'a>> {
        let values = self.types.schema.find(tag.kind.name());
        let Some(Body::Enum(values)) = values.map(|found| &found.body) else {
            return Vec::new();
        };
        let values = values.values.iter();
        let values = values.filter(|value| self.types.is_defined(&value.condition));
        let branch = |name: &str| union.branches.iter().find(|branch| branch.name == name);
        values
            .map(|value| (value.name.as_str(), branch(&value.name)))
            .collect()
    }

    fn union_struct(
        &self,
        out: &mut String,
        name: &str,
        doc: &Description<'_>,
        tag: &Member,
        shared: &[Documented<'_>],
    ) {
        doc.write(out);
        let _ = writeln!(
            out,
            "#[derive(Clone, Debug, PartialEq, Serialize)]\npub struct {name} {{"
        );
        for member in shared {
            self.field(out, name, member);
        }
        let _ = writeln!(
            out,
            "/// What `{}` says it is.\n#[serde(flatten)]\npub branch: {name}Branch,\n}}\n",
            tag.name
        );
    }

    fn branches(
        &self,
        out: &mut String,
        owner: &str,
        name: &str,
        tag: &Member,
        cases: &[Case<'_>],
    ) {
        let _ = writeln!(
            out,
            "#[derive(Clone, Debug, PartialEq, Serialize)]\n#[serde(tag = {:?})]\n#[non_exhaustive]\n\
             pub enum {name} {{",
            tag.name
        );
        for (value, branch) in cases {
            let held = branch.map_or_else(String::new, |branch| {
                format!("({})", self.held(owner, &branch.kind))
            });
            let _ = writeln!(
                out,
                "/// Branch `{value}`.\n#[serde(rename = {value:?})]\n{}{held},",
                variant(value)
            );
        }
        out.push_str(
            "/// A branch that was not known when this was made, with its tag.\n\
             #[serde(untagged)]\nUnknown(typed::Object),\n}\n\n",
        );
    }

    /// The type in a branch: boxed if it is recursive, or large.
    fn held(&self, owner: &str, kind: &TypeRef) -> String {
        let owned = self.types.owned(owner, kind);
        match self.size(kind, 0) > LARGE && !owned.starts_with("Box<") {
            true => format!("Box<{owned}>"),
            false => owned,
        }
    }

    /// About how many bytes a value has in place.
    fn size(&self, kind: &TypeRef, depth: usize) -> usize {
        let TypeRef::Name(name) = kind else {
            return 24;
        };
        match self.types.schema.find(name) {
            Some(found) if depth < 3 && matches!(found.body, Body::Struct(_)) => {
                let members = self.types.schema.members(found);
                let sizes = members
                    .iter()
                    .map(|member| self.size(&member.kind, depth + 1));
                sizes.sum()
            }
            Some(_) => 24,
            None if name == "str" => 24,
            None => 12,
        }
    }

    /// How the members beside the tag are read.
    fn tagged(
        &self,
        out: &mut String,
        name: &str,
        branches: &str,
        tag: &Member,
        shared: &[Documented<'_>],
        cases: &[Case<'_>],
    ) {
        let names: String = cases
            .iter()
            .map(|(value, _)| format!(", {value:?}"))
            .collect();
        let _ = writeln!(
            out,
            "impl typed::Tagged for {name} {{\nconst TAG: &'static [&'static str] = &[{:?}{names}];\n\n\
             fn read<'de, A: MapAccess<'de>>(tag: &str, members: A) -> Result<Self, A::Error> {{",
            tag.name
        );
        if !shared.is_empty() {
            self.write_shared(out, shared);
        }
        let head = if shared.is_empty() {
            "Ok("
        } else {
            "let branch = "
        };
        let _ = writeln!(out, "{head}match tag {{");
        for (value, branch) in cases {
            let variant = variant(value);
            let read = match branch {
                Some(_) => format!("{branches}::{variant}(typed::branch(members)?)"),
                None => format!("typed::no_members(members).map(|()| {branches}::{variant})?"),
            };
            let _ = writeln!(out, "{value:?} => {read},");
        }
        let _ = writeln!(
            out,
            "_ => {branches}::Unknown(typed::unknown::<Self, _>(tag, members)?),"
        );
        if shared.is_empty() {
            out.push_str("})\n}\n}\n\n");
            return;
        }
        out.push_str("};\nOk(Self {\n");
        for (member, _) in shared {
            let (field, wire) = (field(&member.name), &member.name);
            let _ = match member.optional {
                true => writeln!(out, "{field},"),
                false => writeln!(out, "{field}: typed::required({field}, {wire:?})?,"),
            };
        }
        out.push_str("branch,\n})\n}\n}\n\n");
    }

    /// Reads what all branches share, and leaves the rest.
    fn write_shared(&self, out: &mut String, shared: &[Documented<'_>]) {
        for (member, _) in shared {
            let _ = writeln!(out, "let mut {} = None;", field(&member.name));
        }
        out.push_str(
            "let members = typed::Remaining::new(members, |key, members: &mut A| {\nmatch key {\n",
        );
        for (member, _) in shared {
            let read = match member.optional && !self.takes_null(&member.kind) {
                true => "members.next_value()?",
                false => "Some(members.next_value()?)",
            };
            let _ = writeln!(
                out,
                "{:?} => {} = {read},",
                member.name,
                field(&member.name)
            );
        }
        out.push_str("_ => return Ok(false),\n}\nOk(true)\n});\n");
    }

    pub(super) fn alternate(
        &self,
        out: &mut String,
        definition: &Definition,
        alternate: &Alternate,
    ) {
        let name = type_name(&definition.name);
        Description::of(definition, "Alternate").write(out);
        let _ = writeln!(
            out,
            "#[derive(Clone, Debug, PartialEq, Serialize)]\n#[serde(untagged)]\n#[non_exhaustive]\n\
             pub enum {name} {{"
        );
        let mut arms = String::new();
        let branches = alternate.branches.iter();
        for branch in branches.filter(|branch| self.types.is_defined(&branch.condition)) {
            let variant = variant(&branch.name);
            let doc = definition.doc.as_ref().and_then(|d| d.member(&branch.name));
            let doc = doc.filter(|text| !text.is_empty());
            write_comment(out, doc.unwrap_or(&format!("Branch `{}`.", branch.name)));
            let owned = self.types.owned(&name, &branch.kind);
            let _ = writeln!(out, "{variant}({owned}),");
            let kind = match self.types.kind(&branch.kind) {
                "Bool" => "boolean".to_owned(),
                kind => kind.to_ascii_lowercase(),
            };
            let _ = writeln!(arms, "{kind:?} => Self::{variant}(value.read()?),");
        }
        let _ = writeln!(
            out,
            "}}\n\nimpl typed::Alternate for {name} {{\nconst NAME: &'static str = {:?};\n\n\
             fn read<R: typed::Read>(kind: &str, value: R) -> Result<Option<Self>, R::Error> {{\n\
             Ok(Some(match kind {{\n{arms}_ => return Ok(None),\n}}))\n}}\n}}\n",
            definition.name
        );
        write_deserialize(out, &name, "alternate");
    }
}

fn write_deserialize(out: &mut String, name: &str, function: &str) {
    let _ = writeln!(
        out,
        "impl<'de> Deserialize<'de> for {name} {{\n\
         fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {{\n\
         typed::{function}(deserializer)\n}}\n}}\n"
    );
}
