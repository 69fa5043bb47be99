//! What arguments a command takes, and reading them from a line.
//!
//! A command describes its arguments by a comma list of `name:kind`:
//!
//! | kind | argument |
//! |---|---|
//! | `s`, `F`, `B` | a word or quoted string; a file name; a block device |
//! | `S` | the rest of the line |
//! | `i`, `l` | an integer expression of 32 or 64 bits |
//! | `M` | a count of MiB, not negative; kept in bytes |
//! | `o` | a size with an optional unit, MiB without one |
//! | `b` | `on` or `off` |
//! | `/` | a format such as `/10xw` |
//! | `-x` | the flag `-x` |
//! | `-xs` | the flag `-x` followed by a string |
//!
//! A `?` behind the letter makes it optional; `.` makes an integer optional
//! that follows a dot (`i /fmt addr[.index]`).

use super::cursor::{Cursor, is_blank};
use super::expression::{self, Registers};
use super::format::{self, Format};

/// One argument of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    optional: Optional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    File,
    Device,
    Rest,
    Int,
    Long,
    Mebibytes,
    Size,
    Switch,
    Format,
    Flag(char),
    FlagWithValue(char),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Optional {
    No,
    /// At the end of the line.
    Yes,
    /// Without a dot before it.
    Dotted,
}

impl Parameter {
    /// Reads a description.
    ///
    /// # Panics
    /// It is malformed.
    pub(super) fn list(description: &'static str) -> Vec<Self> {
        let entries = description.split(',').filter(|entry| !entry.is_empty());
        entries
            .map(|entry| Self::parse(entry).unwrap_or_else(|| panic!("bad argument {entry:?}")))
            .collect()
    }

    fn parse(entry: &'static str) -> Option<Self> {
        let (name, kind) = entry.split_once(':')?;
        let (kind, optional) = match kind.split_at_checked(kind.len().saturating_sub(1))? {
            (kind, "?") => (kind, Optional::Yes),
            (kind, ".") => (kind, Optional::Dotted),
            _ => (kind, Optional::No),
        };
        let kind = match *kind.as_bytes() {
            [b's'] => Kind::String,
            [b'F'] => Kind::File,
            [b'B'] => Kind::Device,
            [b'S'] => Kind::Rest,
            [b'i'] => Kind::Int,
            [b'l'] => Kind::Long,
            [b'M'] => Kind::Mebibytes,
            [b'o'] => Kind::Size,
            [b'b'] => Kind::Switch,
            [b'/'] => Kind::Format,
            [b'-', letter] => Kind::Flag(letter.into()),
            [b'-', letter, b's'] => Kind::FlagWithValue(letter.into()),
            _ => return None,
        };
        Some(Self {
            name,
            kind,
            optional,
        })
    }

    pub(super) fn is_flag(&self) -> bool {
        matches!(self.kind, Kind::Flag(_) | Kind::FlagWithValue(_))
    }
}

/// The arguments that a command was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments(Vec<(&'static str, Argument)>);

#[derive(Clone, Debug, PartialEq)]
enum Argument {
    String(String),
    Int(i64),
    Switch(bool),
    Format(Format),
}

impl Arguments {
    /// The string, file name, device or rest of the line `name`, if it was
    /// given.
    #[must_use]
    pub fn optional_string(&self, name: &str) -> Option<&str> {
        match self.find(name)? {
            Argument::String(string) => Some(string),
            _ => None,
        }
    }

    /// The string that must be there; empty if the command has no such
    /// argument.
    #[must_use]
    pub fn string(&self, name: &str) -> &str {
        self.optional_string(name).unwrap_or_default()
    }

    /// The integer or size `name`, if it was given.
    #[must_use]
    pub fn optional_int(&self, name: &str) -> Option<i64> {
        match self.find(name)? {
            Argument::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer that must be there; 0 if the command has no such argument.
    #[must_use]
    pub fn int(&self, name: &str) -> i64 {
        self.optional_int(name).unwrap_or_default()
    }

    /// Whether the flag was given, or the switch is on.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.find(name), Some(Argument::Switch(true)))
    }

    /// The format.
    #[must_use]
    pub fn format(&self, name: &str) -> Format {
        match self.find(name) {
            Some(Argument::Format(format)) => *format,
            _ => format::DEFAULT,
        }
    }

    fn find(&self, name: &str) -> Option<&Argument> {
        let (_, value) = self.0.iter().find(|(key, _)| *key == name)?;
        Some(value)
    }
}

/// Reads the arguments of `command` up to the end of the line.
pub(super) fn read(
    command: &str,
    parameters: &[Parameter],
    cursor: &mut Cursor<'_>,
    last_format: &mut Format,
    registers: Registers<'_>,
) -> Result<Arguments, String> {
    let mut reader = Reader {
        command,
        cursor,
        last_format,
        registers,
    };
    let mut arguments = Arguments::default();
    for (place, parameter) in parameters.iter().enumerate() {
        let flag_follows = parameters.get(place + 1).is_some_and(Parameter::is_flag);
        if let Some(value) = reader.argument(parameter, flag_follows)? {
            arguments.0.push((parameter.name, value));
        }
    }
    cursor.skip_blanks();
    if cursor.is_at_end() {
        return Ok(arguments);
    }
    Err(format!(
        "{command}: extraneous characters at the end of line"
    ))
}

struct Reader<'a, 'l> {
    command: &'a str,
    cursor: &'a mut Cursor<'l>,
    last_format: &'a mut Format,
    registers: Registers<'a>,
}

impl Reader<'_, '_> {
    fn argument(
        &mut self,
        parameter: &Parameter,
        flag_follows: bool,
    ) -> Result<Option<Argument>, String> {
        self.cursor.skip_blanks();
        if self.is_absent(parameter) {
            return Ok(None);
        }
        let value = match parameter.kind {
            Kind::String => self.string("string")?,
            Kind::File => self.string("filename")?,
            Kind::Device => self.string("block device name")?,
            Kind::Rest => self.rest()?,
            Kind::Int => Argument::Int(self.int()?),
            Kind::Long => Argument::Int(self.expression()?),
            Kind::Mebibytes => self.mebibytes()?,
            Kind::Size => self.size()?,
            Kind::Switch => self.switch()?,
            Kind::Format => Argument::Format(format::read(self.cursor, self.last_format)?),
            Kind::Flag(letter) => return self.flag(letter, flag_follows),
            Kind::FlagWithValue(letter) => return self.flag_with_value(letter, flag_follows),
        };
        Ok(Some(value))
    }

