//! What a check is: a rule, where it rests, and what can come of it.

use std::fmt;
use std::time::Duration;

use crate::bench::Bench;
use crate::script::Script;
use crate::wire::WireError;

/// A rule that servers are held to.
#[derive(Debug)]
pub struct Check {
    /// `GROUP/NAME`.
    pub id: String,
    /// The rule in one sentence.
    pub rule: String,
    /// Where it rests.
    pub basis: Basis,
    pub(crate) body: Body,
}

impl Check {
    /// The first half of the id.
    #[must_use]
    pub fn group(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }
}

/// What a rule rests on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Basis {
    /// A section of QEMU's description of QMP.
    Protocol(String),
    /// A section of RFC 8259, which that description refers to.
    Json(String),
    /// A section of QEMU's description of QAPI.
    Schema(String),
    /// What QEMU has always done, and clients have come to rely on.
    Practice,
}

impl Basis {
    /// Whether breaking the rule breaks the protocol.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        !matches!(self, Self::Practice)
    }

    /// Reads `QMP: SECTION`, `RFC 8259: SECTION`, `QAPI: SECTION` or `practice`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "practice" {
            return Some(Self::Practice);
        }
        let (book, section) = text.split_once(": ")?;
        let section = section.to_owned();
        match book {
            "QMP" => Some(Self::Protocol(section)),
            "RFC 8259" => Some(Self::Json(section)),
            "QAPI" => Some(Self::Schema(section)),
            _ => None,
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(section) => write!(f, "QMP specification, \"{section}\""),
            Self::Json(section) => write!(f, "RFC 8259, {section}"),
            Self::Schema(section) => write!(f, "QAPI, \"{section}\""),
            Self::Practice => f.write_str("QEMU's practice"),
        }
    }
}

/// How a check is carried out.
#[derive(Debug)]
pub(crate) enum Body {
    /// Lines sent and replies expected.
    Script(Script),
    /// A program; it returns what it looked at.
    Code(fn(&mut Bench) -> Outcome),
}

/// A note on what was looked at, or what stood against it.
pub(crate) type Outcome = Result<String, Trouble>;

/// Why a check did not pass.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It does not apply.
    Skipped(String),
    /// The server broke the rule.
    Broken(Vec<Finding>),
    /// The server broke it by saying nothing for so long.
    Silent(Duration),
}

/// One way in which a rule was broken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Which of many things that a check looks at, such as a command.
    pub case: Option<String>,
    /// What was wrong.
    pub what: String,
}

impl Trouble {
    /// The rule is broken in one way.
    pub(crate) fn broken(what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Broken(vec![Finding { case: None, what }])
    }

    /// The check does not apply.
    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Silence(time) => Self::Silent(time),
            other => Self::broken(other.to_string()),
        }
    }
}

/// Passes with a note if nothing was found.
pub(crate) fn verdict(findings: Vec<Finding>, note: impl Into<String>) -> Outcome {
    if findings.is_empty() {
        Ok(note.into())
    } else {
        Err(Trouble::Broken(findings))
    }
}

/// Passes if `condition` holds.
pub(crate) fn ensure(condition: bool, what: impl FnOnce() -> String) -> Result<(), Trouble> {
    if condition {
        Ok(())
    } else {
        Err(Trouble::broken(what()))
    }
}

/// A finding about one of many things.
pub(crate) fn finding(case: impl Into<String>, what: impl Into<String>) -> Finding {
    Finding {
        case: Some(case.into()),
        what: what.into(),
    }
}
