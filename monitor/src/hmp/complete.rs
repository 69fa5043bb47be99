//! What the TAB key may put on the line.

use super::arguments::{Kind, Parameter};
use super::cursor::Cursor;
use super::{Command, Hmp, Run, Typed};
use std::fs;
use std::path::Path;

/// The most names that are looked at in a directory.
const MAX_FILES: usize = 4096;

/// What can stand where a line ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Completions {
    /// How much of each candidate is on the line already, in bytes.
    pub(crate) typed: usize,
    /// In the order of their names, all beginning with what was typed.
    pub(crate) candidates: Vec<String>,
}

impl<C> Hmp<C> {
    /// Completes the last word of `line`.
    pub(crate) fn complete(&self, context: &C, line: &str, preconfig: bool) -> Completions {
        let words = words(line);
        let Some((last, before)) = words.split_last() else {
            return Completions::default();
        };
        let mut candidates = self.candidates(context, before, last, preconfig);
        candidates.retain(|candidate| candidate.starts_with(last.as_str()));
        candidates.sort_unstable();
        candidates.dedup();
        Completions {
            typed: last.len(),
            candidates,
        }
    }

    fn candidates(
        &self,
        context: &C,
        before: &[String],
        last: &str,
        preconfig: bool,
    ) -> Vec<String> {
        let mut commands = &self.commands;
        let mut before = before.iter();
        while let Some(word) = before.next() {
            let Some(command) = commands.iter().find(|command| command.is_named(word)) else {
                return Vec::new();
            };
            match &command.run {
                Run::Table(table) => commands = table,
                Run::Help => commands = &self.commands,
                Run::Handler(_) => return command.argument(context, before.as_slice(), last),
            }
        }
        let available = commands.iter().filter(|it| it.preconfig || !preconfig);
        available
            .flat_map(|command| command.names.split('|').map(String::from))
            .collect()
    }
}

impl<C> Command<C> {
    /// What the argument behind the words `before` can be.
    fn argument(&self, context: &C, before: &[String], last: &str) -> Vec<String> {
        let has_flags = self.parameters.iter().any(Parameter::is_flag);
        let is_flag = |word: &&String| has_flags && word.starts_with('-');
        let place = before.iter().filter(|word| !is_flag(word)).count();
        let mut positional = self.parameters.iter().filter(|it| !it.is_flag());
        let Some(parameter) = positional.nth(place) else {
            return Vec::new();
        };
        let hook = self
            .completions
            .iter()
            .find(|(name, _)| *name == parameter.name);
        match (hook, parameter.kind) {
            (Some((_, candidates)), _) => candidates(context, &Typed { before, word: last }),
            (None, Kind::Switch) => vec!["on".into(), "off".into()],
            (None, Kind::File) => files(last),
            (None, _) => Vec::new(),
        }
    }
}

/// The words of a line. The last is the one at its end, which may be empty.
fn words(line: &str) -> Vec<String> {
    let mut cursor = Cursor::new(line);
    let mut words = Vec::new();
    while let Some(word) = cursor.string() {
        words.push(word);
    }
    if !cursor.is_at_end() {
        // A string that is still open.
        return Vec::new();
    }
    if line.is_empty() || line.ends_with(|last: char| last.is_ascii_whitespace()) {
        words.push(String::new());
    }
    words
}

/// The files whose path begins with `path`, directories with a slash.
fn files(path: &str) -> Vec<String> {
    let (directory, _) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    let place = if directory.is_empty() { "." } else { directory };
    let Ok(entries) = fs::read_dir(Path::new(place)) else {
        return Vec::new();
    };
    let names = entries.take(MAX_FILES).flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let slash = if entry.path().is_dir() { "/" } else { "" };
        Some(format!("{directory}{name}{slash}"))
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Console;
    use super::*;

    fn check(line: &str, typed: usize, candidates: &[&str]) {
        let nothing = |_: &mut (), _: &mut Console<'_>, _: &super::super::Arguments| Ok(());
        let mut hmp = Hmp::<()>::new("");
        hmp.add(Command::new("stop|s", "", nothing))
            .add(Command::new("system_reset", "", nothing))
            .add(
                Command::new("link", "force:-f,name:s,up:b", nothing).complete("name", |(), _| {
                    vec!["net1".into(), "net0".into(), "x".into()]
                }),
            )
            .add(Command::new("logfile", "filename:F", nothing))
            .add_info(Command::new("status", "", nothing));
        let found = hmp.complete(&(), line, false);
        assert_eq!(found.candidates, candidates, "{line}");
        if !candidates.is_empty() {
            assert_eq!(found.typed, typed, "{line}");
        }
    }

    #[test]
    fn commands_and_arguments_are_completed() {
        check("s", 1, &["s", "stop", "system_reset"]);
        check("sy", 2, &["system_reset"]);
        check("info ", 0, &["history", "status"]);
        check("  info  st", 2, &["status"]);
        check("help info st", 2, &["status"]);
        check("help sy", 2, &["system_reset"]);
        check("link ", 0, &["net0", "net1", "x"]);
        check("link -f net", 3, &["net0", "net1"]);
        check("link net0 o", 1, &["off", "on"]);
        check("link net0 on ", 0, &[]);
        check("nosuch ", 0, &[]);
        check("link \"ne", 0, &[]);
        check("stop ", 0, &[]);
    }

    #[test]
    fn file_names_are_completed() {
        check("logfile /et", 3, &["/etc/"]);
        check("logfile /nonexistent/x", 0, &[]);
    }
}
