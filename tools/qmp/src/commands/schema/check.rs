//! `qmp schema check`: a script of commands, held to a schema.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tinamou_client::Schema;
use tinamou_mock::{Leniency, Schema as Checker};
use tinamou_qapi::Body;
use tinamou_qmp::Object;

use super::source::{Interface, Source};
use crate::{Error, Exit, Global, Output, arguments};

pub(super) const HELP: &str = "\
Each line of SCRIPT is a command: JSON as it goes over the wire
({\"execute\": \"device_del\", \"arguments\": {\"id\": \"nic0\"}}), or as
`qmp run` takes it (device_del id=nic0). Empty lines and lines that begin with
# are left out. What the server would say is told with its line number; the
exit code is 7 if it would refuse one.";

/// What `qmp schema check` takes.
#[derive(Args, Debug)]
pub struct Options {
    /// Where the schema comes from: ADDR, FILE, builtin:qmp or builtin:agent
    source: Source,
    /// The script; `-` is standard input
    script: PathBuf,
}

pub(super) async fn run(options: Options, global: &Global, output: &Output) -> Result<Exit, Error> {
    let interface = options.source.load(global).await?;
    let name = options.script.display().to_string();
    let script = read(&options)?;
    let judge = Judge::new(interface)?;
    let (mut commands, mut faults) = (0, 0);
    for (index, line) in script.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        commands += 1;
        let Err(fault) = judge.line(line) else {
            continue;
        };
        faults += 1;
        let number = index + 1;
        match output.is_json() {
            true => output.value(&json!({"line": number, "error": fault}))?,
            false => output.line(&format!("{name}:{number}: {fault}"))?,
        }
    }
    if !output.is_json() {
        output.line(&format!("{commands} commands, {faults} faults"))?;
    }
    Ok(match faults {
        0 => Exit::Done,
        _ => Exit::Differences,
    })
}

fn read(options: &Options) -> Result<String, Error> {
    let name = options.script.display().to_string();
    if name != "-" {
        return fs::read_to_string(&options.script).map_err(Error::io(name));
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map(|_| text).map_err(Error::io("standard input"))
}

/// Says of commands what the server would.
struct Judge {
    interface: Interface,
    /// For the types of `key=value`.
    types: Schema,
    checker: Checker,
}

impl Judge {
    fn new(interface: Interface) -> Result<Self, Error> {
        let unusable = |error: &dyn std::error::Error| Error::usage(error.to_string());
        let text = serde_json::to_string(&interface.introspection);
        let text = text.map_err(|error| unusable(&error))?;
        let checker = Checker::from_introspection(interface.introspection.clone());
        Ok(Self {
            types: Schema::read(&text)?,
            checker: checker.map_err(|error| unusable(&error))?,
            interface,
        })
    }

    fn line(&self, line: &str) -> Result<(), String> {
        let (command, arguments) = match line.starts_with('{') {
            true => wire(line)?,
            false => self.typed(line)?,
        };
        let arguments: Object =
            serde_json::from_value(arguments).map_err(|_| "arguments must be an object")?;
        // Of some commands the schema does not know all arguments.
        let leniency = Leniency {
            unknown_members: self.is_open(&command),
            ..Leniency::default()
        };
        let checked = self.checker.check_arguments(&command, arguments, leniency);
        checked.map_err(|error| error.to_string())
    }

    fn is_open(&self, command: &str) -> bool {
        let found = self.interface.schema.find(command);
        matches!(found.map(|found| &found.body), Some(Body::Command(command)) if !command.generated)
    }

    fn typed(&self, line: &str) -> Result<(String, Value), String> {
        let words = split(line)?;
        let Some((command, words)) = words.split_first() else {
            return Err("there is no command".to_owned());
        };
        let words = words.iter().map(String::as_str);
        let arguments = arguments::read(command, words, Some(&self.types));
        let arguments = arguments.map_err(|error| error.to_string())?;
        Ok((command.clone(), arguments))
    }
}

/// A command as it goes over the wire.
fn wire(line: &str) -> Result<(String, Value), String> {
    let value = arguments::literal::parse(line)?;
    let Value::Object(mut members) = value else {
        return Err("it is no object".to_owned());
    };
    let command = members
        .remove("execute")
        .or_else(|| members.remove("exec-oob"));
    let arguments = members.remove("arguments").unwrap_or_else(|| json!({}));
    members.remove("id");
    match (command, members.keys().next()) {
        (_, Some(key)) => Err(format!("QMP input member '{key}' is unexpected")),
        (Some(Value::String(command)), None) => Ok((command, arguments)),
        (Some(_), None) => Err("QMP input member 'execute' must be a string".to_owned()),
        (None, None) => Err("QMP input lacks member 'execute'".to_owned()),
    }
}

/// The words of a line: quotes keep spaces, and so do JSON's brackets.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = vec![String::new()];
    let (mut quote, mut depth) = (None, 0usize);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let word = words.last_mut().expect("there is always a last word");
        match (c, quote) {
            ('\\', Some('"')) if depth > 0 => {
                word.push(c);
                word.extend(chars.next());
            }
            (_, Some(open)) if c == open => {
                quote = None;
                word.extend((depth > 0).then_some(c));
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.extend((depth > 0).then_some(c));
            }
            (_, None) if c.is_whitespace() && depth == 0 => words.push(String::new()),
            _ => {
                if quote.is_none() {
                    depth += usize::from(matches!(c, '{' | '['));
                    depth = depth.saturating_sub(usize::from(matches!(c, '}' | ']')));
                }
                word.push(c);
            }
        }
    }
    words.retain(|word| !word.is_empty());
    match quote {
        Some(quote) => Err(format!("{quote} is not closed")),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_into_words() {
        for (line, words) in [
            ("a  b=c", &["a", "b=c"][..]),
            ("a b='c d' e=\"f g\"", &["a", "b=c d", "e=f g"]),
            (
                r#"a {"b": "c } \" d"} e=[1, 2]"#,
                &["a", r#"{"b": "c } \" d"}"#, "e=[1, 2]"],
            ),
            ("a b=}", &["a", "b=}"]),
        ] {
            assert_eq!(split(line).unwrap_or_default(), words, "{line}");
        }
        assert!(split("a 'b").is_err());
    }

    #[test]
    fn commands_are_read_from_the_wire() {
        for (line, expected) in [
            (
                r#"{"execute": "a", "id": 1}"#,
                Ok(("a".to_owned(), json!({}))),
            ),
            (
                r#"{"exec-oob": "a", "arguments": {"b": 1}}"#,
                Ok(("a".to_owned(), json!({"b": 1}))),
            ),
            ("{}", Err("QMP input lacks member 'execute'".to_owned())),
            (
                r#"{"execute": "a", "more": 1}"#,
                Err("QMP input member 'more' is unexpected".to_owned()),
            ),
        ] {
            assert_eq!(wire(line), expected, "{line}");
        }
    }
}
