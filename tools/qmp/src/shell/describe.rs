//! What the server's introspection says, in short words: for completion and
//! for `help`.

use std::fmt::Write;

use tinamou_client::Schema;
use tinamou_client::schema::{Entity, Member, Meta};

use super::docs::Docs;

/// A type in a word or two: `string`, `[int]`, `on|off|auto`, `{…}`.
pub(super) fn ty(schema: &Schema, name: &str) -> String {
    let Some(entity) = schema.ty(name) else {
        return name.to_owned();
    };
    match &entity.meta {
        Meta::Builtin { json_type } => json_type.clone(),
        Meta::Array { element_type } => match schema.ty(element_type).map(|it| &it.meta) {
            Some(Meta::Builtin { json_type }) => format!("[{json_type}]"),
            Some(Meta::Enum { .. }) => format!("[{}]", ty(schema, element_type)),
            _ => "[…]".to_owned(),
        },
        Meta::Enum { .. } => values(schema, entity),
        Meta::Alternate { members } => {
            let choices = members.iter().map(|choice| ty(schema, &choice.ty));
            choices.collect::<Vec<_>>().join(" or ")
        }
        _ => "{…}".to_owned(),
    }
}

fn values(schema: &Schema, entity: &Entity) -> String {
    const SHOWN: usize = 6;
    let values = schema.values(entity);
    let shown: Vec<&str> = values
        .iter()
        .take(SHOWN)
        .map(|it| it.name.as_str())
        .collect();
    let more = if values.len() > SHOWN { "|…" } else { "" };
    format!("{}{more}", shown.join("|"))
}

/// A member: its type, whether it may be left out, its features.
pub(super) fn member(schema: &Schema, member: &Member) -> String {
    let mut text = ty(schema, &member.ty);
    if member.optional() {
        text.push_str(", optional");
    }
    for feature in &member.features {
        let _ = write!(text, ", {feature}");
    }
    text
}

/// A command in a line: what it does, and its arguments.
pub(super) fn command(schema: &Schema, command: &Entity, docs: Docs) -> String {
    let (doc, arguments) = (docs.summary(&command.name), signature(schema, command));
    match (doc.is_empty(), arguments.is_empty()) {
        (_, true) => doc,
        (true, false) => arguments,
        (false, false) => format!("{doc} {arguments}"),
    }
}

/// Its arguments by name, optional ones in brackets.
fn signature(schema: &Schema, command: &Entity) -> String {
    let mut text = String::new();
    for member in members(schema, command) {
        let name = &member.name;
        let _ = match member.optional() {
            true => write!(text, " [{name}]"),
            false => write!(text, " {name}"),
        };
    }
    for feature in &command.features {
        let _ = write!(text, " ({feature})");
    }
    text.trim_start().to_owned()
}

/// A command or an event, at length.
pub(super) fn entity(schema: &Schema, entity: &Entity, docs: Docs) -> String {
    let kind = match entity.meta {
        Meta::Event { .. } => "event",
        _ => "command",
    };
    let mut text = format!("{kind} {}", entity.name);
    for feature in &entity.features {
        let _ = write!(text, " ({feature})");
    }
    push(&mut text, "\n", &docs.summary(&entity.name));
    list(schema, &members(schema, entity), &mut text, |member| {
        docs.member(&entity.name, member)
    });
    if let Meta::Command {
        ret_type,
        allow_oob,
        ..
    } = &entity.meta
    {
        let returned = schema.ty(ret_type);
        let members = returned.map(|it| schema.members(it)).unwrap_or_default();
        let is_object = returned.is_some_and(|it| matches!(it.meta, Meta::Object { .. }));
        match (members.is_empty(), is_object) {
            (true, true) => text.push_str("\nreturns nothing"),
            (true, false) => {
                let _ = write!(text, "\nreturns {}", ty(schema, ret_type));
            }
            (false, true) => text.push_str("\nreturns"),
            (false, false) => text.push_str("\nreturns a list of"),
        }
        list(schema, &members, &mut text, |member| {
            docs.returned(&entity.name, member)
        });
        if *allow_oob {
            text.push_str("\nmay be run out of band");
        }
    }
    text
}

/// Members, one a line, and below each what it is.
fn list(schema: &Schema, members: &[&Member], text: &mut String, doc: impl Fn(&str) -> String) {
    for it in members {
        let _ = write!(text, "\n  {}: {}", it.name, member(schema, it));
        push(text, "\n      ", &doc(&it.name));
    }
}

/// Adds something, if there is anything to add.
fn push(text: &mut String, before: &str, added: &str) {
    if !added.is_empty() {
        text.push_str(before);
        text.push_str(added);
    }
}

/// The arguments of a command or the details of an event.
pub(super) fn members<'a>(schema: &'a Schema, entity: &'a Entity) -> Vec<&'a Member> {
    let arguments = schema.arguments(entity);
    arguments.map(|it| schema.members(it)).unwrap_or_default()
}
