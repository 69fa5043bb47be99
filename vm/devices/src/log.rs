//! What devices tell the log (`-d`), in QEMU's words. Where nobody listens a line costs one look at
//! an atomic.

use std::fmt;

/// The guest did what it should not have (`-d guest_errors`).
pub(crate) fn guest_error(what: fmt::Arguments<'_>) {
    tracing::debug!(target: "guest_errors", "{what}");
}

/// The guest asked for something that is not built (`-d unimp`).
pub(crate) fn unimplemented(what: fmt::Arguments<'_>) {
    tracing::debug!(target: "unimp", "{what}");
}
