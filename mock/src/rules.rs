//! Rules: what a mock answers to which commands.
//!
//! A file of rules is a row of JSON objects, in any layout; lines that begin
//! with `#` are comments. The first member that fits says what a rule is:
//!
//! - `{"command": "query-block", "arguments": {…}, "return": […]}` answers a
//!   command. The name may have `*` in it; arguments that the rule does not
//!   name may be anything. In place of `return` there may be `error` (with
//!   `class` and `desc`), `silent: true`, or `sequence`, a list of answers
//!   that are given one after another, the last of them for ever. Beside any
//!   of them: `delay` (milliseconds), `events` (a list of events, sent ahead
//!   of the reply, or `after` milliseconds behind it), `close: true`, and
//!   `unchecked: true`, which lets the answer be other than the schema says.
//! - `{"event": "RTC_CHANGE", "data": {…}, "after": 100, "every": 1000}`
//!   sends an event that long after a client has negotiated, and again.
//! - `{"fault": "delay", "command": "stop", "from": 2, "times": 1, "ms": 20}`
//!   plants a fault.
//! - `{"greeting": {"version": {…}, "package": "…", "oob": false}}` says who
//!   the server is.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tinamou_qmp::session::{Greeting, Version};
use tinamou_qmp::{Object, Value};

use crate::answer::{Answer, Happening, Outcome, Received, Script};
use crate::fault::{Fault, Planted};
use crate::schema::Schema;
use crate::{Error, Result, pattern};

/// What a file of rules holds.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    happenings: Vec<Happening>,
    faults: Vec<Planted>,
    greeting: Option<Greeting>,
}

#[derive(Clone, Debug)]
struct Rule {
    number: usize,
    command: String,
    arguments: Object,
    answers: Vec<Answer>,
    unchecked: bool,
    /// How many were given.
    given: usize,
}

