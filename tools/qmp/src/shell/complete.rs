//! Completion: commands, arguments and values, from the server's
//! introspection and from what it has right now.

use std::sync::Arc;

use reedline::{Completer, CompletionResult, Span, Suggestion};
use tinamou_client::{Client, Schema};
use tokio::runtime::Handle;

use super::docs::Docs;
use super::words::{Word, split};
use super::{describe, live};

/// Completes lines of the shell. Runs on the editor's thread, and asks the
/// server through the runtime's.
pub(super) struct Completion {
    pub(super) client: Client,
    pub(super) runtime: Handle,
    /// What the server says of itself; `None` if it does not.
    pub(super) schema: Option<Arc<Schema>>,
    /// What it means.
    pub(super) docs: Docs,
    /// The human monitor's commands, if lines go there.
    pub(super) human: Option<Vec<live::Candidate>>,
}

impl Completer for Completion {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let head = &line[..pos.min(line.len())];
        CompletionResult::fresh(self.suggest(head))
    }
}

impl Completion {
    fn suggest(&self, head: &str) -> Vec<Suggestion> {
        if let Some(human) = &self.human {
            return suggestions(human.clone(), head, 0, " ");
        }
        let (words, _) = split(head);
        let ends = head.ends_with(char::is_whitespace) || words.is_empty();
        let (before, current) = match words.split_last() {
            Some((last, before)) if !ends => (before, *last),
            _ => (
                words.as_slice(),
                Word {
                    start: head.len(),
                    text: "",
                },
            ),
        };
        let before = match before {
            [first, rest @ ..] if first.text == "transaction(" => rest,
            before => before,
        };
        match before {
            [] => suggestions(self.commands(), current.text, current.start, " "),
            [first] if first.text == "help" => {
                suggestions(self.commands(), current.text, current.start, "")
            }
            [command, given @ ..] => self.argument(command.text, given, current),
        }
    }

    fn commands(&self) -> Vec<live::Candidate> {
        let Some(schema) = &self.schema else {
            return Vec::new();
        };
        let mut commands: Vec<_> = schema
            .commands()
            .map(|command| live::Candidate {
                value: command.name.clone(),
                about: describe::command(schema, command, self.docs),
            })
            .collect();
        commands.sort();
        commands
    }

    fn argument(&self, command: &str, given: &[Word<'_>], current: Word<'_>) -> Vec<Suggestion> {
        let Some((key, typed)) = current.text.split_once('=') else {
            return suggestions(
                self.keys(command, given, current.text),
                current.text,
                current.start,
                "",
            );
        };
        let start = current.start + key.len() + 1;
        let of_line = |name: &str| value_of(given, name);
        let mut values = self.values(command, key);
        if values.is_empty() {
            let asked = live::candidates(&self.client, command, key, typed, &of_line);
            values = self.runtime.block_on(asked);
        }
        values.sort();
        values.dedup();
        suggestions(values, typed, start, "")
    }

    /// The arguments that are not given yet; below a dotted prefix, the
    /// members there.
    fn keys(&self, command: &str, given: &[Word<'_>], typed: &str) -> Vec<live::Candidate> {
        let Some(schema) = &self.schema else {
            return Vec::new();
        };
        let (prefix, types) = match typed.rsplit_once('.') {
            Some((path, _)) => {
                let ty = schema.arg(command, path).and_then(|arg| schema.ty(&arg.ty));
                (format!("{path}."), ty)
            }
            None => {
                let command = schema.command(command);
                (String::new(), command.and_then(|it| schema.arguments(it)))
            }
        };
        let members = types.map(|ty| schema.members(ty)).unwrap_or_default();
        let mut keys: Vec<live::Candidate> = Vec::new();
        for member in members {
            let value = format!("{prefix}{}=", member.name);
            let known = keys.iter().any(|key| key.value == value);
            if !known && !given.iter().any(|word| word.text.starts_with(&value)) {
                let doc = self
                    .docs
                    .member(command, &format!("{prefix}{}", member.name));
                keys.push(live::Candidate {
                    value,
                    about: with_doc(describe::member(schema, member), &doc),
                });
            }
        }
        keys
    }

    /// The values that the argument's type names.
    fn values(&self, command: &str, key: &str) -> Vec<live::Candidate> {
        let Some(schema) = &self.schema else {
            return Vec::new();
        };
        let Some(ty) = schema.arg(command, key).and_then(|arg| schema.ty(&arg.ty)) else {
            return Vec::new();
        };
        if describe::ty(schema, &ty.name) == "boolean" {
            return ["on", "off"].map(|value| named(value, "")).to_vec();
        }
        let values = schema.values(ty).into_iter();
        values
            .map(|it| {
                let doc = self.docs.value(command, key, &it.name);
                named(&it.name, &with_doc(it.features.join(", "), &doc))
            })
            .collect()
    }
}

fn named(value: &str, about: &str) -> live::Candidate {
    live::Candidate {
        value: value.to_owned(),
        about: about.to_owned(),
    }
}

/// A type or a mark, and what it means.
fn with_doc(text: String, doc: &str) -> String {
    match (text.is_empty(), doc.is_empty()) {
        (_, true) => text,
        (true, false) => doc.to_owned(),
        (false, false) => format!("{text}: {doc}"),
    }
}

/// The value that a line gives to an argument.
fn value_of(given: &[Word<'_>], name: &str) -> Option<String> {
    given.iter().find_map(|word| {
        let (key, value) = word.text.split_once('=')?;
        (key == name).then(|| value.trim_matches(['"', '\'']).to_owned())
    })
}

/// Those candidates that go on from what was typed.
fn suggestions(
    candidates: Vec<live::Candidate>,
    typed: &str,
    start: usize,
    end: &str,
) -> Vec<Suggestion> {
    let fitting = candidates
        .into_iter()
        .filter(|it| it.value.starts_with(typed));
    let suggestions = fitting.map(|candidate| Suggestion {
        value: candidate.value,
        description: (!candidate.about.is_empty()).then_some(candidate.about),
        span: Span::new(start, start + typed.len()),
        append_whitespace: !end.is_empty(),
        ..Suggestion::default()
    });
    suggestions.collect()
}
