//! Which events are meant: `NAME`, `BLOCK_*`, `DEVICE_DELETED,device=nic0`.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use tinamou_client::EventMessage;

/// A name, in which `*` stands for anything, and what some of the details must
/// be. Details are named by their path (`info.reason`) and compared as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPattern {
    name: String,
    members: Vec<(String, String)>,
}

impl EventPattern {
    /// The events called `name` whose details are as `members` say, each as
    /// `PATH=VALUE`.
    ///
    /// # Errors
    ///
    /// The word that has no `=`.
    pub fn new<'a>(name: &str, members: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let members = members.into_iter().map(|member| {
            let (path, value) = member
                .split_once('=')
                .ok_or_else(|| format!("'{member}' is not of the form MEMBER=VALUE"))?;
            Ok((path.to_owned(), value.to_owned()))
        });
        Ok(Self {
            name: name.to_owned(),
            members: members.collect::<Result<_, String>>()?,
        })
    }

    /// Every event.
    #[must_use]
    pub fn any() -> Self {
        Self {
            name: "*".to_owned(),
            members: Vec::new(),
        }
    }

    /// Whether `event` is meant.
    #[must_use]
    pub fn matches(&self, event: &EventMessage) -> bool {
        glob(&self.name, &event.name)
            && (self.members.is_empty() || self.matches_data(&event.value()))
    }

    fn matches_data(&self, data: &Value) -> bool {
        self.members
            .iter()
            .all(|(path, wanted)| member(data, path).is_some_and(|found| is(found, wanted)))
    }
}

impl FromStr for EventPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let name = words.next().unwrap_or_default();
        Self::new(name, words)
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.members
            .iter()
            .try_for_each(|(path, value)| write!(f, ",{path}={value}"))
    }
}

/// The member at a dotted path; numbers are places in arrays.
fn member<'a>(data: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(data, |value, step| match value {
        Value::Object(members) => members.get(step),
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

fn is(found: &Value, wanted: &str) -> bool {
    match found {
        Value::String(text) => text == wanted,
        other => {
            let text = other.to_string();
            text == wanted
        }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(place) = text.find(part) else {
            return false;
        };
        text = &text[place + part.len()..];
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("STOP", "STOP", true),
            ("STOP", "STOPPED", false),
            ("*", "STOP", true),
            ("BLOCK_*", "BLOCK_JOB_READY", true),
            ("*_READY", "BLOCK_JOB_READY", true),
            ("BLOCK_*_READY", "BLOCK_JOB_READY", true),
            ("B*JOB*Y", "BLOCK_JOB_READY", true),
            ("B*JOB*X", "BLOCK_JOB_READY", false),
            ("AB*BA", "ABA", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn details_are_compared_as_text() {
        let data = json!({"device": "nic0", "n": 3, "info": {"ok": true}, "list": ["a", "b"]});
        for (pattern, expected) in [
            ("E,device=nic0", true),
            ("E,device=nic1", false),
            ("E,n=3,info.ok=true", true),
            ("E,list.1=b", true),
            ("E,list.2=b", false),
            ("E,absent=", false),
        ] {
            let pattern: EventPattern = pattern.parse().expect("it is of the form");
            assert_eq!(pattern.matches_data(&data), expected, "{pattern}");
        }
    }

    #[test]
    fn a_member_needs_a_value() {
        let error = "E,device".parse::<EventPattern>();
        assert_eq!(
            error,
            Err("'device' is not of the form MEMBER=VALUE".to_owned())
        );
    }
}
