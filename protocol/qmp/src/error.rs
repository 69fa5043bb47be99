//! QMP errors: the class a client may match on, and the description.

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

/// An error as a QMP client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{desc}")]
pub struct Error {
    /// What kind of error it is.
    pub class: ErrorClass,
    /// The text for a person, in QEMU's wording.
    pub desc: String,
}

impl Error {
    /// An error of class `GenericError`.
    pub fn generic(desc: impl Into<String>) -> Self {
        Self { class: ErrorClass::GenericError, desc: desc.into() }
    }
}
