//! The `key=value,…` syntax of the command line, for options that the schema
//! describes: dotted keys make objects and lists, a comma in a value is
//! doubled, and the first value may stand without its key.
//!
//! The result is a tree of strings; [`ValueSource::keyval`] reads numbers,
//! sizes and truth values out of it by the type that is wanted.
//!
//! [`ValueSource::keyval`]: crate::ValueSource::keyval

mod scalar;

pub(crate) use scalar::{boolean, integer, number, size, unsigned};

use crate::json::MAX_NESTING;
use crate::{Error, Object, Result, Value};

/// Longest part of a key between dots.
const MAX_FRAGMENT: usize = 127;

/// What an option's text says.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyval {
    /// The parameters: strings, in objects and lists.
    pub members: Object,
    /// `help` or `?` stood among them.
    pub help: bool,
}

/// Reads `text`; `implied_key` is the key of a first value without one.
///
/// # Errors
/// A key is malformed, or keys contradict each other.
pub fn parse(text: &str, implied_key: Option<&str>) -> Result<Keyval> {
    let mut keyval = Keyval {
        members: Object::new(),
        help: false,
    };
    let mut implied_key = implied_key;
    let mut rest = text;
    while !rest.is_empty() {
        let word_end = rest.find(['=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        let implied = implied_key.take();
        let lone = !after.starts_with('=');
        if lone && matches!(word, "help" | "?") {
            keyval.help = true;
            rest = after.strip_prefix(',').unwrap_or("");
        } else if let (Some(key), true, false) = (implied, lone, word.is_empty()) {
            insert(&mut keyval.members, key, word.to_owned())?;
            rest = after.strip_prefix(',').unwrap_or("");
        } else {
            check_key(word)?;
            let Some(after) = after.strip_prefix('=') else {
                return Err(Error::generic(format!(
                    "Expected '=' after parameter '{word}'"
                )));
            };
            let (value, remaining) = value(after);
            insert(&mut keyval.members, word, value)?;
            rest = remaining;
        }
    }
    for (key, value) in &mut keyval.members {
        make_lists(value, &mut key.clone())?;
    }
    Ok(keyval)
}

/// A value up to its comma, and what follows that.
fn value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(',') {
        value.push_str(before);
        match after.strip_prefix(',') {
            None => return (value, after),
            Some(after) => {
                value.push(',');
                rest = after;
            }
        }
    }
    value.push_str(rest);
    (value, "")
}

/// Refuses keys that are not names and, after the first, list indexes.
fn check_key(key: &str) -> Result<()> {
    for fragment in fragments(key).ok_or_else(|| invalid(key))? {
        if fragment.len() > MAX_FRAGMENT {
            let what = if fragment.len() == key.len() {
                "Parameter"
            } else {
                "Parameter fragment"
            };
            return Err(Error::generic(format!("{what} '{fragment}' is too long")));
        }
    }
    Ok(())
}

/// A key's parts between dots; `None` if one is neither name nor index.
fn fragments(key: &str) -> Option<Vec<&str>> {
    let mut fragments = Vec::new();
    let mut rest = Some(key);
    while let Some(text) = rest {
        let length = fragment(text, !fragments.is_empty())?;
        fragments.push(&text[..length]);
        rest = match &text[length..] {
            "" => None,
            after => Some(after.strip_prefix('.')?),
        };
    }
    (fragments.len() <= MAX_NESTING).then_some(fragments)
}

/// The length of the part at the start of `text`.
fn fragment(text: &str, may_be_index: bool) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if may_be_index && digits > 0 {
        return Some(digits);
    }
    let prefix = if text.starts_with("__") {
        domain_prefix(text)?
    } else {
        0
    };
    let name = &text.as_bytes()[prefix..];
    let length = name
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
        .count();
    name.first()?
        .is_ascii_alphabetic()
        .then_some(prefix + length)
}

/// The length of a vendor's prefix, such as `__org.example_`.
fn domain_prefix(text: &str) -> Option<usize> {
    let in_domain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.".contains(byte);
    let domain = text
        .bytes()
        .skip(2)
        .take_while(|byte| in_domain(byte))
        .count();
    let ended = text.as_bytes().get(2 + domain) == Some(&b'_');
    (domain > 0 && ended).then_some(2 + domain + 1)
}

fn invalid(key: &str) -> Error {
    Error::generic(format!("Invalid parameter '{key}'"))
}

fn inconsistent(prefix: &str) -> Error {
    Error::generic(format!("Parameters '{prefix}.*' used inconsistently"))
}

fn is_index(fragment: &str) -> bool {
    !fragment.is_empty() && fragment.bytes().all(|byte| byte.is_ascii_digit())
}

/// Puts a value where its key says; given twice, the last one counts.
fn insert(members: &mut Object, key: &str, value: String) -> Result<()> {
    let fragments = fragments(key).ok_or_else(|| invalid(key))?;
    let Some((last, path)) = fragments.split_last() else {
        return Ok(());
    };
    let mut at = members;
    let mut length = 0;
    for fragment in path {
        length += fragment.len();
        let next = at
            .entry((*fragment).to_owned())
            .or_insert_with(|| Value::Object(Object::new()));
        let Value::Object(next) = next else {
            return Err(inconsistent(&key[..length]));
        };
        at = next;
        length += 1;
    }
    match at.insert((*last).to_owned(), Value::String(value)) {
        Some(Value::Object(_)) => Err(inconsistent(key)),
        _ => Ok(()),
    }
}

/// Turns objects whose keys are indexes into lists; `path` leads to `value`.
fn make_lists(value: &mut Value, path: &mut String) -> Result<()> {
    let Value::Object(members) = value else {
        return Ok(());
    };
    let length = path.len();
    for (key, member) in members.iter_mut() {
        path.push('.');
        path.push_str(key);
        make_lists(member, path)?;
        path.truncate(length);
    }
    let indexes = members.keys().filter(|key| is_index(key)).count();
    if indexes == 0 {
        return Ok(());
    }
    if indexes < members.len() {
        return Err(inconsistent(path));
    }
    let mut elements: Vec<(usize, Value)> = std::mem::take(members)
        .into_iter()
        .map(|(key, member)| (key.parse().unwrap_or(usize::MAX), member))
        .collect();
    elements.sort_by_key(|&(index, _)| index);
    elements.dedup_by_key(|&mut (index, _)| index);
    if let Some(missing) = (0..elements.len()).find(|&index| elements[index].0 != index) {
        return Err(Error::generic(format!(
            "Parameter '{path}.{missing}' missing"
        )));
    }
    *value = Value::Array(elements.into_iter().map(|(_, element)| element).collect());
    Ok(())
}
