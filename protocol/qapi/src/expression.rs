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
        if let Some(missing) = required.iter().find(|key| self.member(key).is_none()) {
            return self.fail(format!("{what} misses key '{missing}'"));
        }
        let known = |key: &str| required.contains(&key) || optional.contains(&key);
        match self
            .as_object()
            .into_iter()
            .flatten()
            .find(|(key, _)| !known(key))
        {
            Some((key, value)) => value.fail(format!("{what} has unknown key '{key}'")),
            None => Ok(()),
        }
    }
}
