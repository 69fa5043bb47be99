//! Who may do what.
//!
//! A policy is a list of rules in TOML. The first rule that fits a client is
//! the one; a client that none fits is turned away.
//!
//! ```toml
//! [[rule]]
//! title = "monitoring"
//! uid = [990]
//! read-only = true
//! rate = 20
//!
//! [[rule]]
//! name = ["ops-*"]                       # common name of the certificate
//! deny = ["quit", "object-add qom-type=secret*"]
//!
//! [[rule]]
//! gid = [36]
//! allow = ["query-*", "device_add driver=virtio-*", "device_del"]
//! ```

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tinamou_mock::pattern;
use tinamou_qmp::{Object, Value};
use tokio::time::Instant;

use crate::listen::Peer;

/// What only looks: these, and what begins with `query-` or `x-query-`.
const LOOKS: [&str; 6] = [
    "qmp_capabilities",
    "device-list-properties",
    "qom-get",
    "qom-list",
    "qom-list-properties",
    "qom-list-types",
];

/// Rules for all clients.
#[derive(Debug, Default)]
pub struct Policy {
    rules: Vec<Arc<Rule>>,
    /// What holds for everyone besides.
    everyone: Rule,
}

/// What a client may do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rule {
    /// What the log calls it.
    pub title: String,
    /// Fits processes of these users.
    pub uid: Option<Vec<u32>>,
    /// Fits processes of these groups.
    pub gid: Option<Vec<u32>>,
    /// Fits clients whose certificate has one of these common names; `*`
    /// stands for anything.
    pub name: Option<Vec<String>>,
    /// Only what looks is allowed.
    pub read_only: bool,
    /// Only these are allowed, unless it is empty.
    pub allow: Vec<CommandPattern>,
    /// These are not allowed.
    pub deny: Vec<CommandPattern>,
    /// Commands a second.
    pub rate: Option<f64>,
    /// Commands that may come at once; as many as come in a second otherwise.
    pub burst: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    #[serde(default)]
    rule: Vec<Rule>,
}

impl Policy {
    /// What holds for everyone, and no further rules.
    #[must_use]
    pub fn everyone(everyone: Rule) -> Self {
        Self {
            rules: vec![Arc::new(Rule::default())],
            everyone,
        }
    }

    /// The same with rules for some.
    ///
    /// # Errors
    /// The text is no policy.
    pub fn parse(text: &str, everyone: Rule) -> Result<Self, String> {
        let text: PolicyText = toml::from_str(text).map_err(|error| error.to_string())?;
        for rule in &text.rule {
            rule.check()?;
        }
        Ok(Self {
            rules: text.rule.into_iter().map(Arc::new).collect(),
            everyone,
        })
    }

    /// The rule for a client, if there is one.
    #[must_use]
    pub fn rule(&self, peer: &Peer) -> Option<Arc<Rule>> {
        let mut rules = self.rules.iter();
        let rule = rules.find(|rule| rule.fits(peer))?;
        if rule.rate.is_some() || self.everyone.rate.is_none() {
            return Some(Arc::clone(rule));
        }
        Some(Arc::new(rule.at_rate_of(&self.everyone)))
    }

    /// Whether a client of this rule may run a command.
    ///
    /// # Errors
    /// It may not, as it is told.
    pub fn check(&self, rule: &Rule, command: &str, arguments: &Object) -> Result<(), String> {
        if self.everyone.admits(command, arguments) && rule.admits(command, arguments) {
            return Ok(());
        }
        Err(format!(
            "The proxy's policy does not allow '{command}' with these arguments"
        ))
    }
}

impl Rule {
    /// What the log calls it.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let sound =
            |number: Option<f64>| number.is_none_or(|number| number > 0.0 && number.is_finite());
        match sound(self.rate) && sound(self.burst) {
            true => Ok(()),
            false => Err("rate and burst are numbers above zero".to_owned()),
        }
    }

    pub(super) fn rate(&self) -> Option<Rate> {
        let rate = self.rate?;
        let burst = self.burst.unwrap_or(rate).max(1.0);
        Some(Rate {
            rate,
            burst,
            left: burst,
            at: Instant::now(),
        })
    }

    fn at_rate_of(&self, other: &Self) -> Self {
        Self {
            title: self.title.clone(),
            uid: self.uid.clone(),
            gid: self.gid.clone(),
            name: self.name.clone(),
            read_only: self.read_only,
            allow: self.allow.clone(),
            deny: self.deny.clone(),
            rate: other.rate,
            burst: other.burst,
        }
    }

    fn fits(&self, peer: &Peer) -> bool {
        let process = peer.process;
        let uid = |ids: &Vec<u32>| process.is_some_and(|process| ids.contains(&process.uid));
        let gid = |ids: &Vec<u32>| process.is_some_and(|process| ids.contains(&process.gid));
        let named = |names: &Vec<String>| {
            let first = peer.names.first();
            first.is_some_and(|name| names.iter().any(|pattern| pattern::matches(pattern, name)))
        };
        self.uid.as_ref().is_none_or(uid)
            && self.gid.as_ref().is_none_or(gid)
            && self.name.as_ref().is_none_or(named)
    }

    fn admits(&self, command: &str, arguments: &Object) -> bool {
        let is_meant = |pattern: &CommandPattern| pattern.matches(command, arguments);
        if self.deny.iter().any(is_meant) || self.read_only && !looks(command) {
            return false;
        }
        self.allow.is_empty() || self.allow.iter().any(is_meant)
    }
}

fn looks(command: &str) -> bool {
    command.starts_with("query-") || command.starts_with("x-query-") || LOOKS.contains(&command)
}

/// Which commands are meant: `NAME [MEMBER=VALUE]…`, with `*` for anything in
/// names and values. Members are named by their path (`file.driver`); values
/// are compared as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandPattern {
    name: String,
    members: Vec<(String, String)>,
}

impl CommandPattern {
    fn matches(&self, command: &str, arguments: &Object) -> bool {
        let given = |(path, value): &(String, String)| {
            let found = member(arguments, path).map(as_text);
            found.is_some_and(|found| pattern::matches(value, &found))
        };
        pattern::matches(&self.name, command) && self.members.iter().all(given)
    }
}

impl FromStr for CommandPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let name = words.next().ok_or("a command is missing")?;
        let members = words.map(|word| {
            let (path, value) = word
                .split_once('=')
                .ok_or_else(|| format!("'{word}' is not of the form MEMBER=VALUE"))?;
            Ok((path.to_owned(), value.to_owned()))
        });
        Ok(Self {
            name: name.to_owned(),
            members: members.collect::<Result<_, String>>()?,
        })
    }
}

impl fmt::Display for CommandPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.members
            .iter()
            .try_for_each(|(path, value)| write!(f, " {path}={value}"))
    }
}

impl<'de> Deserialize<'de> for CommandPattern {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn member<'a>(object: &'a Object, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    match object.get(first)? {
        Value::Object(inner) => member(inner, rest),
        _ => None,
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => serde_json::to_string(value).unwrap_or_default(),
    }
}

/// How many commands a client may still send.
#[derive(Debug)]
pub(super) struct Rate {
    rate: f64,
    burst: f64,
    left: f64,
    at: Instant,
}

impl Rate {
    /// Counts a command; how long it must wait, if it must.
    pub(super) fn take(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.rate).min(self.burst);
        self.at = now;
        self.left -= 1.0;
        let missing = -self.left;
        (missing > 0.0)
            .then(|| Duration::try_from_secs_f64(missing / self.rate).unwrap_or(Duration::MAX))
    }
}
