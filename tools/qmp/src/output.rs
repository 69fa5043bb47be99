//! What subcommands print, and how: text for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use clap::ColorChoice;
use serde_json::Value;

use crate::{Error, Global};

const KEY: Style = AnsiColor::Blue.on_default().bold();
const STRING: Style = AnsiColor::Green.on_default();
const SCALAR: Style = AnsiColor::Yellow.on_default();
const EVENT: Style = AnsiColor::Magenta.on_default().bold();
const FAULT: Style = AnsiColor::Red.on_default().bold();

/// How this run prints. Text goes to standard output, faults and notes to
/// standard error.
#[derive(Clone, Debug)]
pub struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    /// As the command line wishes; also makes the choice of colours known to
    /// everything that prints by `anstream`.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        match global.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        let choice = anstream::AutoStream::choice(&io::stdout());
        Self {
            json: global.json,
            colour: !matches!(choice, anstream::ColorChoice::Never),
        }
    }

    /// Whether programs read the output.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether text on standard output may have colours.
    #[must_use]
    pub fn is_coloured(&self) -> bool {
        self.colour
    }

    /// Whether a person watches standard error, so that progress is worth
    /// showing.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Prints what a command returned. Text: a string as it is, an empty object
    /// not at all, everything else as indented JSON. JSON: one line.
    ///
    /// # Errors
    ///
    /// Standard output is closed or full.
    pub fn value(&self, value: &Value) -> Result<(), Error> {
        let text = match value {
            _ if self.json => value.to_string(),
            Value::Object(members) if members.is_empty() => return Ok(()),
            Value::String(text) => text.trim_end_matches(['\r', '\n']).to_owned(),
            value => render(value, self.colour),
        };
        self.line(&text)
    }

    /// Prints a line of text.
    ///
    /// # Errors
    ///
    /// Standard output is closed or full.
    pub fn line(&self, text: &str) -> Result<(), Error> {
        write_all(format!("{text}\n").as_bytes())
    }

    /// Prints a table whose first row is its head. A row shorter than the head
    /// ends in text that may be as long as it likes.
    ///
    /// # Errors
    ///
    /// Standard output is closed or full.
    pub fn columns(&self, rows: &[Vec<String>]) -> Result<(), Error> {
        let columns = rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = rows
                .iter()
                .filter(|row| row.len() == columns || column + 1 < row.len());
            let widths = cells.map(|row| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in rows {
            let cells = row.iter().zip(&widths);
            let padded = cells.map(|(cell, width)| format!("{cell:width$}"));
            self.line(padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    /// The name of an event, as it is shown to people.
    #[must_use]
    pub fn event_name(&self, name: &str) -> String {
        match self.colour {
            true => format!("{EVENT}{name}{EVENT:#}"),
            false => name.to_owned(),
        }
    }

    /// Tells something to people, on standard error.
    pub fn note(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "qmp: {text}");
    }

    /// Tells of a failure, on standard error.
    pub fn error(&self, error: &Error) {
        let _ = writeln!(anstream::stderr(), "qmp: {FAULT}error:{FAULT:#} {error}");
        if let Some(hint) = error.hint() {
            self.note(hint);
        }
    }
}

/// Writes to standard output.
pub(crate) fn write_all(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(Error::io("standard output"))
}

/// A number of bytes with a binary unit, three figures of it.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(unit) = (bytes.max(1).ilog2() / 10).checked_sub(1) else {
        return format!("{bytes} B");
    };
    let scaled = bytes as f64 / (1u64 << (10 * (unit + 1))) as f64;
    let precision = if scaled >= 100.0 || scaled.fract() == 0.0 {
        0
    } else {
        1
    };
    format!("{scaled:.precision$} {}", UNITS[unit as usize])
}

/// A value as indented JSON, in colours if wanted.
#[must_use]
pub fn render(value: &Value, colour: bool) -> String {
    let mut text = String::new();
    let paint = Paint { colour };
    paint.value(value, 0, &mut text);
    text
}

struct Paint {
    colour: bool,
}

impl Paint {
    fn value(&self, value: &Value, depth: usize, text: &mut String) {
        match value {
            Value::Array(elements) if !elements.is_empty() => {
                self.list(
                    elements.iter().map(|element| (None, element)),
                    "[]",
                    depth,
                    text,
                );
            }
            Value::Object(members) if !members.is_empty() => {
                self.list(
                    members.iter().map(|(key, value)| (Some(key), value)),
                    "{}",
                    depth,
                    text,
                );
            }
            Value::String(_) => self.styled(STRING, &value.to_string(), text),
            Value::Array(_) | Value::Object(_) => text.push_str(&value.to_string()),
            _ => self.styled(SCALAR, &value.to_string(), text),
        }
    }

    fn list<'a>(
        &self,
        entries: impl Iterator<Item = (Option<&'a String>, &'a Value)>,
        brackets: &str,
        depth: usize,
        text: &mut String,
    ) {
        let (open, close) = brackets.split_at(1);
        text.push_str(open);
        let mut separator = "\n";
        for (key, value) in entries {
            text.push_str(separator);
            text.push_str(&"  ".repeat(depth + 1));
            if let Some(key) = key {
                self.styled(KEY, &Value::from(key.as_str()).to_string(), text);
                text.push_str(": ");
            }
            self.value(value, depth + 1, text);
            separator = ",\n";
        }
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
        text.push_str(close);
    }

    fn styled(&self, style: Style, word: &str, text: &mut String) {
        if self.colour {
            text.push_str(&format!("{style}{word}{style:#}"));
        } else {
            text.push_str(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn without_colours_it_is_indented_json() {
        let value = json!({"a": [1, "x", {}], "b": {"c": null}});
        let expected = serde_json::to_string_pretty(&value).expect("it has no odd keys");
        assert_eq!(render(&value, false), expected);
    }

    #[test]
    fn sizes_have_binary_units() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (512 << 20, "512 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn colours_change_no_text() {
        let value = json!({"status": "running", "running": true});
        let plain = anstream::adapter::strip_str(&render(&value, true)).to_string();
        assert_eq!(plain, render(&value, false));
    }
}
