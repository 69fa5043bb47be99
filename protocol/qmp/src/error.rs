//! QMP errors: the class a client may match on, and the description.
//!
//! Clients match on these texts although they should not, so every wording
//! that several places need stands here, and nowhere else.

use crate::visit::{Name, leaf};
use std::fmt;

/// What a fallible step of the protocol returns.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// The error classes of QMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Everything that has no class of its own.
    GenericError,
    /// The command does not exist, or not in this state of the session.
    CommandNotFound,
    /// A device is needed that is not active.
    DeviceNotActive,
    /// The named device does not exist.
    DeviceNotFound,
    /// KVM lacks a capability that the command needs.
    KVMMissingCap,
}

impl ErrorClass {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GenericError => "GenericError",
            Self::CommandNotFound => "CommandNotFound",
            Self::DeviceNotActive => "DeviceNotActive",
            Self::DeviceNotFound => "DeviceNotFound",
            Self::KVMMissingCap => "KVMMissingCap",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as a QMP client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{desc}")]
pub struct Error {
    /// What kind of error it is.
    pub class: ErrorClass,
    /// The text for a person, in QEMU's wording.
    pub desc: String,
}

/// The classes.
impl Error {
    /// An error of class `GenericError`.
    pub fn generic(desc: impl Into<String>) -> Self {
        Self::new(ErrorClass::GenericError, desc)
    }

    /// An error of any class.
    pub fn new(class: ErrorClass, desc: impl Into<String>) -> Self {
        Self {
            class,
            desc: desc.into(),
        }
    }

    /// An error of class `DeviceNotFound` that names a device or object.
    #[must_use]
    pub fn device_not_found(device: &str) -> Self {
        Self::new(
            ErrorClass::DeviceNotFound,
            format!("Device '{device}' not found"),
        )
    }

    /// An error of class `DeviceNotActive`.
    pub fn device_not_active(desc: impl Into<String>) -> Self {
        Self::new(ErrorClass::DeviceNotActive, desc)
    }
}

/// Arguments. A `path` leads from the command's arguments to the member
/// (`a.b[0].c`); a [`Name`] is its last part alone, as QEMU has it there.
impl Error {
    /// A member is required and missing.
    #[must_use]
    pub fn missing_parameter(path: &str) -> Self {
        Self::generic(format!("Parameter '{path}' is missing"))
    }

    /// A member has the wrong JSON type; `expected` names the type or alternate.
    #[must_use]
    pub fn invalid_type(path: &str, expected: &str) -> Self {
        Self::generic(format!(
            "Invalid parameter type for '{path}', expected: {expected}"
        ))
    }

    /// A member is not known.
    #[must_use]
    pub fn unexpected_parameter(path: &str) -> Self {
        Self::generic(format!("Parameter '{path}' is unexpected"))
    }

    /// A string is not among the values of an enumeration.
    #[must_use]
    pub fn value_not_accepted(name: Name<'_>, value: &str) -> Self {
        Self::generic(format!(
            "Parameter '{}' does not accept value '{value}'",
            leaf(name)
        ))
    }

    /// A value is out of what its type or meaning allows: `uint8_t`, `a size`,
    /// `an identifier`.
    #[must_use]
    pub fn expects(name: Name<'_>, what: &str) -> Self {
        Self::generic(format!("Parameter '{}' expects {what}", leaf(name)))
    }
}

/// The session.
impl Error {
    /// The top level of a message is no object.
    #[must_use]
    pub fn not_an_object() -> Self {
        Self::generic("QMP input must be a JSON object")
    }

    /// A member of a request has the wrong type; `article` names the right one.
    #[must_use]
    pub fn envelope_type(member: &str, article: &str) -> Self {
        Self::generic(format!("QMP input member '{member}' must be {article}"))
    }

    /// A member of a request is not known.
    #[must_use]
    pub fn envelope_unexpected(member: &str) -> Self {
        Self::generic(format!("QMP input member '{member}' is unexpected"))
    }

    /// A request has both `execute` and `exec-oob`.
    #[must_use]
    pub fn envelope_clash(member: &str, other: &str) -> Self {
        Self::generic(format!(
            "QMP input member '{member}' clashes with '{other}'"
        ))
    }

    /// A request has no command.
    #[must_use]
    pub fn envelope_lacks_execute() -> Self {
        Self::generic("QMP input lacks member 'execute'")
    }

    /// There is no such command.
    #[must_use]
    pub fn command_not_found(command: &str) -> Self {
        Self::new(
            ErrorClass::CommandNotFound,
            format!("The command {command} has not been found"),
        )
    }

    /// Only `qmp_capabilities` is a command before the negotiation.
    #[must_use]
    pub fn expecting_negotiation() -> Self {
        Self::new(
            ErrorClass::CommandNotFound,
            "Expecting capabilities negotiation with 'qmp_capabilities'",
        )
    }

    /// `qmp_capabilities` after a successful negotiation.
    #[must_use]
    pub fn negotiation_complete() -> Self {
        Self::new(
            ErrorClass::CommandNotFound,
            "Capabilities negotiation is already complete, command ignored",
        )
    }

    /// A capability was asked for that the greeting did not offer.
    #[must_use]
    pub fn capability_not_available(capability: &str) -> Self {
        Self::generic(format!("Capability {capability} not available"))
    }

    /// `exec-oob` of a command that must run in band.
    #[must_use]
    pub fn oob_not_supported(command: &str) -> Self {
        Self::generic(format!("The command {command} does not support OOB"))
    }

    /// A command that needs the machine, before it exists.
    #[must_use]
    pub fn only_after_initialization(command: &str) -> Self {
        Self::generic(format!(
            "The command '{command}' is permitted only after machine initialization has completed"
        ))
    }

    /// A command that shapes the machine, after it exists.
    #[must_use]
    pub fn only_before_initialization() -> Self {
        Self::generic("The command is permitted only before machine initialization")
    }
}

/// JSON.
impl Error {
    /// Text that is no JSON.
    pub(crate) fn json(text: &str) -> Self {
        Self::generic(format!("JSON parse error, {text}"))
    }

    /// Text that exceeds the limit on `what`.
    pub(crate) fn json_limit(what: &str) -> Self {
        Self::generic(format!("JSON {what} limit exceeded"))
    }
}