    fn is_absent(&mut self, parameter: &Parameter) -> bool {
        match parameter.optional {
            Optional::No => false,
            Optional::Yes => self.cursor.is_at_end(),
            Optional::Dotted if self.cursor.peek() == Some(b'.') => {
                self.cursor.bump();
                false
            }
            Optional::Dotted => true,
        }
    }

    fn string(&mut self, what: &str) -> Result<Argument, String> {
        let string = self.cursor.string();
        string
            .map(Argument::String)
            .ok_or_else(|| format!("{}: {what} expected", self.command))
    }

    fn rest(&mut self) -> Result<Argument, String> {
        let rest = self.cursor.take_while(|_| true);
        if rest.is_empty() {
            return Err(format!("{}: string expected", self.command));
        }
        Ok(Argument::String(rest.into()))
    }

    fn expression(&mut self) -> Result<i64, String> {
        expression::evaluate(self.cursor, self.registers)
    }

    fn int(&mut self) -> Result<i64, String> {
        let value = self.expression()?;
        if u32::try_from(value).is_err() {
            let command = self.command;
            return Err(format!(
                "'{command}' has failed: integer is for 32-bit values"
            ));
        }
        Ok(value)
    }

    fn mebibytes(&mut self) -> Result<Argument, String> {
        let value = self.expression()?;
        if value < 0 {
            return Err("enter a positive value".into());
        }
        Ok(Argument::Int(value.wrapping_shl(20)))
    }

    /// A number and a unit. What follows the unit is left.
    fn size(&mut self) -> Result<Argument, String> {
        let (size, length) = size(self.cursor.rest()).ok_or("invalid size")?;
        self.cursor.advance(length);
        Ok(Argument::Int(size))
    }

    fn switch(&mut self) -> Result<Argument, String> {
        match self.cursor.take_while(|byte| !is_blank(byte)) {
            "on" => Ok(Argument::Switch(true)),
            "off" => Ok(Argument::Switch(false)),
            _ => Err("Expected 'on' or 'off'".into()),
        }
    }

    fn flag(&mut self, letter: char, flag_follows: bool) -> Result<Option<Argument>, String> {
        let given = self.takes_flag(letter, flag_follows)?;
        Ok(given.then_some(Argument::Switch(true)))
    }

    fn flag_with_value(
        &mut self,
        letter: char,
        flag_follows: bool,
    ) -> Result<Option<Argument>, String> {
        if !self.takes_flag(letter, flag_follows)? {
            return Ok(None);
        }
        let value = self.cursor.string();
        value
            .map(|value| Some(Argument::String(value)))
            .ok_or_else(|| format!("{}: value expected for -{letter}", self.command))
    }

    /// Takes `-letter`, if it is there. Another flag is left to the parameter
    /// that follows, if that is a flag.
    fn takes_flag(&mut self, letter: char, flag_follows: bool) -> Result<bool, String> {
        let mut chars = self.cursor.rest().chars();
        if chars.next() != Some('-') {
            return Ok(false);
        }
        let found = chars.next();
        if found == Some(letter) {
            self.cursor.bump();
            self.cursor.bump();
            return Ok(true);
        }
        if flag_follows {
            return Ok(false);
        }
        let found = found.map(String::from).unwrap_or_default();
        Err(format!("{}: unsupported option -{found}", self.command))
    }
}

/// A size and the length of its text: digits with a fraction, or hexadecimal,
/// and a unit that is MiB unless given.
fn size(text: &str) -> Option<(i64, usize)> {
    let (number, length) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => {
            let length = prefix(digits, |byte| byte.is_ascii_hexdigit());
            let number = u64::from_str_radix(&digits[..length], 16).ok()?;
            (number as f64, length + 2)
        }
        None => {
            let length = prefix(text, |byte| byte.is_ascii_digit() || byte == b'.');
            (text[..length].parse().ok()?, length)
        }
    };
    let (shift, unit) = match text.as_bytes().get(length) {
        Some(b'b' | b'B') => (0, 1),
        Some(b'k' | b'K') => (10, 1),
        Some(b'm' | b'M') => (20, 1),
        Some(b'g' | b'G') => (30, 1),
        Some(b't' | b'T') => (40, 1),
        Some(b'p' | b'P') => (50, 1),
        Some(b'e' | b'E') => (60, 1),
        _ => (20, 0),
    };
    let bytes = number * (1_u64 << shift) as f64;
    // 2^63 is a double, and the first that does not fit.
    (bytes < 9_223_372_036_854_775_808.0).then_some((bytes as i64, length + unit))
}

