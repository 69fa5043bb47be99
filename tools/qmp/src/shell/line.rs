//! What a line typed at the shell means.

use serde_json::{Map, Value, json};
use tinamou_client::Schema;

use super::words::split;
use crate::Error;
use crate::arguments::{self, literal};

/// A line, understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// Nothing to do yet.
    Nothing,
    /// A command.
    Command(Request),
    /// A line for the human monitor.
    Human(String),
    /// Help, on one command or event if it is named.
    Help(Option<String>),
    /// Leave the shell.
    Exit,
}

/// A command as it goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) command: String,
    pub(super) arguments: Value,
    pub(super) oob: bool,
}

impl Request {
    /// The message, without an id.
    pub(super) fn message(&self) -> Value {
        let verb = if self.oob { "exec-oob" } else { "execute" };
        let mut message = Map::new();
        message.insert(verb.to_owned(), Value::from(self.command.as_str()));
        if self.arguments.as_object().is_none_or(|it| !it.is_empty()) {
            message.insert("arguments".to_owned(), self.arguments.clone());
        }
        Value::Object(message)
    }
}

/// Reads lines; between `transaction(` and `)` it gathers actions.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Lines go to the human monitor.
    pub(super) human: bool,
    actions: Option<Vec<Value>>,
}

impl Reader {
    /// A reader of lines for the human monitor, or of commands.
    pub(super) fn new(human: bool) -> Self {
        Self {
            human,
            actions: None,
        }
    }

    /// Whether actions of a transaction are being gathered.
    pub(super) fn in_transaction(&self) -> bool {
        self.actions.is_some()
    }

    /// Forgets the transaction that was begun.
    pub(super) fn abandon(&mut self) {
        self.actions = None;
    }

    /// Reads a line.
    ///
    /// # Errors
    ///
    /// It makes no sense; a transaction that was begun goes on.
    pub(super) fn read(&mut self, text: &str, schema: Option<&Schema>) -> Result<Line, Error> {
        let text = text.trim();
        match text.strip_prefix('!') {
            Some(human) => return Ok(Line::Human(human.trim().to_owned())),
            None if text.is_empty() => return Ok(Line::Nothing),
            None if self.human && text == "exit" => return Ok(Line::Exit),
            None if self.human => return Ok(Line::Human(text.to_owned())),
            None => {}
        }
        if text.starts_with('{') {
            return wire(text).map(Line::Command);
        }
        let (words, open) = split(text);
        if !open.nothing() {
            return Err(Error::usage("a quote, brace or bracket is not closed"));
        }
        let words: Vec<&str> = words.iter().map(|word| word.text).collect();
        match words.as_slice() {
            ["exit"] => Ok(Line::Exit),
            ["help"] => Ok(Line::Help(None)),
            ["help", name] => Ok(Line::Help(Some((*name).to_owned()))),
            _ => self.command(&words, schema),
        }
    }

    fn command(&mut self, words: &[&str], schema: Option<&Schema>) -> Result<Line, Error> {
        let words = match words {
            ["transaction(", rest @ ..] => {
                self.actions = Some(Vec::new());
                rest
            }
            words => words,
        };
        let Some(actions) = &mut self.actions else {
            let [command, rest @ ..] = words else {
                return Ok(Line::Nothing);
            };
            return request(command, rest, schema).map(Line::Command);
        };
        let (words, ends) = match words {
            [words @ .., ")"] => (words, true),
            words => (words, false),
        };
        if let [kind, rest @ ..] = words {
            actions.push(action(kind, rest, schema)?);
        }
        if !ends {
            return Ok(Line::Nothing);
        }
        Ok(Line::Command(Request {
            command: "transaction".to_owned(),
            arguments: json!({"actions": self.actions.take()}),
            oob: false,
        }))
    }
}

fn request(command: &str, words: &[&str], schema: Option<&Schema>) -> Result<Request, Error> {
    let words: Vec<String> = words.iter().map(|word| unquoted(word)).collect();
    let words = words.iter().map(String::as_str);
    Ok(Request {
        command: command.to_owned(),
        arguments: arguments::read(command, words, schema)?,
        oob: false,
    })
}

