//! Files that somebody else has opened already, under names that are no paths.

use std::any::Any;
use std::fmt;
use std::os::fd::OwnedFd;

use rustix::fs::OFlags;

/// Who has such files.
pub trait Lender: Send + Sync {
    /// The file of that name, if it fits the way of opening it; `None` if the name is a path like
    /// any other.
    ///
    /// # Errors
    /// There is no such file, or none that fits: the words for it.
    fn lend(&self, name: &str, flags: OFlags) -> Option<Result<Lent, String>>;
}

/// A file that is in use until this goes.
pub struct Lent {
    /// The file.
    pub fd: OwnedFd,
    /// Goes with it, and so tells its owner.
    pub slip: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent")
            .field("fd", &self.fd)
            .finish_non_exhaustive()
    }
}
