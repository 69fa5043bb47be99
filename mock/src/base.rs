//! What every mock does without a rule: the commands that a client needs to
//! find its way, and a run state that can be stopped and continued.

use tinamou_qmp::session::Greeting;
use tinamou_qmp::{Object, Value};

use crate::answer::{Answer, Happening, Outcome};
use crate::fault::{Fault, Planted};
use crate::message::{object, text};
use crate::schema::Schema;

/// The machine that is not there.
#[derive(Debug)]
pub(crate) struct Base {
    introspection: Value,
    commands: Vec<String>,
    version: Value,
    running: bool,
}

impl Base {
    pub(crate) fn new(schema: &Schema, greeting: &Greeting, faults: &[Planted]) -> Self {
        let mut base = Self {
            introspection: schema.introspection().clone(),
            commands: schema.commands().into_iter().map(str::to_owned).collect(),
            version: version(greeting),
            running: true,
        };
        for planted in faults {
            base.plant(planted);
        }
        base
    }

    /// What introspection says wrongly.
    fn plant(&mut self, planted: &Planted) {
        let Value::Array(infos) = &mut self.introspection else {
            return;
        };
        let named = planted.command.as_deref();
        match planted.fault {
            Fault::PhantomCommand => {
                let name = named.unwrap_or("phantom");
                let like = infos.iter().find(|info| is_command(info, "query-version"));
                let Some(Value::Object(like)) = like else {
                    return;
                };
                let mut phantom = like.clone();
                phantom.insert("name".to_owned(), text(name));
                infos.push(Value::Object(phantom));
                self.commands.push(name.to_owned());
            }
            Fault::HiddenCommand => {
                let name = named.unwrap_or("query-name");
                infos.retain(|info| !is_command(info, name));
                self.commands.retain(|command| command != name);
            }
            Fault::PhantomArgument => add_argument(infos, named.unwrap_or("query-version")),
            Fault::CommandsDisagree => {
                let name = named.unwrap_or("query-name");
                self.commands.retain(|command| command != name);
            }
            _ => {}
        }
    }

    /// The answer to a command that needs no rule.
    pub(crate) fn answer(&mut self, command: &str) -> Option<Answer> {
        let answer = match command {
            "query-qmp-schema" => Outcome::Return(self.introspection.clone()).into(),
            "query-commands" => Outcome::Return(self.list()).into(),
            "query-version" => Outcome::Return(self.version.clone()).into(),
            "query-status" => Outcome::Return(self.status()).into(),
            "stop" => self.run(false, "STOP"),
            "cont" => self.run(true, "RESUME"),
            "system_reset" => caused("RESET", Some(by_host("host-qmp-system-reset"))),
            "system_powerdown" => caused("POWERDOWN", None),
            "quit" => Answer {
                close: true,
                ..caused("SHUTDOWN", Some(by_host("host-qmp-quit")))
            },
            _ => return None,
        };
        Some(answer)
    }

    fn run(&mut self, running: bool, event: &str) -> Answer {
        let changed = std::mem::replace(&mut self.running, running) != running;
        match changed {
            true => caused(event, None),
            false => Outcome::empty().into(),
        }
    }

    fn status(&self) -> Value {
        let status = if self.running { "running" } else { "paused" };
        Value::Object(object([
            ("status", text(status)),
            ("running", Value::Bool(self.running)),
        ]))
    }

    fn list(&self) -> Value {
        let name = |name: &String| Value::Object(object([("name", text(name.as_str()))]));
        Value::Array(self.commands.iter().map(name).collect())
    }
}

/// A success that an event precedes.
fn caused(event: &str, data: Option<Object>) -> Answer {
    Answer {
        before: vec![Happening::new(event, data)],
        ..Outcome::empty().into()
    }
}

fn by_host(reason: &str) -> Object {
    object([("guest", Value::Bool(false)), ("reason", text(reason))])
}

fn version(greeting: &Greeting) -> Value {
    let version = greeting.version;
    let qemu = object([
        ("micro", Value::Int(version.micro)),
        ("minor", Value::Int(version.minor)),
        ("major", Value::Int(version.major)),
    ]);
    Value::Object(object([
        ("qemu", Value::Object(qemu)),
        ("package", text(&*greeting.package)),
    ]))
}

fn is_command(info: &Value, name: &str) -> bool {
    let Value::Object(info) = info else {
        return false;
    };
    info.get("meta-type") == Some(&text("command")) && info.get("name") == Some(&text(name))
}

/// Shows an optional argument `phantom`; commands that share the type of
/// their arguments, such as those that have none, all show it.
fn add_argument(infos: &mut [Value], command: &str) {
    let of = infos.iter().find(|info| is_command(info, command));
    let Some(Value::Object(command)) = of else {
        return;
    };
    let Some(ty) = command.get("arg-type").cloned() else {
        return;
    };
    for info in infos {
        let Value::Object(info) = info else { continue };
        if info.get("name") != Some(&ty) {
            continue;
        }
        if let Some(Value::Array(members)) = info.get_mut("members") {
            let member = [
                ("name", text("phantom")),
                ("type", text("bool")),
                ("default", Value::Null),
            ];
            members.push(Value::Object(object(member)));
        }
    }
}