fn prefix(text: &str, wanted: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|&byte| wanted(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `line` by `description`, and shows the arguments or the fault.
    fn read(description: &'static str, line: &str) -> String {
        let parameters = Parameter::list(description);
        let mut cursor = Cursor::new(line);
        let mut format = format::DEFAULT;
        match super::read("cmd", &parameters, &mut cursor, &mut format, &|_| None) {
            Err(fault) => fault,
            Ok(Arguments(arguments)) => {
                let show = |(name, value): &(&str, Argument)| match value {
                    Argument::String(text) => format!("{name}={text}"),
                    Argument::Int(value) => format!("{name}={value}"),
                    Argument::Switch(value) => format!("{name}={value}"),
                    Argument::Format(format) => format!("{name}={}", format.count),
                };
                arguments.iter().map(show).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn arguments_are_read_as_in_qemu() {
        for (description, line, expected) in [
            ("", "", ""),
            ("", " x", "cmd: extraneous characters at the end of line"),
            ("name:s", " a ", "name=a"),
            ("name:s", "", "cmd: string expected"),
            ("name:s?", "", ""),
            ("name:F", "", "cmd: filename expected"),
            ("dev:B", "", "cmd: block device name expected"),
            (
                "name:s",
                "a b",
                "cmd: extraneous characters at the end of line",
            ),
            ("a:s,b:S", "x  y z ", "a=x b=y z "),
            ("a:s,b:S", "x", "cmd: string expected"),
            ("a:S?", "", ""),
            ("a:i", "", "unexpected end of expression"),
            ("a:i", "1+1", "a=2"),
            (
                "a:i",
                "-1",
                "'cmd' has failed: integer is for 32-bit values",
            ),
            (
                "a:i",
                "4294967296",
                "'cmd' has failed: integer is for 32-bit values",
            ),
            ("a:l,b:l?", "-1", "a=-1"),
            ("a:i,b:i.", "112.4", "a=112 b=4"),
            ("a:i,b:i.", "112", "a=112"),
            (
                "a:i,b:i.",
                "112 4",
                "cmd: extraneous characters at the end of line",
            ),
            ("a:M", "2", "a=2097152"),
            ("a:M", "-1", "enter a positive value"),
            ("a:o", "1", "a=1048576"),
            ("a:o", "1.5k", "a=1536"),
            ("a:o", "0x10", "a=16777216"),
            ("a:o", "9E", "invalid size"),
            ("a:o", "", "invalid size"),
            ("a:o", "-1", "invalid size"),
            (
                "a:o",
                "1KB",
                "cmd: extraneous characters at the end of line",
            ),
            ("a:o", "1q", "cmd: extraneous characters at the end of line"),
            ("a:b", "on", "a=true"),
            ("a:b", "off", "a=false"),
            ("a:b", "o", "Expected 'on' or 'off'"),
            ("fmt:/,a:l", "/3xw 1", "fmt=3 a=1"),
            ("fmt:/,a:l", " /3xw 1", "fmt=3 a=1"),
            ("fmt:/,a:l", "1", "fmt=1 a=1"),
            (
                "fmt:/,a:l",
                "/ 3xw 1",
                "cmd: extraneous characters at the end of line",
            ),
        ] {
            assert_eq!(read(description, line), expected, "{description} <- {line}");
        }
    }

    #[test]
    fn flags_are_read_as_in_qemu() {
        let two = "n:-n,v:-v,device:B?";
        for (description, line, expected) in [
            (two, "", ""),
            (two, "-n", "n=true"),
            (two, "-v", "v=true"),
            (two, "-n -v x", "n=true v=true device=x"),
            (two, "-v -n", "v=true device=-n"),
            (two, "-x", "cmd: unsupported option -x"),
            ("f:-f,device:B", "-fy", "f=true device=y"),
            ("f:-f,device:B", "-", "cmd: unsupported option -"),
            ("f:-f,device:B", "-f", "cmd: block device name expected"),
            (
                "f:-f",
                "-ff",
                "cmd: extraneous characters at the end of line",
            ),
            ("d:-ds", "-d vnc", "d=vnc"),
            ("d:-ds", "-d", "cmd: value expected for -d"),
        ] {
            assert_eq!(read(description, line), expected, "{description} <- {line}");
        }
    }
}