/// An action of a transaction, typed as part of the command `transaction`.
fn action(kind: &str, words: &[&str], schema: Option<&Schema>) -> Result<Value, Error> {
    let mut given = vec![format!("actions.0.type={kind}")];
    let data = words
        .iter()
        .map(|word| format!("actions.0.data.{}", unquoted(word)));
    given.extend(data);
    let given = given.iter().map(String::as_str);
    let mut arguments = arguments::read("transaction", given, schema)?;
    // Without a schema the place in the list is taken for a name: a pointer fits both.
    let mut action = arguments
        .pointer_mut("/actions/0")
        .map_or(Value::Null, Value::take);
    if action["data"].is_null() {
        action["data"] = json!({});
    }
    Ok(action)
}

/// `key="a b"` without its quotes.
fn unquoted(word: &str) -> String {
    let Some((key, value)) = word.split_once('=') else {
        return word.to_owned();
    };
    let quoted = value.len() > 1 && value.starts_with(['"', '\'']);
    match literal::parse(value) {
        Ok(Value::String(text)) if quoted => format!("{key}={text}"),
        _ => word.to_owned(),
    }
}

/// A whole message as it goes over the wire.
fn wire(text: &str) -> Result<Request, Error> {
    let mut message = literal::parse(text).map_err(Error::usage)?;
    let oob = message.get("exec-oob").is_some();
    let verb = if oob { "exec-oob" } else { "execute" };
    let Some(command) = message[verb].as_str().map(str::to_owned) else {
        return Err(Error::usage(
            "expected {\"execute\": COMMAND, \"arguments\": {…}}",
        ));
    };
    let arguments = match message["arguments"].take() {
        Value::Null => json!({}),
        arguments => arguments,
    };
    Ok(Request {
        command,
        arguments,
        oob,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        match Reader::default().read(text, None) {
            Ok(Line::Command(request)) => request.message(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn commands_are_read_as_the_wire_has_them() {
        for (text, expected) in [
            ("query-status", json!({"execute": "query-status"})),
            (
                "a b=1 c=true",
                json!({"execute": "a", "arguments": {"b": 1, "c": true}}),
            ),
            (
                "a b.c=x b.d=[1, 'y']",
                json!({"execute": "a", "arguments": {"b": {"c": "x", "d": [1, "y"]}}}),
            ),
            (
                "a b=\"c d\"",
                json!({"execute": "a", "arguments": {"b": "c d"}}),
            ),
            (
                "{'execute': 'a', 'arguments': {'b': 1}}",
                json!({"execute": "a", "arguments": {"b": 1}}),
            ),
            ("{\"exec-oob\": \"yank\"}", json!({"exec-oob": "yank"})),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn actions_are_gathered_until_the_bracket_closes() {
        let mut reader = Reader::default();
        for line in [
            "transaction(",
            "abort",
            "blockdev-snapshot-sync device=d snapshot-file=f",
        ] {
            assert_eq!(reader.read(line, None).ok(), Some(Line::Nothing), "{line}");
            assert!(reader.in_transaction());
        }
        let Ok(Line::Command(request)) = reader.read(")", None) else {
            panic!("the transaction is whole");
        };
        assert!(!reader.in_transaction());
        let actions = json!({"actions": [
            {"type": "abort", "data": {}},
            {"type": "blockdev-snapshot-sync", "data": {"device": "d", "snapshot-file": "f"}}]});
        assert_eq!(request.arguments, actions);
        assert_eq!(
            read("transaction( abort )")["arguments"]["actions"][0]["type"],
            "abort"
        );
    }

    #[test]
    fn some_lines_are_for_the_shell() {
        let mut reader = Reader::default();
        for (text, expected) in [
            ("", Line::Nothing),
            ("exit", Line::Exit),
            ("help", Line::Help(None)),
            ("help stop", Line::Help(Some("stop".to_owned()))),
            ("!info status", Line::Human("info status".to_owned())),
        ] {
            assert_eq!(reader.read(text, None).ok(), Some(expected), "{text}");
        }
        assert!(reader.read("a 'b", None).is_err());
        assert!(reader.read("{'execute': 1}", None).is_err());
        let human = Reader::new(true).read("help stop", None).ok();
        assert_eq!(human, Some(Line::Human("help stop".to_owned())));
    }
}
