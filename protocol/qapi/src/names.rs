//! What things may be called, and what two names would clash.

use crate::error::Result;
use crate::source::Position;

/// Splits a name into its vendor prefix with `x-`, and the stem; `None` if it
/// is no name at all.
fn stem(name: &str) -> Option<&str> {
    let mut rest = name;
    if let Some(vendor) = rest.strip_prefix("__") {
        let (domain, after) = vendor.split_once('_')?;
        let lawful = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if domain.is_empty() || !domain.chars().all(lawful) {
            return None;
        }
        rest = after;
    }
    rest = rest
        .strip_prefix("x-")
        .or_else(|| rest.strip_prefix("X-"))
        .unwrap_or(rest);
    let lawful = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (rest.starts_with(|c: char| c.is_ascii_alphabetic()) && rest.chars().all(lawful))
        .then_some(rest)
}

fn check(name: &str, what: &str, position: &Position) -> Result<String> {
    match stem(name) {
        Some(stem) if !mangle(name).starts_with("q_") => Ok(stem.to_owned()),
        _ => position.fail(format!("{what} has an invalid name")),
    }
}

/// An event's name: upper case.
pub(crate) fn check_upper(name: &str, what: &str, position: &Position) -> Result<()> {
    let stem = check(name, what, position)?;
    match stem.contains(|c: char| c.is_ascii_lowercase() || c == '-') {
        true => position.fail(format!("name of {what} must not use lowercase or '-'")),
        false => Ok(()),
    }
}

/// The name of a command, member or feature: lower case with dashes, unless
/// a pragma permits more.
pub(crate) fn check_lower(
    name: &str,
    what: &str,
    permissive: bool,
    position: &Position,
) -> Result<()> {
    let stem = check(name, what, position)?;
    match !permissive && stem.contains(|c: char| c.is_ascii_uppercase() || c == '_') {
        true => position.fail(format!("name of {what} must not use uppercase or '_'")),
        false => Ok(()),
    }
}

/// The value of an enumeration may also begin with a digit.
pub(crate) fn check_value(
    name: &str,
    what: &str,
    permissive: bool,
    position: &Position,
) -> Result<()> {
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => check_lower(&format!("d{name}"), what, permissive, position),
        false => check_lower(name, what, permissive, position),
    }
}

/// A type's name: camel case.
pub(crate) fn check_camel(name: &str, what: &str, position: &Position) -> Result<()> {
    let stem = check(name, what, position)?;
    let camel = stem.starts_with(|c: char| c.is_ascii_uppercase())
        && stem.chars().all(|c| c.is_ascii_alphanumeric())
        && stem.contains(|c: char| c.is_ascii_lowercase());
    if !camel {
        return position.fail(format!("name of {what} must use CamelCase"));
    }
    match name.ends_with("List") {
        true => position.fail(format!("{what} name should not end in 'List'")),
        false => Ok(()),
    }
}

/// A member must not be called what generated C code needs for itself.
pub(crate) fn check_reserved(name: &str, what: &str, position: &Position) -> Result<()> {
    let mangled = mangle(name);
    match mangled == "u" || mangled.starts_with("has_") {
        true => position.fail(format!("{what} uses reserved name")),
        false => Ok(()),
    }
}

/// The form in which names clash: `a-b`, `a.b` and `a_b` are one.
pub(crate) fn mangle(name: &str) -> String {
    name.replace(['-', '.'], "_")
}
