//! `if` conditions.

use std::collections::HashSet;

use crate::error::Result;
use crate::expression::{Expression, Value};

/// When a thing is part of the interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    #[default]
    Always,
    /// When the symbol is defined.
    Symbol(String),
    /// When all hold.
    All(Vec<Condition>),
    /// When one holds.
    Any(Vec<Condition>),
    /// When it does not hold.
    Not(Box<Condition>),
}

impl Condition {
    /// Reads the value of a key `if`; `what` it belongs to, for messages.
    pub(crate) fn read(expression: Option<&Expression>, what: &str) -> Result<Self> {
        match expression {
            None => Ok(Self::Always),
            Some(expression) => read(expression, what),
        }
    }

    /// Whether there is a condition at all.
    pub fn is_always(&self) -> bool {
        *self == Self::Always
    }

    /// Whether it holds with these symbols defined.
    pub fn holds(&self, defined: &HashSet<String>) -> bool {
        match self {
            Self::Always => true,
            Self::Symbol(symbol) => defined.contains(symbol),
            Self::All(all) => all.iter().all(|condition| condition.holds(defined)),
            Self::Any(any) => any.iter().any(|condition| condition.holds(defined)),
            Self::Not(not) => !not.holds(defined),
        }
    }
}

fn read(expression: &Expression, what: &str) -> Result<Condition> {
    let members = match &expression.value {
        Value::String(symbol) if is_symbol(symbol) => return Ok(Condition::Symbol(symbol.clone())),
        Value::String(symbol) => {
            return expression.fail(format!(
                "'if' condition '{symbol}' of {what} is not a valid identifier"
            ));
        }
        Value::Object(members) => members,
        _ => {
            return expression.fail(format!(
                "'if' condition of {what} must be a string or an object"
            ));
        }
    };
    expression.check_keys(
        &format!("'if' condition of {what}"),
        &[],
        &["all", "any", "not"],
    )?;
    let [(operator, operand)] = members.as_slice() else {
        return expression.fail(format!("'if' condition of {what} has conflicting keys"));
    };
    if operator == "not" {
        return Ok(Condition::Not(Box::new(read(operand, what)?)));
    }
    let Some(operands) = operand.as_array() else {
        return operand.fail(format!("'{operator}' condition of {what} must be an array"));
    };
    if operands.is_empty() {
        return operand.fail(format!("'if' condition [] of {what} is useless"));
    }
    let conditions = operands
        .iter()
        .map(|operand| read(operand, what))
        .collect::<Result<_>>()?;
    Ok(if operator == "all" {
        Condition::All(conditions)
    } else {
        Condition::Any(conditions)
    })
}

fn is_symbol(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
