//! What a recording must not show.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use tinamou_mock::pattern;
use tinamou_qmp::{Object, Value};

use super::REDACTED;

/// Members that are secret wherever they are.
const SECRET_MEMBERS: [&str; 4] = ["password", "passwd", "passphrase", "secret-data"];

/// HMP commands that have secrets in their text.
const SECRET_LINES: [&str; 4] = ["set_password", "change", "object_add", "block_passwd"];

/// Requests whose replies are awaited, so that replies are known by their
/// commands; a client that leaves more unanswered is not followed.
const FOLLOWED: usize = 4096;

/// A place that is secret: `COMMAND.MEMBER…` in the arguments of a command and
/// in what it returns, `EVENT.MEMBER…` in an event's data. Each part may have
/// `*` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    name: String,
    members: Vec<String>,
}

impl FromStr for Redaction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('.').map(str::to_owned);
        let name = parts.next().unwrap_or_default();
        let members: Vec<String> = parts.collect();
        match members.is_empty() || members.iter().any(String::is_empty) {
            true => Err("expected COMMAND.MEMBER".to_owned()),
            false => Ok(Self { name, members }),
        }
    }
}

impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.members.join("."))
    }
}

/// Takes secrets out of the messages of one connection.
#[derive(Debug)]
pub struct Redactor {
    rules: Vec<Redaction>,
    /// The commands by the text of their ids.
    asked: HashMap<String, String>,
}

impl Redactor {
    /// Hides what is always secret, and these.
    #[must_use]
    pub fn new(rules: Vec<Redaction>) -> Self {
        Self {
            rules,
            asked: HashMap::new(),
        }
    }

    /// A message of the client's as it may be shown.
    pub fn request(&mut self, mut message: Value) -> Value {
        let Value::Object(members) = &mut message else {
            return message;
        };
        let command = members.get("execute").or_else(|| members.get("exec-oob"));
        let Some(Value::String(command)) = command.cloned() else {
            hide_secrets(&mut message);
            return message;
        };
        if self.asked.len() < FOLLOWED {
            self.asked.insert(id_of(members), command.clone());
        }
        if let Some(arguments) = members.get_mut("arguments") {
            self.arguments(&command, arguments);
        }
        message
    }

    /// Hides what is secret in the arguments of a command.
    pub fn arguments(&self, command: &str, arguments: &mut Value) {
        if command == "human-monitor-command" {
            hide_line(arguments);
        }
        self.hide(command, arguments);
    }

    /// A message of the server's as it may be shown.
    pub fn response(&mut self, mut message: Value) -> Value {
        let Value::Object(members) = &mut message else {
            return message;
        };
        let name = match members.get("event") {
            Some(Value::String(event)) => event.clone(),
            _ => self.asked.remove(&id_of(members)).unwrap_or_default(),
        };
        for key in ["return", "data"] {
            if let Some(value) = members.get_mut(key) {
                self.hide(&name, value);
            }
        }
        message
    }

    fn hide(&self, name: &str, value: &mut Value) {
        hide_secrets(value);
        let meant = |rule: &&Redaction| pattern::matches(&rule.name, name);
        for rule in self.rules.iter().filter(meant) {
            hide_path(value, &rule.members);
        }
    }
}

fn id_of(members: &Object) -> String {
    let id = members.get("id").map(serde_json::to_string);
    id.and_then(Result::ok).unwrap_or_default()
}

/// Hides what is secret by its name, at any depth.
fn hide_secrets(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(hide_secrets),
        Value::Object(members) => {
            let kind = members.get("qom-type");
            let is_secret = matches!(kind, Some(Value::String(kind)) if kind.starts_with("secret"));
            for (name, value) in members {
                if SECRET_MEMBERS.contains(&name.as_str()) || is_secret && name == "data" {
                    hide_whole(value);
                } else {
                    hide_secrets(value);
                }
            }
        }
        _ => {}
    }
}

fn hide_whole(value: &mut Value) {
    if *value != Value::Null {
        *value = Value::String(REDACTED.to_owned());
    }
}

