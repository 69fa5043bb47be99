//! Expressions: the JSON values that a schema is made of, with positions.

use crate::error::Result;
use crate::source::Position;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Object(Vec<(String, Expression)>),
    Array(Vec<Expression>),
    String(String),
    Bool(bool),
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) value: Value,
    pub(crate) position: Position,
}

impl Expression {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Expression]> {
        match &self.value {
            Value::Array(elements) => Some(elements),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&[(String, Expression)]> {
        match &self.value {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    pub(crate) fn member(&self, key: &str) -> Option<&Expression> {
        self.as_object()?
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    pub(crate) fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        self.position.fail(message)
    }

    /// Checks that an object has the required keys and no unknown ones.
    pub(crate) fn check_keys(
        &self,
        what: &str,
        required: &[&str],
        optional: &[&str],
    ) -> Result<()> {
        let missing: Vec<&str> = required
            .iter()
            .copied()
            .filter(|key| self.member(key).is_none())
            .collect();
        if !missing.is_empty() {
            return self.fail(format!("{what} misses {}", quoted("key", &missing)));
        }
        let known = |key: &str| required.contains(&key) || optional.contains(&key);
        let members = self.as_object().unwrap_or_default();
        let unknown: Vec<_> = members.iter().filter(|(key, _)| !known(key)).collect();
        let Some((_, first)) = unknown.first() else {
            return Ok(());
        };
        let unknown: Vec<&str> = unknown.iter().map(|(key, _)| key.as_str()).collect();
        let mut valid = [required, optional].concat();
        valid.sort_unstable();
        first.fail(format!(
            "{what} has unknown {}, valid keys are '{}'",
            quoted("key", &unknown),
            valid.join("', '")
        ))
    }
}

/// `key 'a'`, `keys 'a', 'b'`
pub(crate) fn quoted(noun: &str, names: &[&str]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{noun}{plural} '{}'", names.join("', '"))
}
