//! `key=value,flag,key=value`: the parameters of an option.
//!
//! QEMU has two grammars that look alike. Options described by a [`Group`]
//! take flags (`server` for `server=on`, with a warning) and check every
//! parameter at once. The others (`keyval`) want `=` everywhere and leave
//! the checks to whoever knows the keys. In both a comma in a value is
//! doubled, and the first value may come without its key.

use super::error::{Error, Origin, Result, Warning};
use super::value;
use std::path::PathBuf;
use tinamou_qmp::Value;

/// What an option's parameters are, for parsing and for introspection.
#[derive(Debug)]
pub struct Group {
    /// Its name in `query-command-line-options` and in `-readconfig` files.
    pub name: &'static str,
    /// The key of a first value that comes without one.
    pub implied: Option<&'static str>,
    /// Given twice, the parameters add up and later ones win.
    pub merge: bool,
    /// The parameters, in QEMU's order of introspection. Empty: any.
    pub params: &'static [Param],
}

/// One parameter.
#[derive(Debug)]
pub struct Param {
    /// Its key.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What it means, for people; may be empty.
    pub help: &'static str,
    /// The value when it is left out, where that is fixed.
    pub default: Option<&'static str>,
}

impl Param {
    pub(crate) const fn string(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::String,
            help: "",
            default: None,
        }
    }

    pub(crate) const fn boolean(name: &'static str) -> Self {
        Self {
            kind: Kind::Boolean,
            ..Self::string(name)
        }
    }

    pub(crate) const fn number(name: &'static str) -> Self {
        Self {
            kind: Kind::Number,
            ..Self::string(name)
        }
    }

    pub(crate) const fn size(name: &'static str) -> Self {
        Self {
            kind: Kind::Size,
            ..Self::string(name)
        }
    }

    pub(crate) const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    pub(crate) const fn default(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }
}

/// The kinds of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    String,
    /// `on` or `off`.
    Boolean,
    /// A whole number.
    Number,
    /// A number of bytes with an optional unit.
    Size,
}

impl Group {
    /// The parameter called `name`.
    pub(crate) fn param(&self, name: &str) -> Option<&'static Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// Checks a parameter's name and value.
    pub(crate) fn check(&self, key: &str, text: &str) -> Result<()> {
        if self.params.is_empty() {
            return Ok(());
        }
        let Some(param) = self.param(key) else {
            return Err(Error::invalid_parameter(key));
        };
        match param.kind {
            Kind::String => Ok(()),
            Kind::Boolean => value::boolean(key, text).map(drop),
            Kind::Number => value::number(key, text).map(drop),
            Kind::Size => value::size(key, text).map(drop),
        }
    }

    /// Reads `text`. Whether it asks for help is up to the caller.
    pub(crate) fn parse(
        &self,
        text: &str,
        origin: &Origin,
        warnings: &mut Vec<Warning>,
    ) -> Result<Params> {
        let mut params = Params::at(origin);
        self.parse_into(&mut params, text, self.implied, warnings)?;
        Ok(params)
    }

    /// Reads `text`, which may be a JSON object.
    pub(crate) fn parse_or_json(
        &self,
        text: &str,
        origin: &Origin,
        warnings: &mut Vec<Warning>,
    ) -> Result<Params> {
        if !text.starts_with('{') {
            return self.parse(text, origin, warnings);
        }
        let mut params = Params::at(origin);
        for (key, text) in json(text)? {
            self.take(&mut params, &key, text)?;
        }
        Ok(params)
    }

    /// Reads `text` on top of what `params` has already.
    pub(crate) fn parse_into(
        &self,
        params: &mut Params,
        text: &str,
        mut implied: Option<&str>,
        warnings: &mut Vec<Warning>,
    ) -> Result<()> {
        let origin = params.origin.clone();
        let mut rest = text;
        while !rest.is_empty() {
            let (key, text);
            (key, text, rest) = match split(rest, implied.take()) {
                Piece::Pair { key, value, rest } => (key, value, rest),
                Piece::Flag { word, rest } => {
                    let (key, text) = short_form(word);
                    let asks = self.params.is_empty() && matches!(word, "help" | "?");
                    if !asks {
                        warnings.push(short_form_warning(word, key, text).at(&origin));
                    }
                    (key, text.to_owned(), rest)
                }
            };
            self.take(params, key, text)
                .map_err(|error| error.at(&origin))?;
        }
        Ok(())
    }

    fn take(&self, params: &mut Params, key: &str, text: String) -> Result<()> {
        if key != "id" {
            self.check(key, &text)?;
            params.pairs.push((key.to_owned(), text));
            return Ok(());
        }
        if self.merge {
            return Err(Error::invalid_parameter("id"));
        }
        check_id(&text)?;
        params.id.get_or_insert(text);
        Ok(())
    }
}

/// Parameters as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) id: Option<String>,
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) origin: Origin,
}

