//! What can be asked of a hart in vain.

/// A refused configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `-cpu` has no such property.
    #[error("Property '{0}' not found")]
    Property(String),
}
