//! `-readconfig`: options from a file in QEMU's ini format.
//!
//! ```text
//! # a comment
//! [chardev "mon0"]
//!   backend = "socket"
//!   path = "q.sock"
//! ```

use super::error::{Error, Origin, Result};
use super::low::LowArgs;
use super::table::{OPTIONS, Opt};
use std::fs::File;
use std::io::Read as _;

/// A file larger than this is no configuration.
const MAX_SIZE: u64 = 1 << 20;

/// Reads `-readconfig`.
pub(crate) fn read(low: &mut LowArgs, path: &str, _: &Origin) -> Result<()> {
    let text = load(path)?;
    parse(&text, path, low)
}

fn load(path: &str) -> Result<String> {
    let failed =
        |error: std::io::Error| Error::new(format!("Could not open '{path}': {}", reason(&error)));
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_SIZE + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(Error::new(format!(
            "'{path}' is too large for a configuration file"
        )));
    }
    Ok(text)
}

/// What the system says, without the number that Rust appends.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Acts on the options in `text`, a file called `name`.
pub(crate) fn parse(text: &str, name: &str, low: &mut LowArgs) -> Result<()> {
    let mut section: Option<Section> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let at = Origin::line(name, number);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            let next = Section::open(line, &at).map_err(|error| error.at(&at))?;
            if let Some(done) = section.replace(next) {
                done.apply(low)?;
            }
            continue;
        }
        let section = section
            .as_mut()
            .ok_or_else(|| Error::new("no group defined").at(&at))?;
        let (key, value) = pair(line).ok_or_else(|| Error::new("parse error").at(&at))?;
        section.add(key, value);
    }
    section.map_or(Ok(()), |section| section.apply(low))
}

/// A section: an option, and its argument as it would be typed.
struct Section {
    opt: &'static Opt,
    argument: String,
    at: Origin,
}

impl Section {
    /// Reads `[name]` or `[name "id"]`.
    fn open(line: &str, at: &Origin) -> Result<Self> {
        let parse_error = || Error::new("parse error");
        let inner = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
            .ok_or_else(parse_error)?;
        let (name, id) = match inner.split_once(char::is_whitespace) {
            Some((name, id)) => (name, Some(quoted(id.trim()).ok_or_else(parse_error)?)),
            None => (inner, None),
        };
        let opt = OPTIONS
            .iter()
            .find(|opt| opt.group.is_some_and(|group| group.name == name));
        let opt = opt.ok_or_else(|| Error::new(format!("There is no option group '{name}'")))?;
        let mut section = Self {
            opt,
            argument: String::new(),
            at: at.clone(),
        };
        if let Some(id) = id {
            section.add("id", id);
        }
        Ok(section)
    }

    fn add(&mut self, key: &str, value: &str) {
        if !self.argument.is_empty() {
            self.argument.push(',');
        }
        self.argument.push_str(key);
        self.argument.push('=');
        self.argument.push_str(&value.replace(',', ",,"));
    }

    fn apply(self, low: &mut LowArgs) -> Result<()> {
        low.apply(self.opt, &self.argument, &self.at)
            .map_err(|error| error.at(&self.at))
    }
}

/// Reads `key = "value"`.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let plain = !key.is_empty() && !key.contains([',', '"', ' ', '\t']);
    plain.then_some((key, quoted(value.trim())?))
}

fn quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('"')).then_some(inner)
}
