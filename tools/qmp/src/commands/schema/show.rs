//! `qmp schema show`: an interface as people read it.

use clap::Args;
use serde_json::{Value, json};
use tinamou_qapi::{
    Alternate, Body, Command, Definition, Doc, Enum, Event, Feature, Member, Schema, SectionKind,
    TypeRef,
};

use super::source::Source;
use crate::known::first_sentence;
use crate::{Error, Exit, Global, Output};

/// What `qmp schema show` takes.
#[derive(Args, Debug)]
pub struct Options {
    /// Where the schema comes from
    source: Source,
    /// A command, an event or a type; without it, a list of all commands and
    /// events
    name: Option<String>,
}

pub(super) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let interface = options.source.load(global).await?;
    let shown = Shown {
        schema: &interface.schema,
        output,
    };
    match &options.name {
        Some(name) => shown.one(name)?,
        None => shown.list(|_| true)?,
    }
    Ok(Exit::Done)
}

struct Shown<'a> {
    schema: &'a Schema,
    output: &'a Output,
}

impl Shown<'_> {
    /// A line for each command and event that is `wanted`.
    fn list(&self, wanted: impl Fn(&Definition) -> bool) -> Result<(), Error> {
        for found in self.schema.in_order().filter(|found| wanted(found)) {
            if !matches!(found.body, Body::Command(_) | Body::Event(_)) {
                continue;
            }
            let keyword = found.body.keyword();
            let summary = first_sentence(found.doc.as_ref());
            if self.output.is_json() {
                let features = names(&found.features);
                self.output.value(&json!({
                    "name": found.name, "kind": keyword, "features": features, "doc": summary,
                }))?;
                continue;
            }
            let marks = marks(&found.features);
            self.output
                .line(format!("{:7} {:32} {summary}{marks}", keyword, found.name).trim_end())?;
        }
        Ok(())
    }

    fn one(&self, name: &str) -> Result<(), Error> {
        let Some(found) = self.schema.find(name) else {
            let near = self.schema.in_order().filter(|found| {
                let lower = found.name.to_ascii_lowercase();
                lower.contains(&name.to_ascii_lowercase())
            });
            let near: Vec<&str> = near.map(|found| found.name.as_str()).take(10).collect();
            let hint = match near.is_empty() {
                true => String::new(),
                false => format!("; there are {}", near.join(", ")),
            };
            return Err(Error::usage(format!("there is no '{name}'{hint}")));
        };
        match self.output.is_json() {
            true => self.output.value(&self.json(found)),
            false => self.output.line(self.text(found).trim_end()),
        }
    }

    fn text(&self, found: &Definition) -> String {
        let doc = found.doc.as_ref();
        let mut text = format!(
            "{} {}{}\n",
            found.body.keyword(),
            found.name,
            marks(&found.features)
        );
        if let Some(since) = doc.and_then(|doc| doc.text(&SectionKind::Since)) {
            text += &format!("since {since}\n");
        }
        if let Some(summary) = doc.map(Doc::summary).filter(|text| !text.is_empty()) {
            text += &format!("\n{}\n", indented(summary, "  "));
        }
        match &found.body {
            Body::Command(command) => self.command(&mut text, found, command),
            Body::Event(event) => self.data(&mut text, "data", event.data.as_deref(), found),
            Body::Enum(body) => values(&mut text, body, doc),
            Body::Alternate(body) => choices(&mut text, body, doc),
            Body::Struct(_) | Body::Union(_) => self.members(&mut text, "members", found, doc),
        }
        if let Some(errors) = doc.and_then(|doc| doc.text(&SectionKind::Errors)) {
            text += &format!("\nerrors:\n{}\n", indented(errors, "  "));
        }
        let others = found.features.iter().filter(|feature| !is_mark(feature));
        let others: Vec<&str> = others.map(|feature| feature.name.as_str()).collect();
        if !others.is_empty() {
            text += &format!("\nfeatures: {}\n", others.join(", "));
        }
        text
    }

    fn command(&self, text: &mut String, found: &Definition, command: &Command) {
        self.data(text, "arguments", command.data.as_deref(), found);
        let returns = command.returns.as_ref().map_or("nothing".to_owned(), shown);
        *text += &format!("\nreturns {returns}\n");
        let doc = found.doc.as_ref();
        if let Some(what) = doc.and_then(|doc| doc.text(&SectionKind::Returns)) {
            *text += &format!("{}\n", indented(what, "      "));
        }
        if command.allow_oob {
            *text += "may run out of band\n";
        }
    }

    fn data(&self, text: &mut String, title: &str, named: Option<&str>, found: &Definition) {
        match named.and_then(|name| self.schema.find(name)) {
            Some(data) => {
                let title = format!("{title} ({})", data.name);
                self.members(text, &title, data, data.doc.as_ref());
            }
            None => self.members(text, title, found, found.doc.as_ref()),
        }
    }

    /// Members, and of a union the branches.
    fn members(&self, text: &mut String, title: &str, found: &Definition, doc: Option<&Doc>) {
        let members = match &found.body {
            Body::Struct(_) | Body::Union(_) => self.schema.members(found),
            body => body.members().iter().collect(),
        };
        *text += &match members.is_empty() {
            true => format!("\n{title}: none\n"),
            false => format!("\n{title}:\n"),
        };
        for member in members {
            let optional = if member.optional { ", optional" } else { "" };
            let mut kind = shown(&member.kind);
            if let Some(Body::Enum(body)) = self.body(&member.kind) {
                kind += &few(body);
            }
            *text += &format!(
                "  {}: {kind}{optional}{}\n",
                member.name,
                marks(&member.features)
            );
            *text += &described(doc, &member.name);
        }
        if let Body::Union(union) = &found.body {
            *text += &format!("\nfurther members by {}:\n", union.discriminator);
            for branch in &union.branches {
                *text += &format!("  {}: those of {}\n", branch.name, branch.kind.name());
            }
        }
    }

    fn body(&self, kind: &TypeRef) -> Option<&Body> {
        self.schema.find(kind.name()).map(|found| &found.body)
    }

    fn json(&self, found: &Definition) -> Value {
        let doc = found.doc.as_ref();
        let mut shown = json!({
            "name": found.name,
            "kind": found.body.keyword(),
            "features": names(&found.features),
            "doc": doc.map(Doc::summary),
            "since": doc.and_then(|doc| doc.text(&SectionKind::Since)),
        });
        let member = |member: &Member| {
            json!({
                "name": member.name,
                "type": self::shown(&member.kind),
                "optional": member.optional,
                "features": names(&member.features),
                "doc": doc.and_then(|doc| doc.member(&member.name)),
            })
        };
        match &found.body {
            Body::Enum(body) => {
                let values = body.values.iter().map(|value| value.name.as_str());
                shown["values"] = values.collect();
            }
            Body::Alternate(body) => {
                let kinds = body.branches.iter();
                shown["types"] = kinds.map(|branch| self::shown(&branch.kind)).collect();
            }
            Body::Command(Command { data, .. }) | Body::Event(Event { data, .. })
                if data.is_some() =>
            {
                shown["data"] = json!(data);
            }
            Body::Struct(_) | Body::Union(_) => {
                let members = self.schema.members(found).into_iter();
                shown["members"] = members.map(member).collect();
            }
            body => shown["members"] = body.members().iter().map(member).collect(),
        }
        if let Body::Command(command) = &found.body {
            shown["returns"] = json!(command.returns.as_ref().map(self::shown));
            shown["allow-oob"] = json!(command.allow_oob);
        }
        if let Body::Union(union) = &found.body {
            shown["tag"] = json!(union.discriminator);
            let branches = union.branches.iter();
            let branches = branches.map(|branch| (branch.name.clone(), json!(branch.kind.name())));
            shown["branches"] = Value::Object(branches.collect());
        }
        shown
    }
}

