//! What can be wrong with a command line, and how it is said.
//!
//! Harnesses match on these texts, so they are QEMU's, word for word where the
//! fault is the same.

use std::fmt;

/// Where something was asked for: `-m 64X`, `guest.cfg:3`. It comes before
/// the message about it, like a file name and line. The default is what goes
/// without saying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// An option as it was typed, dashes included, and its argument.
    pub(crate) fn option(typed: &str, argument: Option<&str>) -> Self {
        match argument {
            Some(argument) => Self(format!("{typed} {argument}")),
            None => Self(typed.to_owned()),
        }
    }

    /// A line of a file.
    pub(crate) fn line(file: &str, number: usize) -> Self {
        Self(format!("{file}:{number}"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A command line that cannot be followed. Its text is to be shown after the
/// program's name, and the program ends with status 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Report { origin, severity: "", message, hint })]
pub struct Error {
    origin: Option<Origin>,
    message: String,
    hint: Option<String>,
}

/// Something that works but should not be written like this any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(Error);

/// What the parsers here return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What is wrong, without where it was said.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A fault of the whole, such as of two options that do not go together.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            origin: None,
            message: message.into(),
            hint: None,
        }
    }

    /// Says where the fault is, unless that is known already, or the fault
    /// is in what nobody has typed.
    pub(crate) fn at(mut self, origin: &Origin) -> Self {
        if *origin != Origin::default() {
            self.origin.get_or_insert_with(|| origin.clone());
        }
        self
    }

    /// Adds advice, shown on lines of its own.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A parameter that the option does not have.
    pub(crate) fn invalid_parameter(name: &str) -> Self {
        Self::new(format!("Invalid parameter '{name}'"))
    }

    /// A parameter that must be there.
    pub(crate) fn missing_parameter(name: &str) -> Self {
        Self::new(format!("Parameter '{name}' is missing"))
    }

    /// A parameter whose value is none of the known ones.
    pub(crate) fn value_not_accepted(name: &str, value: &str) -> Self {
        Self::new(format!(
            "Parameter '{name}' does not accept value '{value}'"
        ))
    }
}

impl Warning {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(Error::new(message))
    }

    pub(crate) fn at(self, origin: &Origin) -> Self {
        Self(self.0.at(origin))
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self(self.0.hint(hint))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error {
            origin,
            message,
            hint,
        } = &self.0;
        Report {
            origin,
            severity: "warning: ",
            message,
            hint,
        }
        .fmt(f)
    }
}

/// The one layout of both.
struct Report<'a> {
    origin: &'a Option<Origin>,
    severity: &'static str,
    message: &'a str,
    hint: &'a Option<String>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}{}", self.severity, self.message)?;
        match self.hint {
            Some(hint) => write!(f, "\n{hint}"),
            None => Ok(()),
        }
    }
}