fn hide_path(value: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        return hide_whole(value);
    };
    match value {
        // Elements have no names of their own.
        Value::Array(elements) => elements.iter_mut().for_each(|value| hide_path(value, path)),
        Value::Object(members) => {
            let named = members
                .iter_mut()
                .filter(|(name, _)| pattern::matches(first, name));
            named.for_each(|(_, value)| hide_path(value, rest));
        }
        _ => {}
    }
}

/// Hides a line of HMP but for its command.
fn hide_line(arguments: &mut Value) {
    let Value::Object(arguments) = arguments else {
        return;
    };
    let Some(Value::String(line)) = arguments.get_mut("command-line") else {
        return;
    };
    let command = line.split_whitespace().next().unwrap_or_default();
    if SECRET_LINES.contains(&command) {
        *line = format!("{command} {REDACTED}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinamou_qmp::json::{Style, parse, to_vec};

    fn check(rules: &[&str], message: &str, expected: &str) {
        let rules = rules
            .iter()
            .map(|rule| rule.parse().expect("a rule"))
            .collect();
        let mut redactor = Redactor::new(rules);
        // What the replies are to.
        redactor.request(parse(br#"{"execute": "query-x", "id": 1}"#).expect("JSON"));
        let value = parse(message.as_bytes()).expect("JSON");
        let shown = match message.contains("execute") {
            true => redactor.request(value),
            false => redactor.response(value),
        };
        let shown = to_vec(&shown, Style::Compact).expect("JSON");
        assert_eq!(String::from_utf8_lossy(&shown), expected);
    }

    #[test]
    fn secrets_are_hidden() {
        for (rules, message, expected) in [
            (
                &[][..],
                r#"{"execute": "object-add", "arguments": {"qom-type": "secret", "id": "s", "data": "x"}}"#,
                r#"{"execute": "object-add", "arguments": {"qom-type": "secret", "id": "s", "data": "[redacted]"}}"#,
            ),
            (
                &[],
                r#"{"execute": "set_password", "arguments": {"protocol": "vnc", "password": "x"}}"#,
                r#"{"execute": "set_password", "arguments": {"protocol": "vnc", "password": "[redacted]"}}"#,
            ),
            (
                &[],
                r#"{"execute": "a", "arguments": {"b": [{"password": 1, "key-secret": "id"}]}}"#,
                r#"{"execute": "a", "arguments": {"b": [{"password": "[redacted]", "key-secret": "id"}]}}"#,
            ),
            (
                &[],
                r#"{"execute": "human-monitor-command", "arguments": {"command-line": "set_password vnc x"}}"#,
                r#"{"execute": "human-monitor-command", "arguments": {"command-line": "set_password [redacted]"}}"#,
            ),
            (
                &[],
                r#"{"execute": "human-monitor-command", "arguments": {"command-line": "info name"}}"#,
                r#"{"execute": "human-monitor-command", "arguments": {"command-line": "info name"}}"#,
            ),
            (
                &["query-x.a.b*"],
                r#"{"return": {"a": [{"b1": 1, "c": 2}], "b1": 3}, "id": 1}"#,
                r#"{"return": {"a": [{"b1": "[redacted]", "c": 2}], "b1": 3}, "id": 1}"#,
            ),
            (
                &["query-x.a"],
                r#"{"return": {"a": 1}, "id": 2}"#,
                r#"{"return": {"a": 1}, "id": 2}"#,
            ),
            (
                &["VNC_*.client.host"],
                r#"{"event": "VNC_CONNECTED", "data": {"client": {"host": "h"}}}"#,
                r#"{"event": "VNC_CONNECTED", "data": {"client": {"host": "[redacted]"}}}"#,
            ),
        ] {
            check(rules, message, expected);
        }
    }

    #[test]
    fn a_place_has_a_member() {
        for text in ["", "a", "a.", "a..b"] {
            assert!(text.parse::<Redaction>().is_err(), "{text}");
        }
    }
}
