//! Reading recordings back.

use std::path::Path;

use tinamou_mock::Schema;
use tinamou_qmp::session::{Greeting, Version};
use tinamou_qmp::{Object, Value};

use super::{Entry, FORMAT, Header, Side, What};
use crate::Error;

/// What was said on the connections of a recording.
#[derive(Debug)]
pub struct Recording {
    pub(super) connections: Vec<Vec<Said>>,
    schema: Option<Schema>,
}

/// A message and when it was sent.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) time: f64,
    pub(super) from: Side,
    pub(super) message: Object,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// The file is no recording, or cannot be read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(Error::io(&*shown))?;
        Self::parse(&text).map_err(|reason| Error::usage(format!("{shown}: {reason}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        let header: Header = serde_json::from_str(header).map_err(|_| "it is no recording")?;
        if header.recording != FORMAT {
            return Err(format!("format {} is not known", header.recording));
        }
        let mut connections: Vec<Vec<Said>> = Vec::new();
        for (index, line) in lines.enumerate() {
            let entry: Entry = serde_json::from_str(line)
                .map_err(|error| format!("line {}: {error}", index + 2))?;
            // Numbers are given in the order in which clients came.
            if entry.connection > connections.len() {
                return Err(format!("line {}: connections are left out", index + 2));
            }
            if entry.connection == connections.len() {
                connections.push(Vec::new());
            }
            if let What::Message {
                from,
                message: Value::Object(message),
            } = entry.what
            {
                let time = entry.time;
                connections[entry.connection].push(Said {
                    time,
                    from,
                    message,
                });
            }
        }
        Ok(Self {
            connections,
            schema: Schema::from_text(text).ok(),
        })
    }

    /// The interface of the server, if someone asked for it; else the names of
    /// all commands that are known, and of those that were sent.
    #[must_use]
    pub fn schema(&self) -> Schema {
        if let Some(schema) = &self.schema {
            return schema.clone();
        }
        let said = self.connections.iter().flatten();
        let sent = said.filter_map(|said| command_of(&said.message));
        Schema::of_commands(Schema::whole().commands().into_iter().chain(sent))
    }

    /// Who the server was.
    #[must_use]
    pub fn greeting(&self) -> Option<Greeting> {
        let mut said = self.connections.iter().flatten();
        said.find_map(|said| greeting_of(&said.message))
    }
}

pub(super) fn command_of(message: &Object) -> Option<&str> {
    let command = message.get("execute").or_else(|| message.get("exec-oob"));
    match command? {
        Value::String(command) => Some(command),
        _ => None,
    }
}

fn greeting_of(message: &Object) -> Option<Greeting> {
    let member = |object: &Value, name: &str| match object {
        Value::Object(members) => members.get(name).cloned(),
        _ => None,
    };
    let greeting = message.get("QMP")?;
    let version = member(greeting, "version")?;
    let numbers = member(&version, "qemu")?;
    let number = |name| match member(&numbers, name) {
        Some(Value::Int(number)) => number,
        _ => 0,
    };
    let oob = Value::String("oob".to_owned());
    let package = member(&version, "package");
    let capabilities = member(greeting, "capabilities");
    Some(Greeting {
        version: Version {
            micro: number("micro"),
            minor: number("minor"),
            major: number("major"),
        },
        package: match package {
            Some(Value::String(package)) => package,
            _ => String::new(),
        },
        oob: matches!(capabilities, Some(Value::Array(list)) if list.contains(&oob)),
    })
}