/// What is not named here is the answer's.
#[derive(Deserialize)]
struct RuleText {
    command: String,
    #[serde(default)]
    arguments: Object,
    #[serde(default)]
    unchecked: bool,
    sequence: Option<Vec<Value>>,
    #[serde(flatten)]
    answer: Object,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerText {
    #[serde(rename = "return")]
    value: Option<Value>,
    error: Option<ErrorText>,
    #[serde(default)]
    silent: bool,
    #[serde(default)]
    delay: u64,
    #[serde(default)]
    events: Vec<EventText>,
    #[serde(default)]
    close: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorText {
    #[serde(default = "generic")]
    class: String,
    desc: String,
}

fn generic() -> String {
    "GenericError".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventText {
    event: String,
    data: Option<Object>,
    after: Option<u64>,
    every: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultText {
    fault: String,
    command: Option<String>,
    from: Option<u64>,
    times: Option<u64>,
    ms: Option<u64>,
    bytes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GreetingText {
    greeting: GreetingBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GreetingBody {
    version: Option<VersionText>,
    #[serde(default)]
    package: String,
    #[serde(default = "yes")]
    oob: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionText {
    major: i64,
    minor: i64,
    micro: i64,
}

impl Rules {
    /// Reads rules.
    ///
    /// # Errors
    /// One is not understood.
    pub fn parse(text: &str) -> Result<Self> {
        let mut rules = Self::default();
        let plain = without_comments(text);
        let objects = serde_json::Deserializer::from_str(&plain).into_iter::<Value>();
        for (index, object) in objects.enumerate() {
            let number = index + 1;
            let wrong = |reason: String| Error::Rule { number, reason };
            let object = object.map_err(|error| wrong(error.to_string()))?;
            rules.add(number, object).map_err(wrong)?;
        }
        Ok(rules)
    }

    /// The faults among them.
    #[must_use]
    pub fn faults(&self) -> &[Planted] {
        &self.faults
    }

    /// Who the server is, if they say so.
    #[must_use]
    pub fn greeting(&self) -> Option<&Greeting> {
        self.greeting.as_ref()
    }

    /// Whether the schema allows what the rules answer and send.
    ///
    /// # Errors
    /// The first that it does not allow.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        for rule in self.rules.iter().filter(|rule| !rule.unchecked) {
            let number = rule.number;
            let checked = rule.check(schema);
            checked.map_err(|error| Error::Rule {
                number,
                reason: error.desc,
            })?;
        }
        Ok(())
    }

    fn add(&mut self, number: usize, value: Value) -> Result<(), String> {
        let Value::Object(members) = &value else {
            return Err("it is no object".to_owned());
        };
        if members.contains_key("fault") {
            self.faults.push(read::<FaultText>(&value)?.planted()?);
        } else if members.contains_key("command") {
            self.rules.push(Rule::read(number, &value)?);
        } else if members.contains_key("event") {
            self.happenings.push(read::<EventText>(&value)?.happening());
        } else if members.contains_key("greeting") {
            self.greeting = Some(read::<GreetingText>(&value)?.greeting.into());
        } else {
            return Err("it has no command, event, fault or greeting".to_owned());
        }
        Ok(())
    }
}

impl Script for Rules {
    fn answer(&mut self, request: &Received) -> Option<Answer> {
        let rule = self.rules.iter_mut().find(|rule| rule.fits(request))?;
        let last = rule.answers.len() - 1;
        let answer = rule.answers[rule.given.min(last)].clone();
        rule.given += 1;
        Some(answer)
    }

    fn happenings(&mut self, _: usize) -> Vec<Happening> {
        self.happenings.clone()
    }
}

impl Rule {
    fn read(number: usize, value: &Value) -> Result<Self, String> {
        let text: RuleText = read(value)?;
        let single = Value::Object(text.answer);
        let answers = match text.sequence {
            Some(sequence) if sequence.is_empty() => return Err("its sequence is empty".to_owned()),
            Some(sequence) => sequence,
            None => vec![single],
        };
        let answers = answers
            .iter()
            .map(|answer| read::<AnswerText>(answer)?.answer());
        Ok(Self {
            number,
            command: text.command,
            arguments: text.arguments,
            answers: answers.collect::<Result<_, String>>()?,
            unchecked: text.unchecked,
            given: 0,
        })
    }

    fn fits(&self, request: &Received) -> bool {
        let given = |(name, value): (&String, &Value)| request.arguments.get(name) == Some(value);
        pattern::matches(&self.command, request.command) && self.arguments.iter().all(given)
    }

    fn check(&self, schema: &Schema) -> tinamou_qmp::Result<()> {
        for answer in &self.answers {
            if let (Outcome::Return(value), false) = (&answer.outcome, self.command.contains('*')) {
                schema.check_return(&self.command, value.clone())?;
            }
            for event in answer.before.iter().chain(&answer.after) {
                schema.check_event(&event.name, event.data.clone().unwrap_or_default())?;
            }
        }
        Ok(())
    }
}

impl AnswerText {
    fn answer(self) -> Result<Answer, String> {
        let outcome = match (self.value, self.error, self.silent) {
            (Some(value), None, false) => Outcome::Return(value),
            (None, None, false) => Outcome::empty(),
            (None, Some(error), false) => Outcome::Error {
                class: error.class,
                desc: error.desc,
            },
            (None, None, true) => Outcome::Silence,
            _ => return Err("it has more than one of return, error and silent".to_owned()),
        };
        let (before, after) = self
            .events
            .into_iter()
            .partition::<Vec<_>, _>(|event| event.after.is_none());
        Ok(Answer {
            before: before.into_iter().map(EventText::happening).collect(),
            delay: Duration::from_millis(self.delay),
            outcome,
            after: after.into_iter().map(EventText::happening).collect(),
            close: self.close,
        })
    }
}

impl EventText {
    fn happening(self) -> Happening {
        Happening {
            name: self.event,
            data: self.data,
            delay: Duration::from_millis(self.after.unwrap_or_default()),
            every: self.every.map(|ms| Duration::from_millis(ms.max(1))),
        }
    }
}

impl FaultText {
    fn planted(self) -> Result<Planted, String> {
        let fault: Fault = self
            .fault
            .parse()
            .map_err(|error: Error| error.to_string())?;
        Ok(Planted {
            command: self.command,
            from: self.from.unwrap_or(1),
            times: self.times,
            time: self.ms.map(Duration::from_millis),
            bytes: self.bytes,
            ..fault.into()
        })
    }
}

impl From<GreetingBody> for Greeting {
    fn from(body: GreetingBody) -> Self {
        let version = body.version.map(|version| Version {
            micro: version.micro,
            minor: version.minor,
            major: version.major,
        });
        Self {
            version: version.unwrap_or(crate::mock::VERSION),
            package: body.package,
            oob: body.oob,
        }
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| {
        let text = error.to_string();
        // The place is one in a text that nobody wrote.
        text.split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}

fn without_comments(text: &str) -> String {
    let is_comment = |line: &&str| line.trim_start().starts_with('#');
    let lines = text
        .lines()
        .map(|line| if is_comment(&line) { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let rules = Rules::parse(text);
        let checked = rules.and_then(|rules| rules.check(&Schema::whole()));
        let shown = checked.map_or_else(|error| error.to_string(), |()| "sound".to_owned());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn rules_are_checked() {
        for (text, expected) in [
            ("# nothing\n", "sound"),
            (
                r#"{"command": "query-name", "return": {"name": "x"}}"#,
                "sound",
            ),
            (
                r#"{"command": "query-name", "return": {"name": 1}}"#,
                "rule 1: Invalid parameter type for 'name', expected: string",
            ),
            (
                r#"{"command": "query-name", "return": {"name": 1}, "unchecked": true}"#,
                "sound",
            ),
            (
                "{\"command\": \"stop\"}\n{\"command\": \"nothing\"}",
                "rule 2: The command nothing has not been found",
            ),
            (
                r#"{"command": "stop", "events": [{"event": "NONE"}]}"#,
                "rule 1: there is no event 'NONE'",
            ),
            (
                r#"{"command": "stop", "sequence": []}"#,
                "rule 1: its sequence is empty",
            ),
            (
                r#"{"command": "stop", "colour": 1}"#,
                "rule 1: unknown field `colour`, expected one of `return`, `error`, `silent`, `delay`, `events`, `close`",
            ),
            (r#"{"fault": "none"}"#, "rule 1: there is no fault 'none'"),
            ("[]", "rule 1: it is no object"),
            ("{}", "rule 1: it has no command, event, fault or greeting"),
        ] {
            check(text, expected);
        }
    }
}