/// A type as people read it.
fn shown(kind: &TypeRef) -> String {
    match kind {
        TypeRef::Name(name) => name.clone(),
        TypeRef::List(name) => format!("[{name}]"),
    }
}

/// The values of an enumeration, where they are few.
fn few(body: &Enum) -> String {
    match body.values.len() {
        1..=6 => {
            let values: Vec<&str> = body
                .values
                .iter()
                .map(|value| value.name.as_str())
                .collect();
            format!(" ({})", values.join(" | "))
        }
        _ => String::new(),
    }
}

fn values(text: &mut String, body: &Enum, doc: Option<&Doc>) {
    *text += "\nvalues:\n";
    for value in &body.values {
        *text += &format!("  {}{}\n", value.name, marks(&value.features));
        *text += &described(doc, &value.name);
    }
}

fn choices(text: &mut String, body: &Alternate, doc: Option<&Doc>) {
    *text += "\none of:\n";
    for branch in &body.branches {
        *text += &format!("  {}\n", shown(&branch.kind));
        *text += &described(doc, &branch.name);
    }
}

fn described(doc: Option<&Doc>, name: &str) -> String {
    match doc.and_then(|doc| doc.member(name)) {
        Some(text) if !text.is_empty() => indented(text, "      ") + "\n",
        _ => String::new(),
    }
}

fn indented(text: &str, margin: &str) -> String {
    let lines = text.lines().map(|line| match line.is_empty() {
        true => String::new(),
        false => format!("{margin}{line}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_mark(feature: &Feature) -> bool {
    matches!(feature.name.as_str(), "deprecated" | "unstable")
}

/// ` [deprecated]`, if it is.
fn marks(features: &[Feature]) -> String {
    let marks = features.iter().filter(|feature| is_mark(feature));
    marks
        .map(|feature| format!(" [{}]", feature.name))
        .collect()
}

fn names(features: &[Feature]) -> Vec<&str> {
    features
        .iter()
        .map(|feature| feature.name.as_str())
        .collect()
}
