//! What can be wrong with what a mock is made of.

/// The result of making a mock.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a mock cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A schema that cannot be used.
    #[error("the schema cannot be used: {0}")]
    Schema(String),
    /// A fault that is not understood.
    #[error("{0}")]
    Fault(String),
    /// A rule that is not understood, or that the schema does not allow.
    #[error("rule {number}: {reason}")]
    Rule {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    pub(crate) fn schema(reason: impl ToString) -> Self {
        Self::Schema(reason.to_string())
    }
}
