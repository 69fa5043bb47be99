//! Arguments as people type them, `key=value` or JSON, read as the server's
//! own description types them.

pub mod literal;
mod typed;

use indexmap::IndexMap;
use serde_json::Value;
use tinamou_client::Schema;

use crate::Error;
pub(crate) use typed::scalar;

/// What was typed for an argument, before its type is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given {
    /// `key=text`
    Text(String),
    /// JSON, which says what it is.
    Json(Value),
    /// `key.member=text`
    Members(IndexMap<String, Given>),
}

/// Reads the arguments of `command`: any mixture of `key=value`, where a key
/// may lead into objects and lists (`inet.port=1`, `list.0=a`), and of JSON
/// objects. A value becomes what `schema` says the argument is; what it does
/// not know is read as JSON if it is JSON, else as a string.
///
/// # Errors
///
/// A word that is neither, a key given twice, a value that its type excludes.
pub fn read<'a>(
    command: &str,
    words: impl IntoIterator<Item = &'a str>,
    schema: Option<&Schema>,
) -> Result<Value, Error> {
    let mut given = IndexMap::new();
    for word in words {
        if word.trim_start().starts_with('{') {
            add_object(&mut given, word)?;
        } else if let Some((key, text)) = word.split_once('=') {
            add(&mut given, key, Given::Text(text.to_owned()))?;
        } else {
            return Err(Error::usage(format!(
                "'{word}' is neither key=value nor a JSON object"
            )));
        }
    }
    typed::arguments(command, given, schema)
}

fn add_object(given: &mut IndexMap<String, Given>, text: &str) -> Result<(), Error> {
    let value =
        literal::parse(text).map_err(|error| Error::usage(format!("{error} in '{text}'")))?;
    let Value::Object(members) = value else {
        return Err(Error::usage(format!("'{text}' is not a JSON object")));
    };
    for (key, value) in members {
        if given.insert(key.clone(), Given::Json(value)).is_some() {
            return Err(twice(&key));
        }
    }
    Ok(())
}

/// Puts `value` where the dotted `key` leads.
fn add(given: &mut IndexMap<String, Given>, key: &str, value: Given) -> Result<(), Error> {
    let mut place = given;
    let mut rest = key;
    while let Some((step, below)) = rest.split_once('.') {
        let next = place
            .entry(step.to_owned())
            .or_insert_with(|| Given::Members(IndexMap::new()));
        open(next);
        let Given::Members(members) = next else {
            return Err(twice(key));
        };
        place = members;
        rest = below;
    }
    if rest.is_empty() {
        return Err(Error::usage(format!("'{key}=' names no argument")));
    }
    match place.insert(rest.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(twice(key)),
    }
}

/// Makes an object that was typed as JSON take further members.
fn open(given: &mut Given) {
    if let Given::Text(text) = given
        && text.starts_with('{')
        && let Ok(Value::Object(members)) = literal::parse(text)
    {
        let members = members.into_iter();
        let members = members.map(|(name, value)| (name, Given::Json(value)));
        *given = Given::Members(members.collect());
    }
}

fn twice(key: &str) -> Error {
    Error::usage(format!("'{key}' is given twice"))
}

#[cfg(test)]
mod tests;
