//! Enumerations and structs.

use std::fmt::Write as _;

use super::{Client, Description, write_features};
use crate::doc::Doc;
use crate::model::{Body, Command, Definition, Enum, Member, Object, TypeRef, Union};
use crate::rust::naming::{self, field, type_name};
use crate::rust::{member_doc, write_comment};

/// More required members than this make a constructor nobody can read.
const PARAMETERS: usize = 5;

/// A member with the documentation of where it stands.
pub(super) type Documented<'a> = (&'a Member, Option<&'a Doc>);

impl<'a> Client<'a> {
    pub(super) fn enumeration(&self, out: &mut String, definition: &Definition, body: &Enum) {
        out.push_str("enumeration! {\n");
        let mut text = String::new();
        Description::of(definition, "Enumeration").write(&mut text);
        let _ = writeln!(text, "pub enum {} {{", type_name(&definition.name));
        let values = body.values.iter();
        for value in values.filter(|value| self.types.is_defined(&value.condition)) {
            let doc = definition.doc.as_ref().and_then(|d| d.member(&value.name));
            let doc = doc.filter(|text| !text.is_empty());
            write_comment(
                &mut text,
                doc.unwrap_or(&format!("Value `{}`.", value.name)),
            );
            write_features(&mut text, &value.features);
            let _ = writeln!(text, "{} = {:?},", variant(&value.name), value.name);
        }
        // `rustfmt` leaves this alone.
        let mut depth = 1;
        for line in text.lines() {
            let _ = writeln!(out, "{}{line}", "    ".repeat(depth));
            depth += usize::from(line.ends_with('{'));
        }
        out.push_str("    }\n}\n\n");
    }

    pub(super) fn structure(&self, out: &mut String, definition: &'a Definition) {
        let name = type_name(&definition.name);
        let doc = Description::of(definition, "Struct");
        let members = self.members(definition);
        self.fields(out, &name, &doc, &members, false);
        if self.inputs.contains(definition.name.as_str()) {
            self.constructor(out, &name, &members, false);
        }
    }

    /// The arguments that stand in a command itself.
    pub(super) fn arguments(
        &self,
        out: &mut String,
        name: &str,
        doc: &Description<'_>,
        definition: &'a Definition,
        command: &Command,
    ) {
        let members = self.members(definition);
        self.fields(out, name, doc, &members, !command.generated);
        self.constructor(out, name, &members, !command.generated);
    }

    /// The data that stand in an event itself.
    pub(super) fn data(
        &self,
        out: &mut String,
        name: &str,
        doc: &Description<'_>,
        definition: &'a Definition,
    ) {
        self.fields(out, name, doc, &self.members(definition), false);
    }

    /// All members, those of bases first.
    pub(super) fn members(&self, definition: &'a Definition) -> Vec<Documented<'a>> {
        let base = match &definition.body {
            Body::Struct(Object { base, .. }) | Body::Union(Union { base, .. }) => base.as_deref(),
            _ => None,
        };
        let base = base.and_then(|base| self.types.schema.find(base));
        let mut members = base.map_or_else(Vec::new, |base| self.members(base));
        let own = definition.body.members().iter();
        let own = own.filter(|member| self.types.is_defined(&member.condition));
        members.extend(own.map(|member| (member, definition.doc.as_ref())));
        members
    }

    /// Whether null is a value of a type, and not the same as none.
    pub(super) fn takes_null(&self, kind: &TypeRef) -> bool {
        let TypeRef::Name(name) = kind else {
            return false;
        };
        match self.types.schema.find(name).map(|found| &found.body) {
            Some(Body::Alternate(alternate)) => {
                let mut branches = alternate.branches.iter();
                branches.any(|branch| branch.kind == TypeRef::Name("null".into()))
            }
            Some(_) => false,
            None => name == "any" || name == "null",
        }
    }

    pub(super) fn field(&self, out: &mut String, owner: &str, (member, doc): &Documented<'_>) {
        write_comment(out, &member_doc(member, *doc));
        write_features(out, &member.features);
        self.types.plain_field(out, owner, member);
    }

    /// A struct. An `open` one has room for members that the schema leaves
    /// to whoever carries out the command.
    fn fields(
        &self,
        out: &mut String,
        name: &str,
        doc: &Description<'_>,
        members: &[Documented<'_>],
        open: bool,
    ) {
        doc.write(out);
        let is_empty = members.iter().all(|(member, _)| member.optional);
        let default = if is_empty { " Default," } else { "" };
        let _ = writeln!(
            out,
            "#[derive(Clone, Debug,{default} PartialEq, Serialize, Deserialize)]\npub struct {name} {{"
        );
        for member in members {
            if member.0.optional && self.takes_null(&member.0.kind) {
                out.push_str(
                    "#[serde(default, deserialize_with = \"tinamou_qmp::typed::present\")]\n",
                );
            }
            self.field(out, name, member);
        }
        if open {
            out.push_str(
                "/// Members beyond the schema's.\n#[serde(flatten)]\npub others: typed::Object,\n",
            );
        }
        out.push_str("}\n\n");
    }

    /// A function that takes the required members; a type that has none is
    /// `Default`.
    fn constructor(&self, out: &mut String, name: &str, members: &[Documented<'_>], open: bool) {
        let (optional, required): (Vec<_>, Vec<_>) =
            members.iter().partition(|(member, _)| member.optional);
        if required.is_empty() || required.len() > PARAMETERS {
            return;
        }
        let mut parameters = Vec::new();
        let mut fields = String::new();
        for (member, _) in required {
            let (kind, value) = self.parameter(name, &member.kind, &field(&member.name));
            parameters.push(format!("{}: {kind}", field(&member.name)));
            let _ = writeln!(fields, "{value},");
        }
        for (member, _) in optional {
            let _ = writeln!(fields, "{}: None,", field(&member.name));
        }
        if open {
            fields.push_str("others: typed::Object::new(),\n");
        }
        let _ = writeln!(
            out,
            "impl {name} {{\n/// With what is required, and nothing else.\n#[must_use]\n\
             pub fn new({}) -> Self {{\nSelf {{\n{fields}}}\n}}\n}}\n",
            parameters.join(", ")
        );
    }

    /// The type of a parameter, and the initialiser of its field.
    fn parameter(&self, owner: &str, kind: &TypeRef, name: &str) -> (String, String) {
        let owned = self.types.owned(owner, kind);
        match owned.as_str() {
            "String" => ("impl Into<String>".into(), format!("{name}: {name}.into()")),
            _ => (owned, name.to_owned()),
        }
    }
}

/// A variant; `Unknown` is the one for all that the schema does not say.
pub(super) fn variant(name: &str) -> String {
    match naming::variant(name) {
        name if name == "Unknown" => "UnknownValue".into(),
        name => name,
    }
}