impl Params {
    /// None yet.
    pub(crate) fn at(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            ..Self::default()
        }
    }

    /// Sets one.
    pub(crate) fn set(&mut self, key: &str, text: impl Into<String>) {
        self.pairs.push((key.to_owned(), text.into()));
    }

    /// Adds what was given later.
    pub(crate) fn merge(&mut self, later: Params) {
        self.pairs.extend(later.pairs);
        self.origin = later.origin;
    }

    /// The value of `key`; the last one given wins.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, text)| text.as_str())
    }

    /// The same, as text of its own.
    pub(crate) fn string(&self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    /// The same, as a path.
    pub(crate) fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// The value of `key` as a boolean.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, value::boolean)
    }

    /// The value of `key` as a number.
    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>> {
        self.read(key, value::number)
    }

    /// The value of `key` as a number of bytes.
    pub(crate) fn size(&self, key: &str) -> Result<Option<u64>> {
        self.read(key, value::size)
    }

    fn read<T>(&self, key: &str, parse: fn(&str, &str) -> Result<T>) -> Result<Option<T>> {
        let parsed = self.text(key).map(|text| parse(key, text)).transpose();
        parsed.map_err(|error| error.at(&self.origin))
    }
}

/// Reads `key=value,…` without flags. The first value may come without its
/// key if there is an `implied` one. Nested keys keep their dots.
pub(crate) fn keyval(text: &str, implied: Option<&str>) -> Result<Vec<(String, String)>> {
    let parsed =
        tinamou_qmp::keyval::parse(text, implied).map_err(|error| Error::new(error.desc))?;
    let mut pairs = Vec::new();
    flatten("", &Value::Object(parsed.members), &mut pairs);
    Ok(pairs)
}

/// Reads a JSON object; members of members get dotted keys.
fn json(text: &str) -> Result<Vec<(String, String)>> {
    let value =
        tinamou_qmp::json::parse(text.as_bytes()).map_err(|error| Error::new(error.desc))?;
    let mut pairs = Vec::new();
    flatten("", &value, &mut pairs);
    Ok(pairs)
}

fn flatten(key: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let text = match value {
        Value::Object(members) => {
            for (name, value) in members {
                flatten(&join(key, name), value, pairs);
            }
            return;
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                flatten(&join(key, &index.to_string()), value, pairs);
            }
            return;
        }
        Value::Null => String::new(),
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::String(text) => text.clone(),
    };
    pairs.push((key.to_owned(), text));
}

fn join(outer: &str, inner: &str) -> String {
    if outer.is_empty() {
        inner.to_owned()
    } else {
        format!("{outer}.{inner}")
    }
}

/// Whether an option's argument asks for help instead.
pub(crate) fn asks_for_help(text: &str) -> bool {
    let word = text.split(',').next();
    matches!(word, Some("help" | "?"))
}

/// Whether something can have that id.
pub fn is_id(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    id.starts_with(|c: char| c.is_ascii_alphabetic()) && id.chars().all(allowed)
}

/// Refuses ids that cannot name an object.
pub(crate) fn check_id(id: &str) -> Result<()> {
    if is_id(id) {
        return Ok(());
    }
    let hint = "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.";
    Err(Error::new("Parameter 'id' expects an identifier").hint(hint))
}

/// What stands before the next comma.
enum Piece<'a> {
    Pair {
        key: &'a str,
        value: String,
        rest: &'a str,
    },
    Flag {
        word: &'a str,
        rest: &'a str,
    },
}

fn split<'a>(text: &'a str, implied: Option<&'a str>) -> Piece<'a> {
    let end = text.find(['=', ',']).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    if let Some(after) = after.strip_prefix('=') {
        let (value, rest) = unescape(after);
        return Piece::Pair {
            key: word,
            value,
            rest,
        };
    }
    if let Some(key) = implied {
        let (value, rest) = unescape(text);
        return Piece::Pair { key, value, rest };
    }
    Piece::Flag {
        word,
        rest: after.strip_prefix(',').unwrap_or(after),
    }
}

/// Reads a value up to its comma; two commas stand for one. Gives what comes
/// after, too.
fn unescape(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    while let Some(comma) = rest.find(',') {
        value.push_str(&rest[..comma]);
        rest = &rest[comma + 1..];
        let Some(after) = rest.strip_prefix(',') else {
            return (value, rest);
        };
        value.push(',');
        rest = after;
    }
    value.push_str(rest);
    (value, "")
}

fn short_form(word: &str) -> (&str, &'static str) {
    match word.strip_prefix("no") {
        Some(key) => (key, "off"),
        None => (word, "on"),
    }
}

fn short_form_warning(word: &str, key: &str, text: &str) -> Warning {
    Warning::new(format!("short-form boolean option '{word}' deprecated"))
        .hint(format!("Please use {key}={text} instead"))
}
