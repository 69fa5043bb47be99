//! Queues as a driver sees them: honest ones, hostile ones, and the fuzz corpus.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod fuzz;
mod hostile;
mod rings;
